"""What a value is looked at by: its form, its marks alone, its kinds of words, and how many it has of what; never its letters."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from . import form as forms
from .form import BEGIN, END, MOST

#: Letters as vowel or consonant, small or capital; bytes of other scripts as one; digits as one; control bytes as one; marks stay.
_SPELLED: Final = bytes(
    0x80 if byte >= 0x80
    else ord("e") if chr(byte) in "aeiouy"
    else ord("E") if chr(byte) in "AEIOUY"
    else ord("b") if chr(byte).islower()
    else ord("B") if chr(byte).isupper()
    else 0x30 if 0x30 <= byte <= 0x39
    else 0x01 if byte < 0x20 or byte == 0x7F
    else byte
    for byte in range(256)
)  # fmt: skip

_TOKEN: Final = re.compile(rb"[BEbe\x80]+|0+|.", re.DOTALL)
_NOT_MARKS: Final = re.compile(rb"[A-Za-z0-9\x80-\xff ]+")

#: Kinds of words, each a byte from 0x80 on: how it is written, how long it is, whether it has a vowel.
_CASES: Final = ("small", "capitalized", "capital", "mixed")
_LENGTHS: Final = ((2, "2"), (3, "3"), (6, "4 to 6"), (10, "7 to 10"), (MOST, "more than 10"))
_SMALL_LETTER: Final = 0x80
_CAPITAL_LETTER: Final = 0x81
_FOREIGN: Final = 0x82
_KINDS: Final = 0x84

#: Steps that counts are told by.
_BYTES: Final = (16, 24, 32, 40, 48, 64, 80, 100, 150)
_WORDS: Final = (3, 4, 5, 6, 7, 8, 10, 12, 16)
_SMALL: Final = (1, 2, 3, 4, 5, 6, 8)
_NUMBERS: Final = (2, 3, 4, 6)
_OF_ONE_MARK: Final = (2, 3, 4, 6, 8)
_MARKS: Final = (1, 2, 3, 4, 5, 6, 8, 12, 16)

#: What a count is of, each told by "… or more".
_TOLD: Final = {
    b"L": "bytes", b"K": "words", b"l": "words in small letters", b"o": "words, all in small letters,", b"0": "numbers",
    b"\x05": "marks", b"\x06": "different marks",
}  # fmt: skip
_NO_CAPITAL: Final = b"n"
_ONE_MARK: Final = b"\x04"
#: Words and marks next to each other, spaces left out.
_WITHOUT_SPACES: Final = b"\x04"


def spelled(value: bytes) -> bytes:
    """A value without its letters and digits: `b"O'Brien 12"` gives `b"E'Bbeeb 00"`. All views are made of it; it is in no model."""
    return value[:MOST].translate(_SPELLED)


class View(NamedTuple):
    """One way to look at a spelled value: what it is seen to have, and how one of that is told."""

    name: str
    see: Callable[[bytes], frozenset[bytes]]
    tell: Callable[[bytes], str]
    #: What counts begin with; they end with their step.
    counts: bytes = b""

    def covers(self, one: bytes, other: bytes) -> bool:
        """Whether what one says is said by another: a strange byte by what it stands in, a count by a higher one."""
        return one in other or (one[0] in self.counts and one[:-1] == other[:-1])


def _steps(name: bytes, count: int, steps: tuple[int, ...]) -> Iterator[bytes]:
    return (name + bytes((step,)) for step in steps if count >= step)


def _counted(name: bytes) -> str:
    return f"{name[-1]} {_TOLD[name[:1]]} or more"


def _runs(whole: bytes, *lengths: int) -> Iterator[bytes]:
    return (whole[place : place + n] for n in lengths for place in range(len(whole) - n + 1))


def _see_form(text: bytes) -> frozenset[bytes]:
    return forms.grams(forms.form(text))


def _tell_form(gram: bytes) -> str:
    return forms.told(gram) + (" in a row" if len(gram) > 1 else "")


def _see_plain(text: bytes) -> frozenset[bytes]:
    return forms.grams(forms.plain(text))


def _see_marks(text: bytes) -> frozenset[bytes]:
    marks = _NOT_MARKS.sub(b"", text)
    counts = Counter(marks)
    found = set(_runs(BEGIN + marks + END, 2, 3))
    for mark, count in counts.items():
        found.update(_steps(_ONE_MARK + bytes((mark,)), count, _OF_ONE_MARK))
    found.update(_steps(b"\x05", len(marks), _MARKS), _steps(b"\x06", len(counts), _MARKS))
    return frozenset(found)


def _tell_marks(gram: bytes) -> str:
    if gram[:1] == _ONE_MARK:
        return f"{gram[2]} times {forms.told(gram[1:2])} or more"
    return _counted(gram) if gram[0] in b"\x05\x06" else f"{forms.told(gram)} as neighbours among its marks"


def _kind(word: bytes) -> int:
    if 0x80 in word:
        return _FOREIGN + (len(word) >= 12)
    if len(word) == 1:
        return _SMALL_LETTER if word.islower() else _CAPITAL_LETTER
    case = 2 if word.isupper() else 0 if word.islower() else 1 if word[:1].isupper() and word[1:].islower() else 3
    length = next(place for place, (most, _) in enumerate(_LENGTHS) if len(word) <= most)
    return _KINDS + (case * len(_LENGTHS) + length) * 2 + (b"e" not in word.lower())


def _kinds(text: bytes) -> bytes:
    """A spelled value's words by their kinds, numbers as one digit, everything else as it is."""
    return bytes(_kind(token) if token[0] in b"BEbe\x80" else token[0] for token in _TOKEN.findall(text))


def _see_words(text: bytes) -> frozenset[bytes]:
    whole = BEGIN + _kinds(text) + END
    return frozenset(_runs(whole, 1, 2, 3)).union(
        _WITHOUT_SPACES + run for run in _runs(whole.replace(b" ", b""), 2, 3)
    )


def _told_kind(byte: int) -> str:
    if byte < 0x80:
        return forms.told(bytes((byte,))) if byte != 0x30 else "a number"
    if byte < _KINDS:
        return {_SMALL_LETTER: "a single letter", _CAPITAL_LETTER: "a single capital"}.get(
            byte, "a word of another script"
        )
    rest, bare = divmod(byte - _KINDS, 2)
    case, length = divmod(rest, len(_LENGTHS))
    return f"a {_CASES[case]} word of {_LENGTHS[length][1]} letters" + (" without a vowel" if bare else "")


def _tell_words(gram: bytes) -> str:
    row = gram.removeprefix(_WITHOUT_SPACES)
    return ", ".join(_told_kind(byte) for byte in row) + (" in a row" if len(row) > 1 else "")


def _see_counts(text: bytes) -> frozenset[bytes]:
    kinds = _kinds(text)
    words = [byte for byte in kinds if byte >= 0x80]
    small = sum(byte == _SMALL_LETTER or _KINDS <= byte < _KINDS + 2 * len(_LENGTHS) for byte in words)
    found = {*_steps(b"L", len(text), _BYTES), *_steps(b"K", len(words), _WORDS), *_steps(b"l", small, _SMALL)}
    found.update(_steps(b"0", kinds.count(0x30), _NUMBERS))
    if words and small == len(words):
        found.update(_steps(b"o", small, _SMALL))
        found.add(_NO_CAPITAL)
    return frozenset(found)


def _tell_counts(gram: bytes) -> str:
    return "words without a capital" if gram == _NO_CAPITAL else _counted(gram)


#: N-grams of the form; of the marks alone, with how many there are; of kinds of words; and counts of what it is made of.
FORM: Final = View("form", _see_form, _tell_form)
PLAIN: Final = View("plain", _see_plain, _tell_form)
MARKS: Final = View("marks", _see_marks, _tell_marks, _ONE_MARK + b"\x05\x06")
WORDS: Final = View("words", _see_words, _tell_words)
COUNTS: Final = View("counts", _see_counts, _tell_counts, b"LKlo0")

VIEWS: Final = {view.name: view for view in (FORM, PLAIN, MARKS, WORDS, COUNTS)}

#: By what fields are: what clients make up, what is new in each message and has no words, and all others.
OF_MADE_UP: Final = (PLAIN,)
OF_WORDLESS: Final = (FORM, MARKS)
OF_OTHERS: Final = (FORM, MARKS, COUNTS, WORDS)
