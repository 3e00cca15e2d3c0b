"""What a variable may hold: literal text and, between it, what a sender wrote; and what a reader makes of that."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from .catalogue import Source
from .source import Place

#: Of each value so many alternatives are followed, each of so many pieces; more is merged into those.
ALTERNATIVES: Final = 8
PIECES: Final = 64


@dataclass(slots=True, frozen=True)
class Step:
    """One place on the way of a value."""

    place: Place
    text: str


@dataclass(slots=True, frozen=True)
class Taint:
    """What a sender wrote, as it stands in a value."""

    source: Source
    #: As it was read, `$fU` or `$(hdr(X){s.len})`, and where.
    written: str
    inner: str
    read: Place
    transformations: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()

    def through(self, transformations: tuple[str, ...]) -> Taint:
        return replace(self, transformations=self.transformations + transformations) if transformations else self

    def over(self, step: Step) -> Taint:
        return self if len(self.steps) >= 12 or step in self.steps else replace(self, steps=(*self.steps, step))


Piece = str | Taint
#: Each alternative is a row of pieces.
Value = tuple[tuple[Piece, ...], ...]

NOTHING: Final[Value] = ((),)


def literal(text: str) -> Value:
    return ((text,),)


def either(values: Iterable[Value]) -> Value:
    """What may be one of these."""
    found: dict[tuple[Piece, ...], None] = {}
    for value in values:
        for row in value:
            if len(found) < ALTERNATIVES:
                found.setdefault(row)
    return tuple(found) or NOTHING


def together(values: Iterable[Value]) -> Value:
    """One value behind the other."""
    made: Value = NOTHING
    for value in values:
        made = tuple(dict.fromkeys((row + more)[:PIECES] for row in made for more in value))[:ALTERNATIVES]
    return made


def tainted(value: Value) -> bool:
    return any(isinstance(piece, Taint) for row in value for piece in row)


def mapped(value: Value, transformations: tuple[str, ...], step: Step | None = None) -> Value:
    """A value read through transformations, which may leave nothing of its literal text, and over a step of its way."""

    def each(piece: Piece) -> Piece:
        if isinstance(piece, str):
            return "" if transformations else piece
        return (piece if step is None else piece.over(step)).through(transformations)

    return tuple(tuple(each(piece) for piece in row) for row in value)


@dataclass(slots=True, frozen=True)
class Standing:
    """Where in a text a sender's piece stands: the quote around it ("" for none), and what is before it."""

    taint: Taint
    quote: str
    before: str


def standings(row: tuple[Piece, ...], quotes: str) -> Iterator[Standing]:
    """Every sender's piece of an alternative."""
    quote, before = "", ""
    for piece in row:
        if isinstance(piece, Taint):
            yield Standing(piece, quote, before)
            before += "\0"
            continue
        skip = False
        for one in piece:
            if skip:
                skip = False
            elif one == "\\":
                skip = True
            elif quote:
                quote = "" if one == quote else quote
            elif one in quotes:
                quote = one
        before += piece


_SAFE: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+-@:")


#: Marks of telephone keypads: text between quotes, but a shell's wildcard or a comment outside of them.
_KEYS: Final = frozenset("*#")

#: The transformation that stands for a comparison that lets these marks through, too.
KEYPAD: Final = "allowed.keypad"


def narrow(pattern: str, *, keys: bool = False) -> bool:
    """Whether all that a regular expression can match is harmless anywhere: anchored at both ends, of letters, digits, few marks.

    `keys`: whether it is but for the marks of a keypad, `*` and `#`, in classes or escaped.
    """
    safe = _SAFE | _KEYS if keys else _SAFE
    if not (pattern.startswith("^") and pattern.endswith("$")):
        return False
    body = pattern[1:-1]
    try:
        re.compile(body)
    except re.error:
        return False
    # What is left without classes, repeats and escapes must be safe characters too.
    body = re.sub(r"\[:(?:digit|alnum|alpha):\]", "0", body)
    for found in re.findall(r"\[([^\]]+)\]", body):
        inside = re.sub(r"\w-\w", "", found.replace("\\d", "").replace("\\w", "")).replace("\\", "")
        if found.startswith("^") or not set(inside) <= safe:
            return False
    rest = re.sub(
        r"\[[^\]]+\]|\\[dw.+*]|\{\d*,?\d*\}|[()|+*?]" if keys else r"\[[^\]]+\]|\\[dw.+]|\{\d*,?\d*\}|[()|+*?]",
        "",
        body,
    )
    # A dot that is not escaped is any character.
    return "." not in rest and set(rest) <= safe
