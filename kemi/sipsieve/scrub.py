"""Takes hostile values out of a message and leaves the rest of it as it was."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from .grammar import ROUTED_HEADERS
from .model import Finding, Message, Part, PartKind

#: What a removed value is replaced by: a token, so that it is valid wherever a value may stand.
PLACEHOLDER = b"removed"

#: Headers whose values stand in a reply as the request had them: its sender finds its call by them.
_ECHOED: Final = frozenset({"via", "from", "to", "call-id", "cseq", "record-route", "route", "rack", "rseq"})


#: Parameters of a URI that say how its host is reached (RFC 3261 19.1.1): with another value a dialog's requests
#: would not arrive.
_REACHING: Final = frozenset({"transport", "maddr", "ttl", "lr", "comp"})


def removable(part: Part, is_reply: bool) -> bool:
    """Whether a part's value can be replaced without changing where the call goes.

    A reply can't be refused, since the callee has answered (RFC 3261 13.3.1.4), so more is taken out of
    it, but never what its host is reached by: a Contact is where the rest of the dialog is sent.
    """
    if part.start >= part.end:
        return False
    if part.kind is PartKind.DISPLAY_NAME:
        return True
    if part.kind is PartKind.TEXT:
        return part.header not in ROUTED_HEADERS
    if part.kind is PartKind.PARAMETER and part.quoted and part.header not in ROUTED_HEADERS:
        return True
    if part.kind is PartKind.URI_PARAMETER and part.field.rpartition(".")[2] in _REACHING:
        return False
    if is_reply and part.header not in _ECHOED:
        return part.kind in (
            PartKind.USERINFO,
            PartKind.PASSWORD,
            PartKind.PARAMETER,
            PartKind.URI_PARAMETER,
            PartKind.URI_HEADER,
        )
    return False


def can_scrub(findings: Iterable[Finding]) -> bool:
    """Whether every finding stands where a value can be taken out without changing where the call goes."""
    return all(finding.removable for finding in findings)


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
