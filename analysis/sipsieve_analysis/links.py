"""Joins sources into actors by what they share; each link says what that was."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from . import habits
from .indicators import command_hosts
from .sources import Source

#: Targets that two must have asked for before their sets are compared.
_FEW_TARGETS: Final = 5

#: Share of the smaller target set that must be in the other.
_ALIKE: Final = 0.5

#: A group of candidates larger than this is joined by its strong keys only: pairs grow with the square.
_PAIRS: Final = 600

#: A move to a new address follows the old one's end within this.
_MOVE_US: Final = 6 * 3600 * 1_000_000

#: Bots of one master start together within this.
_START_US: Final = 180 * 1_000_000

#: Excerpts shorter than this are shared by chance.
_TELLING_PAYLOAD: Final = 16


@dataclass(slots=True)
class Group:
    """Sources that are one actor, and what joins them."""

    sources: list[Source]
    links: dict[str, str] = field(default_factory=dict)


class _Forest:
    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def root(self, item: int) -> int:
        while self._parent[item] != item:
            self._parent[item] = self._parent[self._parent[item]]
            item = self._parent[item]
        return item

    def join(self, left: int, right: int) -> None:
        low, high = sorted((self.root(left), self.root(right)))
        self._parent[high] = low


def group(candidates: list[Source], common: set[str], targets: dict[str, dict[str, dict[str, int]]]) -> list[Group]:
    """Actors among sources that have something against them.

    `common` are User-Agents of lawful sources, `targets` what each address asked for, by method.
    """
    forest = _Forest(len(candidates))
    why: list[tuple[int, str, str]] = []
    by_key: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, source in enumerate(candidates):
        for key in _keys(source, common):
            by_key[key].append(number)
    for (kind, value), members in sorted(by_key.items()):
        for member in members[1:]:
            forest.join(members[0], member)
        if len({candidates[n].ip for n in members}) > 1:
            why.append((members[0], kind, value))
    for (kind, value), members in sorted(_weak(candidates, common).items()):
        if 1 < len(members) <= _PAIRS:
            for left, right, reason in _pairs(candidates, members, targets, kind):
                forest.join(left, right)
                why.append((left, reason, value))
    members_of: dict[int, list[Source]] = defaultdict(list)
    for number, source in enumerate(candidates):
        members_of[forest.root(number)].append(source)
    links: dict[int, dict[str, str]] = defaultdict(dict)
    for number, kind, value in why:
        links[forest.root(number)].setdefault(kind, value)
    return [Group(members, links[root]) for root, members in sorted(members_of.items())]


def _keys(source: Source, common: set[str]) -> Iterable[tuple[str, str]]:
    """What suffices to join two sources when they share it."""
    if source.ip:
        # A shared address is joined with nothing but its like: what came from it may be forged.
        yield ("address" if not source.shared else "forged address"), source.ip
    for hit in source.injections:
        for host in command_hosts(hit.excerpt):
            yield "C2", host
        if len(hit.excerpt) >= _TELLING_PAYLOAD and habits.is_specific(hit.excerpt):
            yield "payload", hit.excerpt
    for profile in source.profiles:
        if suffix := habits.call_suffix(profile):
            yield "Call-ID host", suffix
        if prefix := habits.call_prefix(profile):
            yield "Call-ID prefix", prefix
        if habits.is_telling(profile.agent) and profile.agent not in common:
            yield "User-Agent", profile.agent


def _weak(candidates: list[Source], common: set[str]) -> dict[tuple[str, str], list[int]]:
    """Groups whose members share something that needs a second thing beside it."""
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, source in enumerate(candidates):
        if not source.ip:
            continue
        for hit in source.injections:
            if len(text := habits.payload(hit)) >= _TELLING_PAYLOAD:
                groups["payload", text].append(number)
        for profile in source.profiles:
            if profile.agent and not habits.is_product(profile.agent) and profile.agent not in common:
                groups["agent", profile.agent].append(number)
            if profile.call_low:
                groups["shape", habits.shape(profile.call_low)].append(number)
        if net := habits.network(source.ip):
            groups["network", net].append(number)
    return groups


def _pairs(
    candidates: list[Source], members: list[int], targets: dict[str, dict[str, dict[str, int]]], kind: str
) -> Iterable[tuple[int, int, str]]:
    members = sorted(set(members), key=lambda n: (candidates[n].first_us, candidates[n].ip))
    asked = {
        n: frozenset(user for users in targets.get(candidates[n].ip, {}).values() for user in users) for n in members
    }
    for position, left in enumerate(members):
        for right in members[position + 1 :]:
            one, other = candidates[left], candidates[right]
            reason = _together(one, other, asked[left], asked[right], kind)
            if reason:
                yield left, right, reason


def _together(one: Source, other: Source, asked: frozenset[str], asked_other: frozenset[str], kind: str) -> str:
    """Why two sources that share a User-Agent, Call-ID form or network are one actor; "" if they need not be."""
    if _does(one) != _does(other):
        return ""
    agents = any(not habits.is_product(agent) for agent in set(one.agents) & set(other.agents))
    shapes = _shapes(one) == _shapes(other)
    near = habits.network(one.ip) == habits.network(other.ip)
    score = 1.0 * agents + 0.5 * shapes + 1.0 * near
    reasons = [text for text, is_so in (("User-Agent", agents), ("Call-ID form", shapes), ("network", near)) if is_so]
    if _payloads(one) & _payloads(other):
        score += 1.0
        reasons.append("payload")
    overlap = min(one.last_us, other.last_us) - max(one.first_us, other.first_us)
    shorter = max(1, min(one.last_us - one.first_us, other.last_us - other.first_us))
    few = min(len(asked), len(asked_other))
    if few >= _FEW_TARGETS and len(asked & asked_other) >= _ALIKE * few:
        score += 1.0
        reasons.append("targets")
    if 0 < -overlap < min(_MOVE_US, max(shorter, 600_000_000)):
        # One ends, the other begins.
        score += 1.0
        reasons.append("succession")
    elif overlap > 0.5 * shorter and abs(one.first_us - other.first_us) < _START_US:
        score += 1.0
        reasons.append("same start")
    return " + ".join(reasons) if score >= 2.5 else ""


def _does(source: Source) -> str:
    """What a source mostly does."""
    if source.injections:
        return "injection"
    counts = {name: source.method(name) for name in ("REGISTER", "INVITE", "OPTIONS")}
    name, most = max(counts.items(), key=lambda item: item[1])
    return name if most else "other"


def _payloads(source: Source) -> set[str]:
    return {habits.payload(hit) for hit in source.injections}


def _shapes(source: Source) -> str:
    return habits.shape(min((profile.call_low for profile in source.profiles if profile.call_low), default=source.ip))
