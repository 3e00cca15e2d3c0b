"""Named transforms that undo what hides a payload from a pattern."""

from __future__ import annotations

import re
from typing import Final

from .model import Part, PartKind

_PERCENT: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_QUOTED_PAIR: Final = re.compile(rb"\\(.)", re.S)
_FOLD: Final = re.compile(rb"[ \t]*\r?\n[ \t]+")
_SPACES: Final = re.compile(rb"[ \t\r\n\x0b\x0c]+")
_COMMENT: Final = re.compile(rb"/\*[^*]*(?:\*(?!/)[^*]*)*\*/")


def percent(value: bytes) -> bytes:
    """`%41` becomes `A` (RFC 3261 19.1.2, escaped = "%" HEXDIG HEXDIG)."""
    return _PERCENT.sub(lambda m: bytes((int(m[1], 16),)), value) if b"%" in value else value


def quoted_pair(value: bytes) -> bytes:
    """`\\"` becomes `"` (RFC 3261 25.1, quoted-pair)."""
    return _QUOTED_PAIR.sub(rb"\1", value) if b"\\" in value else value


def unfold(value: bytes) -> bytes:
    """A fold becomes one space (RFC 3261 7.3.1)."""
    return _FOLD.sub(b" ", value) if b"\n" in value else value


def comments(value: bytes) -> bytes:
    """An SQL comment becomes one space, as databases read it."""
    return _COMMENT.sub(b" ", value) if b"/*" in value else value


def spaces(value: bytes) -> bytes:
    """Any run of white space becomes one space."""
    return _SPACES.sub(b" ", value)


def variants(part: Part) -> list[bytes]:
    """The forms of a part's value to match, without repeats: as sent, and decoded as its grammar allows."""
    value = unfold(part.value)
    forms = [value]
    plain = quoted_pair(value) if part.quoted else value
    if part.kind is not PartKind.NAME:
        plain = percent(plain)
        twice = percent(plain)
    else:
        twice = plain
    for form in (plain, twice, spaces(comments(twice))):
        if form not in forms:
            forms.append(form)
    return forms
