"""Finds the lines of a session description that hold text."""

from __future__ import annotations

from typing import Final

import hyperscan

from .patterns import Pattern, compile_set

#: Lines read one by one: a description has three of them and one more for each stream that it names.
MAX_LINES: Final = 64

# Origin, session name, information, URI and e-mail address (RFC 8866 5.2 to 5.6). Lines end with CRLF or LF.
_BEGINNING: Final = compile_set([Pattern(0, r"(?:^|\n)[osiue]=", 0)])


def text_lines(raw: bytes, start: int = 0) -> list[tuple[int, int]]:
    """The spans of the lines of `raw[start:]` with text, line ends not included; of more than `MAX_LINES` one more span.

    That one begins with the line after them and holds all that follows, so that nothing is left unread. Takes
    microseconds for a body of 64 KiB, whatever is in it.
    """
    ends: list[int] = []
    more = False
    try:
        _BEGINNING.scan(raw[start:], _collect, 0, ends)
    except hyperscan.ScanTerminated:
        more = True
    spans = []
    for end in ends[:MAX_LINES]:
        stop = raw.find(b"\n", start + end)
        line = raw[start + end - 2 : len(raw) if stop < 0 else stop]
        spans.append((start + end - 2, start + end - 2 + len(line.rstrip(b"\r"))))
    if more:
        spans.append((start + ends[MAX_LINES] - 2, len(raw)))
    return spans


def _collect(identity: int, start: int, end: int, flags: int, ends: object) -> bool | None:
    ends.append(end)  # type: ignore[attr-defined]
    return len(ends) > MAX_LINES or None  # type: ignore[arg-type]
