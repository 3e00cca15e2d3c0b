"""Looks over detection rules for what would make them wrong, slow, or impossible to maintain."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

import hyperscan

from .rule import FLAGS, Rule

#: Repeats that Hyperscan counts state by state: beyond this a pattern costs more than its worth.
MAX_REPEAT: Final = 1024

_REPEAT: Final = re.compile(r"(?<!\\)\{(\d{0,9}),?(\d{0,9})\}")

_ANCHOR: Final = re.compile(r"(?<![\\\[])\^|(?<!\\)\$(?!\w*\])|\\[AzZ]")


def lint(rules: Iterable[Rule]) -> Iterator[str]:
    """One sentence for each fault, beginning with the rule's id. Nothing: the rules are sound."""
    seen: dict[str, str] = {}
    for rule in rules:
        twin = seen.setdefault(rule.pattern, rule.id)
        if twin != rule.id:
            yield f"{rule.id}: has the pattern of {twin}; keep one of them"
        yield from lint_rule(rule)


def lint_rule(rule: Rule) -> Iterator[str]:
    """The faults of one rule: its pattern, cases, reason and scores."""
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    try:
        database.compile(expressions=[rule.pattern.encode()], ids=[0], elements=1, flags=FLAGS)
    except hyperscan.error as error:
        yield f"{rule.id}: pattern: {error}"
        return
    for low, high in _REPEAT.findall(rule.pattern):
        if int(high or low or 0) > MAX_REPEAT:
            yield f"{rule.id}: pattern: repeats {high or low} times; at most {MAX_REPEAT} stay cheap"
    if _matches(database, b"Zq"):
        yield f"{rule.id}: pattern: fires on any text"
    if not rule.hits:
        yield f"{rule.id}: hits: name at least one text that the rule is for"
    if not rule.misses:
        yield f"{rule.id}: misses: name at least one harmless text that comes close"
    for text in rule.hits:
        if not _matches(database, text.encode()):
            yield f"{rule.id}: hits: does not fire on {text!r}"
    for text in rule.misses:
        if _matches(database, text.encode()):
            yield f"{rule.id}: misses: fires on {text!r}"
    if len(rule.reason.split()) < 2:
        yield f"{rule.id}: reason: say in a few words what was seen"
    if rule.prefilter == rule.pattern and _ANCHOR.search(rule.pattern):
        yield f"{rule.id}: prefilter: the pattern has an anchor, which holds in a value, not in a message; name one without"
    if not rule.score and not rule.tight:
        yield f"{rule.id}: score: 0 everywhere; such a rule says nothing"


def _matches(database: hyperscan.Database, text: bytes) -> bool:
    seen: list[int] = []
    database.scan(text, _collect, 0, seen)
    return bool(seen)


def _collect(identity: int, start: int, end: int, flags: int, seen: object) -> None:
    seen.append(identity)  # type: ignore[attr-defined]
