"""Proposes `[[destinations]]` from observed calls: how many dear ones and how many abroad, and to which countries."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec

from sipsieve.config.destinations import Destination, Rate
from sipsieve.config.policy import Policy

from .backtest import Backtest
from .called import Call, measured
from .peaks import Peaks, percentile

#: The room above the busiest hour or minute that was seen.
_ROOM: Final = 2

#: A source with so many times what nine in ten need gets an entry of its own.
_FAR: Final = 4.0

#: Below these no count is proposed: somebody always calls a little more than last week.
_LEAST: Final = {
    "expensive.per_minute": 2,
    "expensive.per_hour": 5,
    "abroad.per_minute": 5,
    "abroad.per_hour": 20,
    "countries_per_hour": 4,
    "block_per_hour": 10,
    "spellings_per_hour": 4,
}

#: The rules behind the counts.
_RULES: Final = {
    "destination-expensive": ("expensive.per_minute", "expensive.per_hour"),
    "destination-abroad": ("abroad.per_minute", "abroad.per_hour"),
    "destination-countries": ("countries_per_hour",),
    "destination-block": ("block_per_hour",),
    "destination-spellings": ("spellings_per_hour",),
    "destination-not-allowed": ("allowed",),
}

#: Legitimate-looking sources that call out, below which nothing is known of what is usual.
_CALLERS: Final = 5

#: Calls abroad in the last third of the time that tell whether the countries of the first two thirds are all.
_TELLING: Final = 20


@dataclass(slots=True)
class Places:
    """One entry that is proposed."""

    entry: Destination
    reason: str
    #: Sources and calls that it refuses, by the backtest: legitimate-looking ones, others.
    legitimate: tuple[int, int] = (0, 0)
    others: tuple[int, int] = (0, 0)


@dataclass(slots=True)
class Money:
    """All entries that are proposed, those for single sources first; and why, or why none."""

    why: str
    entries: list[Places] = field(default_factory=list)


def propose(policy: Policy, peaks: Peaks, confidence: str) -> Money:
    """Entries for what legitimate-looking sources call; none where there is nothing to go by."""
    if policy.destinations:
        return Money("the policy has entries of its own; they stay as they are")
    if confidence == "low":
        return Money("the data is too thin")
    calling = {source.ip: source.calls for source in peaks.legitimate() if source.calls}
    if len(calling) < _CALLERS:
        return Money(f"{len(calling)} legitimate-looking sources called numbers out: too few, {_CALLERS} are the least")
    had = {ip: measured(calls) for ip, calls in calling.items()}
    entry, far = _common(had)
    allowed, said = _allowed([call for ip, calls in calling.items() if ip not in far for call in calls])
    entry = msgspec.structs.replace(entry, allowed=allowed)
    made = Money(f"calls of {len(calling)} legitimate-looking sources; {said}")
    for number, ip in enumerate(sorted(far), 1):
        own = _own(had[ip], number, ip)
        made.entries.append(Places(own, f"needs more than the others: {_needs(had[ip])}"))
    most = {key: max((of[key] for ip, of in had.items() if ip not in far), default=0) for key in _LEAST}
    made.entries.append(Places(entry, f"the most that others had: {_needs(most)}"))
    if not policy.dialling.country:
        made.why += (
            "; [dialling] country is not set, so calls to the own country can't be told from calls abroad: set it first"
        )
    return made


def _common(had: dict[str, dict[str, int]]) -> tuple[Destination, set[str]]:
    """The entry for everybody, and the sources that it does not fit."""
    values: dict[str, int] = {}
    far: set[str] = set()
    for key, least in _LEAST.items():
        seen = sorted(of[key] for of in had.values())
        bound = max(_FAR * percentile(seen, 0.9), 2.0 * least)
        far |= {ip for ip, of in had.items() if of[key] > bound}
    for key, least in _LEAST.items():
        ordinary = [of[key] for ip, of in had.items() if ip not in far]
        values[key] = _rounded(max(_ROOM * max(ordinary, default=0), least))
    return _entry("everybody", values), far


def _own(had: dict[str, int], number: int, ip: str) -> Destination:
    values = {key: _rounded(max(_ROOM * had[key], least)) for key, least in _LEAST.items()}
    return msgspec.structs.replace(_entry(f"caller {number}", values), networks=(ip,))


def _entry(name: str, values: dict[str, int]) -> Destination:
    return Destination(
        name=name,
        expensive=Rate(per_minute=values["expensive.per_minute"], per_hour=values["expensive.per_hour"]),
        abroad=Rate(per_minute=values["abroad.per_minute"], per_hour=values["abroad.per_hour"]),
        countries_per_hour=values["countries_per_hour"],
        block_per_hour=values["block_per_hour"],
        spellings_per_hour=values["spellings_per_hour"],
    )


def _allowed(calls: list[Call]) -> tuple[tuple[str, ...], str]:
    """The countries that are called, where the last third of the time brought no new one; and what is said of them."""
    abroad = sorted(call for call in calls if call.abroad)
    lands = tuple(sorted({call.country for call in abroad if call.country and not call.dear}))
    if not abroad:
        return (), "none of them went abroad"
    late = abroad[0].time + (abroad[-1].time - abroad[0].time) * 2 / 3
    before = {call.country for call in abroad if call.time < late}
    after = [call.country for call in abroad if call.time >= late]
    if len(after) < _TELLING:
        return (), f"{len(abroad)} calls abroad are too few to name the countries that are allowed"
    if new := set(after) - before:
        return (), f"the last third of the time brought {len(new)} new countries, so none is named as allowed"
    if any(call.dear or not call.country for call in abroad):
        return (), "dear numbers are among them, so no country is named as allowed"
    return lands, f"the last third of the time brought no country beside the {len(lands)} that are allowed"


def _needs(had: dict[str, int]) -> str:
    return ", ".join(f"{key.replace('.', ' ').replace('_', ' ')} {value}" for key, value in had.items() if value)


def _rounded(value: float) -> int:
    whole = math.ceil(value)
    step: int = 10 ** max(0, len(str(whole)) - 2)
    return math.ceil(whole / step) * step


def applied(policy: Policy, money: Money) -> Policy:
    """The policy with what is proposed, as if it were enforced."""
    entries = tuple(msgspec.structs.replace(one.entry, mode="enforce") for one in money.entries)
    return msgspec.structs.replace(policy, destinations=(*policy.destinations, *entries))


def relaxed(money: Money, refused: dict[str, set[str]], *, whole: bool) -> None:
    """Takes back what refuses calls of these sources, by rule: counts get twice the room, in the end none is left."""
    for one in money.entries:
        rules = {rule for ip, mine in refused.items() if _holds(one.entry, ip, money) for rule in mine}
        for key in (key for rule in rules for key in _RULES.get(rule, ())):
            one.entry = _changed(one.entry, key, whole=whole)


def _holds(entry: Destination, ip: str, money: Money) -> bool:
    named = {network for one in money.entries for network in one.entry.networks}
    return ip in entry.networks or (not entry.networks and ip not in named)


def _changed(entry: Destination, key: str, *, whole: bool) -> Destination:
    name, _, part = key.partition(".")
    if name == "allowed":
        return msgspec.structs.replace(entry, allowed=())
    value = getattr(entry, name)
    if part:
        rate = 0 if whole else 2 * getattr(value, part)
        return msgspec.structs.replace(entry, **{name: msgspec.structs.replace(value, **{part: rate})})
    return msgspec.structs.replace(entry, **{name: 0 if whole else 2 * value})


def refused(result: Backtest) -> dict[str, set[str]]:
    """Legitimate-looking sources of which a call is refused for where it goes, with the rules behind it."""
    found = {}
    for row in result.rows.values():
        rules = {rule for rule in row.blocking if rule.startswith("destination-")}
        if rules and (row.trusted or row.standing.looks_legitimate):
            found[row.ip] = rules
    return found


def told(money: Money, result: Backtest) -> None:
    """Writes down what the entries refuse, by the backtest."""
    for one in money.entries:
        sides = {True: (0, 0), False: (0, 0)}
        for row in result.rows.values():
            calls = sum(count for rule, count in row.blocking.items() if rule.startswith("destination-"))
            if calls and _holds(one.entry, row.ip, money):
                sources, before = sides[row.standing.looks_legitimate]
                sides[row.standing.looks_legitimate] = (sources + 1, before + calls)
        one.legitimate, one.others = sides[True], sides[False]


def lines(money: Money) -> Iterator[str]:
    """The entries as TOML; in observe mode, as every new entry should begin."""
    for one in money.entries:
        entry = one.entry
        yield from ("", "[[destinations]]", f'name = "{entry.name}"   # {one.reason}', 'mode = "observe"')
        if entry.networks:
            yield f"networks = [{', '.join(map(_quoted, entry.networks))}]"
        if entry.allowed:
            yield f"allowed = [{', '.join(map(_quoted, entry.allowed))}]"
        for name in ("expensive", "abroad"):
            rate = getattr(entry, name)
            parts = [f"{part} = {getattr(rate, part)}" for part in ("per_minute", "per_hour") if getattr(rate, part)]
            if parts:
                yield f"{name} = {{ {', '.join(parts)} }}"
        for name in ("countries_per_hour", "block_per_hour", "spellings_per_hour"):
            if value := getattr(entry, name):
                yield f"{name} = {value}"


def _quoted(text: str) -> str:
    return f'"{text}"'
