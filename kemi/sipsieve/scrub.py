"""Takes hostile values out of a message and leaves the rest of it as it was."""

from __future__ import annotations

from collections.abc import Iterable

from .grammar import ROUTED_HEADERS
from .model import Finding, Message, PartKind

#: What a removed value is replaced by: a token, so that it is valid wherever a value may stand.
PLACEHOLDER = b"removed"

#: Parts that nobody routes on (a display name, free text).
SCRUBBABLE = frozenset({PartKind.DISPLAY_NAME, PartKind.TEXT})


def can_scrub(findings: Iterable[Finding]) -> bool:
    """Whether every finding stands where a value can be taken out without changing where the call goes."""
    return all(
        finding.part in SCRUBBABLE
        and finding.span[1] > finding.span[0]
        and (finding.part is PartKind.DISPLAY_NAME or finding.field.split("[")[0] not in ROUTED_HEADERS)
        for finding in findings
    )


def scrub(message: Message, findings: Iterable[Finding]) -> bytes:
    """The message with the value of each finding that may be scrubbed replaced, and no other byte changed."""
    raw = message.raw
    spans = sorted({finding.span for finding in findings if can_scrub((finding,))})
    pieces: list[bytes] = []
    position = 0
    for start, end in spans:
        if start < position:
            continue
        pieces += (raw[position:start], PLACEHOLDER)
        position = end
    pieces.append(raw[position:])
    return b"".join(pieces)
