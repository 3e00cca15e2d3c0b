"""Takes hostile values out of a message and leaves the rest of it as it was."""

from __future__ import annotations

from collections.abc import Iterable

from .. import _core
from ..model import Finding

#: What a removed value is replaced by: a token, so that it is valid wherever a value may stand.
PLACEHOLDER = b"removed"


def can_scrub(findings: Iterable[Finding]) -> bool:
    """Whether every finding stands where a value can be taken out without changing where the call goes."""
    return all(finding.removable for finding in findings)


def scrub(raw: bytes, findings: Iterable[Finding]) -> bytes:
    """The message with the value of each finding that may be scrubbed replaced, and no other byte changed."""
    return _core.scrub(raw, [finding.span for finding in findings if finding.removable])
