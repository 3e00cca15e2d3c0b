"""Says which words a text must contain for a pattern to match it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final, NamedTuple

#: Alternatives followed at once. More are cut where they arise, and the words found so far serve.
_MAX_WORDS: Final = 256

#: Members of a character class that are spelt out.
_MAX_CLASS: Final = 12

#: A word shorter than this stands in too many texts to tell anything, but for these.
MIN_LENGTH: Final = 3
_RARE: Final = frozenset({"0x", "@@"})

Words = frozenset[str]


class _UnknownError(Exception):
    """A construct whose meaning is not known here."""


class _Fact(NamedTuple):
    """What is known of the texts that a piece of a pattern matches, in lower case.

    `exact`: all of them, if they are few. `words`: every one contains one of these. `tail`: every one
    ends with one of these. None where nothing is known.
    """

    exact: Words | None
    words: Words | None
    tail: Words | None = None


_EMPTY: Final = frozenset({""})

# Where a word ends is part of it, as a mark: "is" alone is rarer than "is" in "register".
_EDGE: Final = "\x01"
_END: Final = "\x02"
_MARKS: Final = {_EDGE: r"\b", _END: "$"}
_PLACES: Final = {"AT_BOUNDARY": _EDGE, "AT_END": _END}
#: No word ends between two letters.
_INSIDE: Final = re.compile(rf"\w{_EDGE}\w")
_LONG: Final = frozenset({"   "})


def words(pattern: str, alphabet: bytes) -> Words | None:
    """Plain patterns (words, with `\\b` and `$`) of which every match contains one, in a text of this alphabet.

    The pattern is matched in any case, and `.` matches a line end. Without any word: the pattern
    can't match such a text at all. None: nothing is known, or only what is shorter than `MIN_LENGTH`.
    """
    try:
        fact = _sequence(_read(pattern), frozenset(alphabet.lower() + alphabet.upper()))
    except (ImportError, re.error, OverflowError, RecursionError, _UnknownError):
        return None
    if fact is None:
        return frozenset()
    if fact.words is None or _weight(fact.words - _RARE or _LONG) < MIN_LENGTH:
        return None
    possible = (word for word in fact.words if not _INSIDE.search(word))
    return frozenset("".join(_MARKS.get(letter) or re.escape(letter) for letter in word) for word in possible)


@lru_cache(maxsize=1024)
def _read(pattern: str) -> tuple[tuple[Any, Any], ...]:
    # The standard library's own reading of a pattern. It has no public name (sre_parse is deprecated).
    from re import _parser  # type: ignore[attr-defined]

    return tuple(_parser.parse(pattern, re.DOTALL))


def _weight(found: Words | None) -> int:
    """The length of the shortest word; a mark that something ends there tells as much as a letter."""
    return min((len(word) if word.strip(_EDGE + _END) else 0 for word in found or ()), default=0)


def _sequence(tree: Iterable[tuple[Any, Any]], alphabet: frozenset[int]) -> _Fact | None:
    """What is known of a sequence; None where it can't match."""
    return _joined([_item(str(operation), argument, alphabet) for operation, argument in tree])


def _joined(facts: list[_Fact | None]) -> _Fact | None:
    best: Words | None = None
    run = _EMPTY
    whole = True
    for fact in facts:
        if fact is None:
            return None
        best = _better(best, fact.words)
        if fact.exact is not None and len(run) * len(fact.exact) <= _MAX_WORDS:
            run = frozenset(head + tail for head in run for tail in fact.exact)
            continue
        best = _better(best, run)
        whole = False
        run = fact.exact if fact.exact is not None else fact.tail or _EMPTY
    return _Fact(run if whole else None, _better(best, run), None if whole else run)


def _better(one: Words | None, other: Words | None) -> Words | None:
    """The set that tells more: of longer words, of equals the smaller."""
    if other is None or not _weight(other):
        return one
    if one is None or (_weight(other), -len(other)) > (_weight(one), -len(one)):
        return other
    return one


def _item(operation: str, argument: Any, alphabet: frozenset[int]) -> _Fact | None:
    match operation:
        case "LITERAL":
            return _class(frozenset({argument}), alphabet)
        case "NOT_LITERAL":
            return _class(_EVERY - {argument}, alphabet)
        case "ANY":
            return _class(_EVERY, alphabet)
        case "IN":
            return _class(_members(argument), alphabet)
        case "AT":
            return _Fact(frozenset({_PLACES.get(str(argument), "")}), None)
        case "SUBPATTERN":
            return _sequence(argument[3], alphabet)
        case "BRANCH":
            return _any([fact for fact in (_sequence(branch, alphabet) for branch in argument[1]) if fact])
        case "MAX_REPEAT" | "MIN_REPEAT":
            return _repeat(argument[0], argument[1], _sequence(argument[2], alphabet))
    raise _UnknownError(operation)


def _any(facts: list[_Fact]) -> _Fact | None:
    if not facts:
        return None
    exact = [fact.exact for fact in facts if fact.exact is not None]
    if len(exact) == len(facts):
        everything = frozenset().union(*exact)
        if len(everything) <= _MAX_WORDS:
            return _Fact(everything, everything if "" not in everything else None)
    found = [fact.words for fact in facts if fact.words is not None]
    return _Fact(None, frozenset().union(*found) if len(found) == len(facts) else None)


def _repeat(least: int, most: int, fact: _Fact | None) -> _Fact | None:
    if least == 0:
        if fact is None:
            return _Fact(_EMPTY, None)
        if most == 1 and fact.exact is not None:
            return _Fact(fact.exact | _EMPTY, None)
        return _Fact(None, None)
    if fact is None:
        return None
    if least == most:
        repeated = _joined([fact] * min(least, 8))
        if least <= 8 or repeated is None:
            return repeated
        return _Fact(None, repeated.words, fact.exact)
    repeated = _joined([fact] * min(least, 8))
    # However often it was repeated, the last time stands before whatever follows.
    return repeated and _Fact(None, repeated.words, fact.exact if fact.exact and "" not in fact.exact else None)


def _class(members: frozenset[int], alphabet: frozenset[int]) -> _Fact | None:
    # Patterns are matched in any case.
    both = members | {ord(chr(member).swapcase()) for member in members if member < 128}
    able = both & alphabet
    if not able:
        return None
    letters = frozenset(chr(member).lower() for member in able)
    return _Fact(letters, letters) if len(letters) <= _MAX_CLASS else _Fact(None, None)


def _members(items: Iterable[tuple[Any, Any]]) -> frozenset[int]:
    members: set[int] = set()
    negated = False
    for operation, argument in items:
        match str(operation):
            case "NEGATE":
                negated = True
            case "LITERAL":
                members.add(argument)
            case "RANGE":
                members.update(range(argument[0], argument[1] + 1))
            case "CATEGORY":
                known = _CATEGORIES.get(str(argument))
                if known is None:
                    raise _UnknownError(str(argument))
                members.update(known)
            case unknown:
                raise _UnknownError(unknown)
    return _EVERY - members if negated else frozenset(members)


_DIGIT: Final = frozenset(b"0123456789")
_BLANK: Final = frozenset(b" \t\n\r\x0b\x0c")
_WORD: Final = _DIGIT | frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_")
_EVERY: Final = frozenset(range(256))
_CATEGORIES: Final = {
    "CATEGORY_DIGIT": _DIGIT,
    "CATEGORY_NOT_DIGIT": _EVERY - _DIGIT,
    "CATEGORY_SPACE": _BLANK,
    "CATEGORY_NOT_SPACE": _EVERY - _BLANK,
    "CATEGORY_WORD": _WORD,
    "CATEGORY_NOT_WORD": _EVERY - _WORD,
}
