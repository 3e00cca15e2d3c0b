"""The form of a value: letters, digits and marks as classes, runs as one, and the n-grams of that."""

from __future__ import annotations

import re
from typing import Final

#: Bytes of a value that are looked at; SIP's fields are far shorter.
MOST: Final = 2048

#: Classes: `a` a small letter or any byte of another script, `A` a capital, `0` a digit, 0x01 a control byte; marks stay.
_CLASS: Final = bytes(
    0x61 if chr(byte).islower() or byte >= 0x80
    else 0x41 if 0x41 <= byte <= 0x5A
    else 0x30 if 0x30 <= byte <= 0x39
    else 0x01 if byte < 0x20 or byte == 0x7F
    else byte
    for byte in range(256)
)  # fmt: skip
_RUN: Final = re.compile(rb"([aA0])\1+")

#: Lengths of the n-grams. A run counts as one, so three reach over words: `a'a` is what O'Brien and n'est-ce have in common.
_LENGTHS: Final = (1, 2, 3)

#: Where a value begins and ends.
BEGIN: Final = b"\x02"
END: Final = b"\x03"


def form(value: bytes) -> bytes:
    """The form of a value: `b"O'Brien, Sean 12"` gives `b"A'Aa, Aa 0"`. Linear in its length, of which `MOST` bytes count."""
    return _RUN.sub(rb"\1", value[:MOST].translate(_CLASS))


_MIXED: Final = re.compile(rb"[aA0]+")


def plain(value: bytes) -> bytes:
    """The form of what a client makes up: letters and digits are mixed at random there, so all of them are one class."""
    return _MIXED.sub(b"a", form(value))


def grams(text: bytes) -> frozenset[bytes]:
    """The n-grams of a form, with its begin and end."""
    whole = BEGIN + text + END
    return frozenset(whole[place : place + n] for n in _LENGTHS for place in range(len(whole) - n + 1))


_NAMES: Final = {0x61: "a letter", 0x41: "a capital", 0x30: "a digit", 0x01: "a control byte", 0x20: "a space", 0x02: "the beginning", 0x03: "the end"}  # fmt: skip


def told(gram: bytes) -> str:
    """An n-gram in words: `b"';a"` is `"'", ";", a letter`."""
    return ", ".join(_NAMES.get(byte) or f'"{chr(byte)}"' for byte in gram)
