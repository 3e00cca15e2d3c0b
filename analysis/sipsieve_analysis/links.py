"""Joins sources into actors by what they share; each link says what that was, and how much it weighs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from . import habits
from .attribution.signs import ENOUGH, HANDS, HANDS_BY_FORM, Trait, Traits, dealt, is_own, weigh
from .indicators import command_hosts
from .sources import Source

#: A group of candidates larger than this is joined by its strong keys only: pairs grow with the square.
_PAIRS: Final = 600

#: Time without any of a mover's addresses, or from the first to the last of them.
_DAYS_US: Final = 20 * 3600 * 1_000_000

#: Excerpts shorter than this are shared by chance.
_TELLING_PAYLOAD: Final = 16


@dataclass(slots=True)
class Group:
    """Sources that are one actor, and what joins them."""

    sources: list[Source]
    links: dict[str, str] = field(default_factory=dict)


class Forest:
    """Which of some numbered things have been joined, by whatever chain of links."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def root(self, item: int) -> int:
        """The one that stands for all that it is joined with."""
        while self._parent[item] != item:
            self._parent[item] = self._parent[self._parent[item]]
            item = self._parent[item]
        return item

    def join(self, left: int, right: int) -> None:
        """Joins two."""
        low, high = sorted((self.root(left), self.root(right)))
        self._parent[high] = low


def group(candidates: list[Source], known: Traits) -> list[Group]:
    """Actors among sources that have something against them; `known` is what sources are compared by."""
    forest = Forest(len(candidates))
    why: list[tuple[int, str, str]] = []
    by_key: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, source in enumerate(candidates):
        for key in _keys(source):
            by_key[key].append(number)
    for (kind, value), members in sorted(by_key.items()):
        for member in members[1:]:
            forest.join(members[0], member)
        if len({candidates[n].ip for n in members}) > 1:
            why.append((members[0], kind, value))
    traits: dict[int, Trait] = {}
    blocks: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, source in enumerate(candidates):
        # Of a shared address only what a connection proves may be joined with others.
        if source.ip and not source.is_claimed:
            traits[number] = known.of(source)
            for sign in traits[number].blocks():
                blocks[sign].append(number)
    for _, members in sorted(blocks.items()):
        # Those whom a strong key has joined already need no more reasons.
        if 1 < len(members) <= _PAIRS and len({forest.root(number) for number in members}) > 1:
            for left, right, reason, score in _pairs(traits, members, forest):
                forest.join(left, right)
                why.append((left, reason, f"{score:.1f} of {ENOUGH:.1f} points"))
    for (kind, value), members in sorted(blocks.items()):
        for hand in _hands(traits, members, value) if kind == "program" else ():
            if len({forest.root(number) for number in hand}) > 1:
                for member in hand[1:]:
                    forest.join(hand[0], member)
                why.append((hand[0], "program + one list dealt out", f"over {len(hand)} addresses"))
    members_of: dict[int, list[Source]] = defaultdict(list)
    for number, source in enumerate(candidates):
        members_of[forest.root(number)].append(source)
    links: dict[int, dict[str, str]] = defaultdict(dict)
    for number, kind, value in why:
        links[forest.root(number)].setdefault(kind, value)
    return [Group(members, links[root]) for root, members in sorted(members_of.items())]


def _keys(source: Source) -> Iterable[tuple[str, str]]:
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


def _hands(traits: dict[int, Trait], members: list[int], program: str) -> Iterable[list[int]]:
    """Those of one program who do the same and over whom one list of users was dealt out."""
    by_deed: dict[str, dict[str, int]] = defaultdict(dict)
    for number in members:
        if is_own(program, traits[number]):
            by_deed[traits[number].does][traits[number].ip] = number
    for _, numbers in sorted(by_deed.items()):
        few = HANDS_BY_FORM if program.startswith("Call-ID") else HANDS
        hand = [numbers[ip] for ip in dealt((traits[number] for number in numbers.values()), few)]
        if len(hand) > 1:
            yield hand


def _pairs(traits: dict[int, Trait], members: list[int], forest: Forest) -> Iterable[tuple[int, int, str, float]]:
    # Those who do different things are never joined, and most blocks hold nobody else who does the same and is not joined yet.
    deeds: dict[str, set[int]] = defaultdict(set)
    for number in members:
        deeds[traits[number].does].add(forest.root(number))
    open_ = {does for does, actors in deeds.items() if len(actors) > 1}
    if not open_:
        return
    ordered = sorted(
        {number for number in members if traits[number].does in open_}, key=lambda n: (traits[n].first_us, traits[n].ip)
    )
    # Each pair is asked whether it is joined already: the answer is kept here, and changes with few of them.
    actor = [forest.root(number) for number in ordered]
    alike: dict[str, list[int]] = defaultdict(list)
    for position, number in enumerate(ordered):
        alike[traits[number].does].append(position)
    behind: dict[str, int] = defaultdict(int)
    for position, left in enumerate(ordered):
        does = traits[left].does
        behind[does] += 1
        for other in alike[does][behind[does] :]:
            if actor[position] != actor[other]:
                score, reason = weigh(traits[left], traits[ordered[other]])
                if score >= ENOUGH:
                    yield left, ordered[other], reason, score
                    joined = actor[other]
                    actor[:] = [actor[position] if one == joined else one for one in actor]


def overlap(sources: list[Source]) -> bool:
    """Whether several sources were active at the same time."""
    ordered = sorted(sources, key=lambda source: source.first_us)
    return any(later.first_us < earlier.last_us for earlier, later in pairwise(ordered))


def moves(group: Group) -> str:
    """How one attacker went from address to address, in words; "" where none did."""
    spans: dict[str, tuple[int, int]] = {}
    for source in group.sources:
        if source.ip:
            low, high = spans.get(source.ip, (source.first_us, source.last_us))
            spans[source.ip] = (min(low, source.first_us), max(high, source.last_us))
    ordered = sorted(spans.values())
    if len(ordered) < 2 or ordered[-1][0] - ordered[0][0] < _DAYS_US:
        return ""
    apart = sum(later[0] >= earlier[1] for earlier, later in pairwise(ordered))
    if apart * 4 < (len(ordered) - 1) * 3:
        return ""
    days = (ordered[-1][1] - ordered[0][0]) / (24 * 3600e6)
    return f"{len(ordered)} addresses one after the other within {days:.0f} days"
