"""Looks over detection rules for what would make them wrong, slow, or impossible to maintain."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from .. import _core
from .rule import Rule

#: Repeats that are counted state by state: beyond this a pattern costs more than its worth.
MAX_REPEAT: Final = 1024

#: Bytes from which on a gap in which nearly anything may stand is a wide one.
WIDE_GAP: Final = 30

_GAP: Final = re.compile(r"((?<!\\)\.|\[\^(?:\\.|[^\[\]\\]){1,80}\])\{([01]),(\d{1,9})\}")
_REPEAT: Final = re.compile(r"(?<!\\)\{(\d{0,9}),?(\d{0,9})\}")


def lint(rules: Iterable[Rule]) -> Iterator[str]:
    """One sentence for each fault, beginning with the rule's id. Nothing: the rules are sound."""
    seen: dict[str, str] = {}
    for rule in rules:
        twin = seen.setdefault(rule.pattern, rule.id)
        if twin != rule.id:
            yield f"{rule.id}: has the pattern of {twin}; keep one of them"
        yield from lint_rule(rule)
        yield from _headers(rule)
        yield from _gaps(rule)


def lint_rule(rule: Rule) -> Iterator[str]:
    """The faults of one rule: its pattern, cases, reason and scores."""
    try:
        matches = _core.Ruleset([rule.spec], []).match
    except ValueError as error:
        yield str(error)
        return
    for low, high in _REPEAT.findall(rule.pattern):
        if int(high or low or 0) > MAX_REPEAT:
            yield f"{rule.id}: pattern: repeats {high or low} times; at most {MAX_REPEAT} stay cheap"
    if matches(b"Zq"):
        yield f"{rule.id}: pattern: fires on any text"
    if not rule.hits:
        yield f"{rule.id}: hits: name at least one text that the rule is for"
    if not rule.misses:
        yield f"{rule.id}: misses: name at least one harmless text that comes close"
    for text in rule.hits:
        if not matches(text.encode()):
            yield f"{rule.id}: hits: does not fire on {text!r}"
    for text in rule.misses:
        if matches(text.encode()):
            yield f"{rule.id}: misses: fires on {text!r}"
    if len(rule.reason.split()) < 2:
        yield f"{rule.id}: reason: say in a few words what was seen"
    if not rule.score and not rule.tight and not rule.made:
        yield f"{rule.id}: score: 0 everywhere; such a rule says nothing"


def _gaps(rule: Rule) -> Iterator[str]:
    """Gaps with a bound, `a.{0,60}b`: text that begins one again and again makes a state of the pattern at each byte, which costs
    thirty times what `a.*b` does. Values have a bound of their own."""
    for piece, low, high in _GAP.findall(rule.pattern):
        if int(high) >= WIDE_GAP:
            yield f"{rule.id}: pattern: write {piece}{'+' if low == '1' else '*'} for {piece}{{{low},{high}}}, which is dear"


def _headers(rule: Rule) -> Iterator[str]:
    """Header fields that the rule names and that no part of any message is named like: it would never fire there.

    Such a rule is harmless, so it is told of here, and an operator's is not refused at the start.
    """
    for name in sorted(rule.headers):
        if name.lower() == "sdp":
            # It is shown so, but the parts are the body's.
            yield f"{rule.id}: headers: {name!r} never matches; a session description is 'body' here"
            continue
        raw = b"OPTIONS sip:a@example.com SIP/2.0\r\n%s: x\r\n\r\n" % name.encode()
        named = [header[0] for header in _core.parse(raw)[6]]
        if any(defect[0] == "header-name" for defect in _core.check(raw, len(raw))) or len(named) != 1:
            yield f"{rule.id}: headers: {name!r} is no name of a header field; it never matches"
        elif named != [name.lower()]:
            yield f"{rule.id}: headers: {name!r} never matches; that header field is {named[0]!r} here"
