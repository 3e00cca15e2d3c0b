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

#: Points that two things that say little by themselves must reach together.
_ENOUGH: Final = 2.5

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
    traits: dict[int, _Trait] = {}
    for (_, value), members in sorted(_weak(candidates, common).items()):
        members = list(dict.fromkeys(members))
        # Those whom a strong key has joined already need no more reasons.
        if 1 < len(members) <= _PAIRS and len({forest.root(number) for number in members}) > 1:
            for number in members:
                if number not in traits:
                    traits[number] = _Trait.of(candidates[number], targets)
            for left, right, reason in _pairs(traits, members):
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


@dataclass(slots=True, frozen=True)
class _Trait:
    """What two sources are compared by, worked out once."""

    does: str
    agents: frozenset[str]
    shape: str
    network: str
    payloads: frozenset[str]
    asked: frozenset[str]
    first_us: int
    last_us: int
    ip: str

    @classmethod
    def of(cls, source: Source, targets: dict[str, dict[str, dict[str, int]]]) -> _Trait:
        asked = (user for users in targets.get(source.key, {}).values() for user in users)
        call = min((profile.call_low for profile in source.profiles if profile.call_low), default="")
        return cls(
            _does(source),
            frozenset(agent for agent in source.agents if not habits.is_product(agent)),
            habits.shape(call) if call else "",
            habits.network(source.ip),
            frozenset(habits.payload(hit) for hit in source.injections),
            frozenset(asked),
            source.first_us,
            source.last_us,
            source.ip,
        )


def _pairs(traits: dict[int, _Trait], members: list[int]) -> Iterable[tuple[int, int, str]]:
    ordered = sorted(set(members), key=lambda n: (traits[n].first_us, traits[n].ip))
    for position, left in enumerate(ordered):
        for right in ordered[position + 1 :]:
            if reason := _together(traits[left], traits[right]):
                yield left, right, reason


def _together(one: _Trait, other: _Trait) -> str:
    """Why two sources that share a User-Agent, Call-ID form or network are one actor; "" if they need not be."""
    if one.does != other.does:
        return ""
    agents = not one.agents.isdisjoint(other.agents)
    shapes = bool(one.shape) and one.shape == other.shape
    near = one.network == other.network
    payloads = not one.payloads.isdisjoint(other.payloads)
    score = 1.0 * agents + 0.5 * shapes + 1.0 * near + 1.0 * payloads
    overlap = min(one.last_us, other.last_us) - max(one.first_us, other.first_us)
    shorter = max(1, min(one.last_us - one.first_us, other.last_us - other.first_us))
    few = min(len(one.asked), len(other.asked))
    targets = few >= _FEW_TARGETS and len(one.asked & other.asked) >= _ALIKE * few
    # One ends, the other begins.
    succession = 0 < -overlap < min(_MOVE_US, max(shorter, 600_000_000))
    together = overlap > 0.5 * shorter and abs(one.first_us - other.first_us) < _START_US
    score += 1.0 * targets + 1.0 * (succession or together)
    if score < _ENOUGH:
        return ""
    named = (
        ("User-Agent", agents),
        ("Call-ID form", shapes),
        ("network", near),
        ("payload", payloads),
        ("targets", targets),
        ("succession", succession),
        ("same start", together),
    )
    return " + ".join(text for text, is_so in named if is_so)


def _does(source: Source) -> str:
    """What a source mostly does."""
    if source.injections:
        return "injection"
    counts = {name: source.method(name) for name in ("REGISTER", "INVITE", "OPTIONS")}
    name, most = max(counts.items(), key=lambda item: item[1])
    return name if most else "other"
