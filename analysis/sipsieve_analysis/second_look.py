"""Joins groups that are accused each by itself of the same deed, where a log quotes too little to join them at first sight.

Of a message that a plain server's log line quotes, the form of the Call-ID and the User-Agent are all that tells of the program, and
lawful phones often show the same. Between strangers they say little. Between two who do what no phone does, by clients that look
alike, at the same time and the same pace, it is a coincidence that somebody else does just that. Nobody lawful is asked: who got
anything accepted is in no such group.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median
from typing import Final

from .attribution.signs import ENOUGH, Traits, is_own
from .campaigns import Campaign, CampaignType
from .links import Forest, Group
from .sources import Source

#: Deeds by which groups are compared, under one name where they differ by the number of addresses alone.
_DEEDS: Final = {
    CampaignType.ENUMERATION: "asking for users",
    CampaignType.SPRAYING: "trying passwords",
    CampaignType.CREDENTIAL_STUFFING: "trying passwords",
    CampaignType.BRUTE_FORCE: "trying passwords",
    CampaignType.FLOOD: "flooding",
    CampaignType.DISTRIBUTED_FLOOD: "flooding",
    CampaignType.TOLL_FRAUD: "dialling",
}

#: Deeds for which a list of users is worked through. Of others only those are one who are at it at the same time.
_BY_LIST: Final = ("asking for users", "trying passwords")

#: Groups of one deed and client beyond which pairs are too many to look at; the first ones are looked at.
_MOST: Final = 600

#: Points, of which `ENOUGH` join. A form or name that lawful clients show too, or none, is half a point.
_OWN_FORM: Final = 1.5
_OWN_NAME: Final = 1.5
_COMMON: Final = 0.5
_NAMES: Final = 1.5
_EXTENSIONS: Final = 0.5
_PARTED: Final = 1.0
_PACE: Final = 1.0
_TOGETHER: Final = 0.5

#: Users of which half must be the same, and the numbers between the end of one part of a list and the beginning of the next.
_FEW: Final = 5
_GAP: Final = 24

#: Two paces are one within this part of the slower.
_ALIKE: Final = 0.25

#: Times in microseconds: began together, and one ended before the other began.
_AT_ONCE_US: Final = 45_000_000
_START_US: Final = 180_000_000
_MOVE_US: Final = 6 * 3600 * 1_000_000


@dataclass(slots=True, frozen=True)
class _Accused:
    """One accused group. Times in microseconds; `interval_us` is the usual one between two messages of an address."""

    deed: str
    ips: frozenset[str]
    forms: frozenset[str]
    own_forms: frozenset[str]
    agents: frozenset[str]
    own_agents: frozenset[str]
    asked: frozenset[str]
    low: int
    high: int
    each: float
    interval_us: float
    first_us: int
    last_us: int


def join(judged: Sequence[tuple[Group, Sequence[Campaign]]], known: Traits) -> list[tuple[Group, list[int]]]:
    """Groups made of several of `judged`, each with the places of those that it stands for.

    `known` is what sources are compared by.
    """
    accused: dict[int, _Accused] = {}
    alike: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, (group, found) in enumerate(judged):
        if (one := _accused(group, found, known)) is not None:
            accused[number] = one
            for form in one.forms:
                alike[one.deed, form].append(number)
    forest, why = Forest(len(judged)), []
    for _, members in sorted(alike.items()):
        for left, right in combinations(members[:_MOST], 2):
            if forest.root(left) != forest.root(right):
                points, reason = _weigh(accused[left], accused[right])
                if points >= ENOUGH:
                    forest.join(left, right)
                    why.append((left, f"{accused[left].deed} + {reason}", f"{points:.1f} of {ENOUGH:.1f} points"))
    parts: dict[int, list[int]] = defaultdict(list)
    for number in accused:
        parts[forest.root(number)].append(number)
    joined = []
    for root, numbers in sorted(parts.items()):
        if len(numbers) > 1:
            links: dict[str, str] = {}
            for number in numbers:
                links.update(judged[number][0].links)
            for left, reason, points_ in why:
                if forest.root(left) == root:
                    links.setdefault(reason, points_)
            joined.append((Group([source for n in numbers for source in judged[n][0].sources], links), numbers))
    return joined


def _accused(group: Group, found: Sequence[Campaign], known: Traits) -> _Accused | None:
    """What a group is compared by; None where nothing is held against it, or something of theirs was accepted."""
    deeds = sorted({_DEEDS[campaign.type] for campaign in found if campaign.type in _DEEDS})
    if not deeds or any(_is_spared(source) for source in group.sources):
        return None
    traits = [known.of(source) for source in group.sources]
    asked = frozenset(user for trait in traits for user in trait.asked)
    # Extensions are short; where some other name or a telephone number is among them they are no list of extensions.
    numbers = [int(user) for user in asked if user.isascii() and user.isdigit() and len(user) <= 6]
    are_numbers = bool(numbers) and len(numbers) == len(asked)
    forms = frozenset(form for trait in traits for form in trait.programs)
    return _Accused(
        " and ".join(deeds),
        frozenset(trait.ip for trait in traits),
        forms,
        frozenset(form for form in forms if all(is_own(form, trait) for trait in traits)),
        frozenset(agent for source in group.sources for agent in source.agents),
        frozenset(agent for trait in traits for agent in trait.own_agents),
        asked,
        min(numbers) if are_numbers else 0,
        max(numbers) if are_numbers else 0,
        median(trait.messages / max(1, len(trait.asked)) for trait in traits),
        median((trait.last_us - trait.first_us) / max(1, trait.messages - 1) for trait in traits),
        min(trait.first_us for trait in traits),
        max(trait.last_us for trait in traits),
    )


def _is_spared(source: Source) -> bool:
    return bool(not source.ip or source.declared or source.shared or source.thin or source.lawful or source.injections)


def _weigh(one: _Accused, other: _Accused) -> tuple[float, str]:
    """Points for one attacker behind both, and what they are for."""
    if one.ips & other.ips:
        return 0.0, ""
    shared = one.forms & other.forms
    own = bool(shared & one.own_forms & other.own_forms)
    what = "form of Call-ID" if min(shared).startswith("Call-ID") else "program"
    signs = [(f"own {what}", _OWN_FORM) if own else (what, _COMMON)]
    if one.own_agents & other.own_agents:
        signs.append(("own User-Agent", _OWN_NAME))
        own = True
    elif one.agents == other.agents:
        signs.append(("User-Agent" if one.agents else "no User-Agent", _COMMON))
    time = _times(one, other)
    signs += [time, _targets(one, other), _pace(one, other)]
    # What everybody's client shows joins only those who work at the same time; and a public tool shows one form to all.
    if not (own and one.deed in _BY_LIST) and time[0] not in ("same start", "active together"):
        return 0.0, ""
    said = [(name, points) for name, points in signs if points]
    return sum(points for _, points in said), " + ".join(name for name, _ in said)


def _times(one: _Accused, other: _Accused) -> tuple[str, float]:
    overlap = min(one.last_us, other.last_us) - max(one.first_us, other.first_us)
    shorter = max(1, min(one.last_us - one.first_us, other.last_us - other.first_us))
    apart = abs(one.first_us - other.first_us)
    if overlap > 0.5 * shorter:
        if apart < _START_US:
            return "same start", 1.5 if apart < _AT_ONCE_US else 1.0
        return "active together", _TOGETHER
    if 0 < -overlap < _MOVE_US:
        return "succession", 1.0
    return "", 0.0


def _targets(one: _Accused, other: _Accused) -> tuple[str, float]:
    if one.deed not in _BY_LIST:
        return "", 0.0
    few, both = min(len(one.asked), len(other.asked)), len(one.asked & other.asked)
    if few >= _FEW and both * 2 >= few:
        # Extensions are low numbers everywhere; two who share names of people have one list.
        return "the same users", _EXTENSIONS if one.high and other.high else _NAMES
    if one.high and other.high and few >= _FEW and both * 4 <= few and _beside(one, other):
        return "one list, parted", _PARTED
    return "", 0.0


def _beside(one: _Accused, other: _Accused) -> bool:
    return max(one.low, other.low) - min(one.high, other.high) <= _GAP


def _pace(one: _Accused, other: _Accused) -> tuple[str, float]:
    pairs = ((one.each, other.each), (one.interval_us, other.interval_us))
    same = all(max(pair) - min(pair) <= _ALIKE * max(pair) for pair in pairs)
    return ("the same pace", _PACE) if same else ("", 0.0)


def places(joined: Iterable[tuple[Group, list[int]]]) -> Mapping[int, Group | None]:
    """For each place that a joined group stands for: the group at the first of them, nothing at the others."""
    found: dict[int, Group | None] = {}
    for group, numbers in joined:
        found.update(dict.fromkeys(numbers[1:]))
        found[numbers[0]] = group
    return found
