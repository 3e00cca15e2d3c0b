"""Which words a narrated sentence may use without proof, and when two words are one."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Final

_SECTION: Final = re.compile(r"^\[(function|plain|no|ours)\]$")


@cache
def _sections() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    section = ""
    for line in (files(__package__) / "words.txt").read_text(encoding="utf-8").splitlines():
        if match := _SECTION.match(line):
            section = match[1]
        elif line and not line.startswith("#"):
            found.setdefault(section, set()).update(line.split())
    return {name: frozenset(words) for name, words in found.items()}


@cache
def base(strict: bool = False) -> frozenset[str]:
    """The words that need no proof; only those that carry no meaning of their own where `strict`."""
    sections = _sections()
    return sections["function"] if strict else sections["function"] | sections["plain"]


def negations() -> frozenset[str]:
    """Words that turn a sentence around."""
    return _sections()["no"]


def ours() -> frozenset[str]:
    """Further words of our own sentences, by which a value in one is told from what we wrote."""
    return _sections()["ours"]


@cache
def forms(word: str) -> frozenset[str]:
    """The word, in lower case, and what it may be a form of: `banned` is `ban`, `dialled` is `dial`."""
    word = word.lower().removesuffix("'s").removesuffix("'")
    found = {word}
    for ending, put in (("s", ""), ("es", ""), ("ies", "y"), ("ed", ""), ("ed", "e"), ("ied", "y"), ("ing", ""), ("ing", "e"), ("ly", "")):  # fmt: skip
        if word.endswith(ending) and len(word) - len(ending) >= (2 if ending == "s" else 3):
            stem = word[: -len(ending)] + put
            found.add(stem)
            if ending in ("ed", "ing") and not put and len(stem) > 3 and stem[-1] == stem[-2]:
                found.add(stem[:-1])
    return frozenset(found)


def known(word: str, strict: bool = False) -> bool:
    """Whether a word needs no proof."""
    return not forms(word).isdisjoint(base(strict))
