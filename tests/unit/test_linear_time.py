"""No pattern can be made to cost more than in proportion to the text: hostile text is generated for each of its repeats."""

from __future__ import annotations

import importlib
import pkgutil
import re
import time
from collections.abc import Iterator
from re import _constants as constants  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from types import ModuleType
from typing import Any, Final

import pytest

import sipsieve
import sipsieve_analysis

REPEATS: Final = {constants.MAX_REPEAT, constants.MIN_REPEAT, constants.POSSESSIVE_REPEAT}
#: Characters to repeat: of each the pattern's classes hold some.
PUMPS: Final = " \t\r\n;,:<>\"'\\/=@&%$#()[]{}|.-+_*!?~^`0aAfz\x00é"
ENDS: Final = ("", "\x00", "!", "b", "\n", "\r\n", "'", "x\r\n y")

#: Patterns that are only ever tried at one place of a text.
AT_ONE_PLACE: Final = frozenset(
    {
        "sipsieve.detection.ruleset._USUAL",
        "sipsieve_analysis.readers.envelopes._STDERR",
        "sipsieve_analysis.sources._BRACKETS",
        "sipsieve_analysis.readers.asterisk._CALL_PJSIP",
        "sipsieve_analysis.readers.asterisk._CALL_SIP",
        "sipsieve_analysis.readers.asterisk._END_PJSIP",
        "sipsieve_analysis.readers.asterisk._END_SIP",
        "sipsieve_analysis.readers.freeswitch._DIALLED",
        "sipsieve_analysis.readers.freeswitch._INVITE",
        "sipsieve_analysis.readers.kinds._FORMS[4]",
        "sipsieve_analysis.readers.kinds._FORMS[5]",
        "sipsieve_analysis.readers.kinds._FORMS[6]",
        "sipsieve_analysis.readers.sensors._MESSAGE",
        "sipsieve_analysis.audit.tokens._STRING",
        "sipsieve_analysis.audit.tokens._TOKENS",
    }
)

#: Those of an operator's own configuration, which is no attacker's.
OF_A_CONFIGURATION: Final = frozenset(
    {
        "sipsieve_analysis.operate.kamailio_config._TOKEN",
        "sipsieve_analysis.audit.source._WORD",
        "sipsieve_analysis.audit.tokens._HEAD",
    }
)


def modules() -> Iterator[ModuleType]:
    for package in (sipsieve, sipsieve_analysis):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.endswith("__main__"):
                yield importlib.import_module(found.name)


def inside(value: Any) -> Iterator[re.Pattern[Any]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, (tuple, list, set, frozenset)):
        for item in value:
            yield from inside(item)
    elif isinstance(value, dict):
        yield from inside(list(value.values()))


def patterns() -> dict[str, re.Pattern[Any]]:
    """Every pattern that a module holds, by the name that it has there first."""
    found: dict[tuple[Any, int], tuple[str, re.Pattern[Any]]] = {}
    for module in modules():
        for name, value in vars(module).items():
            for number, pattern in enumerate(inside(value)):
                label = f"{module.__name__}.{name}" + (f"[{number}]" if number else "")
                found.setdefault((pattern.pattern, pattern.flags), (label, pattern))
    return dict(found.values())


PATTERNS: Final = patterns()


def shortest(nodes: Any) -> str:
    """A short text that a parsed pattern matches, roughly: look-arounds and back references are passed over."""
    text = ""
    for kind, value in nodes:
        if kind is constants.LITERAL:
            text += chr(value)
        elif kind is constants.NOT_LITERAL:
            text += "b" if value != ord("b") else "c"
        elif kind is constants.ANY:
            text += "b"
        elif kind is constants.IN:
            text += next((c for c in "a0 bf;:<\"'.-@" + PUMPS if matches(value, c)), "a")
        elif kind in REPEATS:
            text += shortest(value[2]) * value[0]
        elif kind is constants.SUBPATTERN:
            text += shortest(value[3])
        elif kind is constants.ATOMIC_GROUP:
            text += shortest(value)
        elif kind is constants.BRANCH:
            text += shortest(value[1][0])
    return text


def matches(members: Any, character: str) -> bool:
    pattern = parser.SubPattern(parser.State())
    pattern.append((constants.IN, members))
    compiled = re._compiler.compile(pattern, re.I)  # type: ignore[attr-defined]
    return compiled.match(character) is not None


def repeats(nodes: Any, before: str = "") -> Iterator[tuple[str, str]]:
    """For each repeat what leads to it, and what one round of it may look like."""
    for number, (kind, value) in enumerate(nodes):
        lead = before + shortest(nodes[:number])
        if kind in REPEATS:
            if value[1] > 8:
                yield lead, shortest(value[2])
            yield from repeats(value[2], lead)
        elif kind is constants.SUBPATTERN:
            yield from repeats(value[3], lead)
        elif kind is constants.ATOMIC_GROUP:
            yield from repeats(value, lead)
        elif kind is constants.BRANCH:
            for branch in value[1]:
                yield from repeats(branch, lead)


def attacks(pattern: re.Pattern[Any], size: int) -> Iterator[Any]:
    text = pattern.pattern
    parsed = parser.parse(text, pattern.flags & ~(re.U if isinstance(text, bytes) else 0))
    for lead, once in sorted(set(repeats(parsed))):
        for pump in dict.fromkeys((once, *PUMPS)):
            if not pump:
                continue
            for whole in (pump, lead + pump) if lead else (pump,):
                for end in ENDS:
                    made = lead + whole * (size // len(whole)) + end
                    yield made.encode() if isinstance(text, bytes) else made


def cost(pattern: re.Pattern[Any], name: str, text: Any) -> float:
    """Seconds of CPU to use a pattern as the code does."""
    begun = time.process_time()
    if name in AT_ONE_PLACE:
        pattern.match(text)
    else:
        for _ in pattern.finditer(text):
            pass
    return time.process_time() - begun


def of_groups(nodes: Any) -> bool:
    """Whether something of more than one character is repeated possessively."""
    for kind, value in nodes:
        if kind is constants.POSSESSIVE_REPEAT and (
            len(value[2]) != 1 or value[2][0][0] in {constants.SUBPATTERN, *REPEATS}
        ):
            return True
        inner = {constants.SUBPATTERN: lambda v: [v[3]], constants.BRANCH: lambda v: v[1]}.get(kind)
        if kind in REPEATS:
            inner = lambda v: [v[2]]  # noqa: E731
        if inner and any(of_groups(part) for part in inner(value)):
            return True
    return False


def test_no_group_is_repeated_possessively() -> None:
    # Python 3.11.2, Debian 12's, goes on from the wrong place after one whose last round failed.
    for name, pattern in PATTERNS.items():
        text = pattern.pattern
        assert not of_groups(parser.parse(text, pattern.flags & ~(re.U if isinstance(text, bytes) else 0))), name


@pytest.mark.parametrize("name", sorted(PATTERNS.keys() - OF_A_CONFIGURATION))
def test_a_pattern_is_linear(name: str) -> None:
    pattern = PATTERNS[name]
    for short, long in zip(attacks(pattern, 400), attacks(pattern, 1600), strict=True):
        # No linear pattern needs a millisecond for 1,600 characters.
        if cost(pattern, name, long) > 0.001:
            # The least of several, in turn: what a busy machine adds is no cost of the pattern.
            costs = [(cost(pattern, name, long), cost(pattern, name, short)) for _ in range(20)]
            ratio = min(one for one, _ in costs) / max(min(other for _, other in costs), 2e-5)
            assert ratio < 8, f"{len(long)} characters cost {ratio:.0f} times what {len(short)} do: {short[:80]!r}"
