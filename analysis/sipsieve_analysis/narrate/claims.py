"""Takes a sentence apart into what it states: addresses, numbers, times, names and words.

The same reading serves the evidence and the sentence that cites it, so that both are compared in one form.
"""

from __future__ import annotations

import calendar
import ipaddress
import re
from dataclasses import dataclass, field
from typing import Final

#: A sentence is no longer than this; what is longer is no sentence.
LONGEST: Final = 400

#: SIP methods (RFC 3261 and its extensions): each is a claim, and counts messages.
METHODS: Final = frozenset(
    [
        "INVITE",
        "ACK",
        "BYE",
        "CANCEL",
        "REGISTER",
        "OPTIONS",
        "PRACK",
        "SUBSCRIBE",
        "NOTIFY",
        "PUBLISH",
        "INFO",
        "REFER",
        "MESSAGE",
        "UPDATE",
    ]
)

#: What numbers count, by the nouns for it.
_UNITS: Final = {
    noun: unit
    for unit, nouns in {
        "message": "message request packet probe",
        "address": "address host source ip",
        "port": "port",
        "actor": "actor attacker",
        "user": "user account extension",
        "number": "number",
        "way": "way",
        "second": "second",
        "minute": "minute",
        "hour": "hour",
        "day": "day",
        "score": "score",
        "registration": "registration",
        "call": "call",
        "campaign": "campaign",
        "indicator": "indicator",
        "technique": "technique",
        "line": "line record",
        "time": "time",
    }.items()
    for noun in nouns.split()
}
#: Nouns that stand before their number.
_BEFORE: Final = frozenset({"score", "port"})
#: Words behind which a number's noun is not looked for.
_ENDS: Final = frozenset(
    ["and", "or", "from", "over", "in", "on", "at", "by", "for", "with", "to", "of", "between", "than"]
)

_WORDS: Final = {
    word: number
    for number, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
        ]
    )
} | {
    word: 10 * place
    for place, word in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], 2)
}
#: Numbers that nobody can look up.
_VAGUE: Final = {
    "hundred", "thousand", "million", "billion", "dozen", "twice", "thrice", "double", "triple", "half", "quarter",
    "pair", "couple", "hundreds", "thousands", "millions", "dozens", "once",
}  # fmt: skip

_MONTHS: Final = {
    name.lower(): number
    for number in range(1, 13)
    for name in (calendar.month_name[number], calendar.month_abbr[number])
}
_DAYS: Final = {
    name.lower(): number for number in range(7) for name in (calendar.day_name[number], calendar.day_abbr[number])
}

_PLAIN: Final = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-", "\u00a0": " ", "\u2026": "."})  # fmt: skip

_MONTH: Final = "|".join(sorted(_MONTHS, key=len, reverse=True))
_STAMP: Final = re.compile(
    r"\b(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d{1,6})?)?)?(?: ?UTC\b|Z\b)?", re.I
)
_DATE: Final = re.compile(
    rf"\b(?:(\d{{1,2}})(?:st|nd|rd|th)? (?:of )?({_MONTH})\b|({_MONTH})\.? (\d{{1,2}})(?:st|nd|rd|th)?\b)(?:,? (\d{{4}})\b)?",
    re.I,
)
_CLOCK: Final = re.compile(r"\b(\d{1,2}):(\d\d)(?::(\d\d))?(?: ?UTC\b)?", re.I)
_ADDRESS: Final = re.compile(
    r"(?<![\w.:-])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7})(?:/\d{1,3})?(?![\w-]|\.\w|:\w)", re.I
)
_REFERENCE: Final = re.compile(r"\b(?:[AG]\d{1,3}(?:\.\d{1,3})?|X\d{1,4})\b")
_TECHNIQUE: Final = re.compile(r"\bT\d{4}(?:\.\d{3})?\b")
_NUMBER: Final = re.compile(r"(?<![\w.])(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?( ?%| percent\b)?(?![\w])")
_WORD: Final = re.compile(r"[A-Za-z]+(?:[-'][A-Za-z]+)*")
_AT_ONCE: Final = re.compile(r"\bat once\b", re.I)
_LEFT: Final = re.compile(r"[^\s.,;:()'\"!?-]")

Clock = tuple[int, int, int]


@dataclass(slots=True)
class Claims:
    """What a text states. Times are (year, month, day) with 0 for what is not said, and (hour, minute, second or -1)."""

    addresses: set[str] = field(default_factory=set)
    #: Number and what it counts ("" where no noun says it, "%" for a share).
    numbers: set[tuple[float, str]] = field(default_factory=set)
    dates: set[tuple[int, int, int]] = field(default_factory=set)
    clocks: set[Clock] = field(default_factory=set)
    weekdays: set[int] = field(default_factory=set)
    #: Ids of evidence, of texts and of techniques.
    references: set[str] = field(default_factory=set)
    words: list[str] = field(default_factory=list)
    #: Why the text can't be taken apart at all; "" where it can.
    odd: str = ""


def read(text: str) -> Claims:
    """What `text` states. Never raises; what is no plain sentence has `odd` set."""
    found = Claims()
    text = text.translate(_PLAIN)
    if len(text) > LONGEST:
        found.odd = f"longer than {LONGEST} characters"
        return found
    if not text.isascii() or not text.isprintable():
        found.odd = "characters outside of plain English text"
        return found
    text = text.replace("[.]", ".").replace("[:]", ":").replace("ATT&CK", "attack")
    text = _AT_ONCE.sub("now", text)
    text = _ADDRESS.sub(lambda match: _address(match, found), text)
    text = _STAMP.sub(lambda match: _stamp(match, found), text)
    text = _DATE.sub(lambda match: _date(match, found), text)
    text = _CLOCK.sub(lambda match: _clock(match, found), text)
    for pattern in (_REFERENCE, _TECHNIQUE):
        found.references.update(pattern.findall(text))
        text = pattern.sub(" ; ", text)
    _numbers(text, found)
    text = _NUMBER.sub(" ", text)
    found.words = [word for word in _WORD.findall(text) if not is_number(word)]
    for word in list(found.words):
        if word.lower() in _DAYS:
            found.weekdays.add(_DAYS[word.lower()])
            found.words.remove(word)
    if left := _LEFT.search(_WORD.sub(" ", text)):
        found.odd = f"{left[0]!r} does not belong into a sentence"
    return found


def _address(match: re.Match[str], found: Claims) -> str:
    try:
        network = ipaddress.ip_network(match[0], strict=False)
    except ValueError:
        return match[0]
    found.addresses.add(str(network) if "/" in match[0] else str(network.network_address))
    return " ; "


def _stamp(match: re.Match[str], found: Claims) -> str:
    found.dates.add((int(match[1]), int(match[2]), int(match[3])))
    if match[4]:
        found.clocks.add((int(match[4]), int(match[5]), int(match[6]) if match[6] else -1))
    return " ; "


def _date(match: re.Match[str], found: Claims) -> str:
    found.dates.add((int(match[5] or 0), _MONTHS[(match[2] or match[3]).lower()], int(match[1] or match[4])))
    return " ; "


def _clock(match: re.Match[str], found: Claims) -> str:
    found.clocks.add((int(match[1]), int(match[2]), int(match[3]) if match[3] else -1))
    return " ; "


def is_number(word: str) -> bool:
    """Whether a word is a number, or several joined by a dash."""
    parts = word.lower().split("-")
    return all(part in _WORDS or part in _VAGUE for part in parts)


def _numbers(text: str, found: Claims) -> None:
    """Numbers in digits and words, each with the noun that it counts."""
    tokens = [
        match[0]
        for match in re.finditer(r"\d[\d,]*(?:\.\d+)?(?: ?%| percent\b)?|[A-Za-z]+(?:[-'][A-Za-z]+)*|[^\s]", text)
    ]
    for place, token in enumerate(tokens):
        if match := _NUMBER.fullmatch(token):
            value = float(match[1].replace(",", "") + (match[2] or ""))
            found.numbers.add((value, "%" if match[3] else _unit(tokens, place)))
        elif is_number(token):
            parts = token.lower().split("-")
            if any(part in _VAGUE for part in parts):
                # No evidence holds a number below zero: this one is never found.
                found.numbers.add((-1.0, token.lower()))
            else:
                found.numbers.add((float(sum(_WORDS[part] for part in parts)), _unit(tokens, place)))


def _unit(tokens: list[str], place: int) -> str:
    found = ""
    for word in tokens[place + 1 : place + 5]:
        noun = _noun(word)
        if found and not noun:
            break
        # Of "ten source ports" the last noun is what is counted.
        found = noun or found
        if not word[0].isalpha() or word.lower() in _ENDS:
            break
    if found:
        return found
    if place and (before := tokens[place - 1].lower().removesuffix("s")) in _BEFORE:
        return before
    # A score is "of 88" as well.
    if place > 1 and tokens[place - 1].lower() in ("of", "is", "was") and tokens[place - 2].lower() in _BEFORE:
        return tokens[place - 2].lower()
    return ""


def _noun(word: str) -> str:
    low = word.lower()
    if word.upper() in METHODS or word.upper().removesuffix("S") in METHODS:
        return "message"
    return next((_UNITS[one] for one in (low, low.removesuffix("s"), low.removesuffix("es")) if one in _UNITS), "")
