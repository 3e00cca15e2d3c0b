"""Weighs what two sources have in common: no sign joins them alone, and what many people share weighs little.

Points stand for how much more often two addresses of one attacker share a thing than two of different people do,
as a power of about ten. `ENOUGH` of them, from two signs at least, make a link.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from .. import habits
from ..sources import Source

#: Points that join two sources.
ENOUGH: Final = 3.0

#: The same program: one that nobody lawful uses here, a public tool, and one that lawful clients use as well.
_OWN_PROGRAM: Final = 2.0
_PUBLIC_PROGRAM: Final = 1.0
_COMMON_PROGRAM: Final = 0.5

#: A form of Call-ID that nobody lawful uses here: programs have some twenty of them between them.
_OWN_FORM: Final = 1.5

#: A name that is neither a product's nor a tool's; any other that lawful clients here don't bear.
_OWN_NAME: Final = 1.5
_TOOL_NAME: Final = 0.5

#: Targets that two must have asked for before their sets are compared, and the share that must be in both.
_FEW_TARGETS: Final = 5
_ALIKE: Final = 0.5

#: Messages to the same one or two users that are no probe: everybody's first word is to 100.
_INSISTS: Final = 8

#: Users that make a list.
_LIST: Final = 3

#: Names that make a list by which two may be known: fewer, or numbers, are on many lists.
_LONG_LIST: Final = 20
_SAME_LIST: Final = 0.9

#: How often somebody who works through a list once asks for each on it: a challenge doubles the messages.
_ONCE: Final = 3

#: A list is dealt out where so many sources of one program ask for two users each at least, few users are asked for by more than
#: a few of them, and together they leave few numbers of its range out.
HANDS: Final = 5

#: So many where all that is known of the program is the form of its Call-IDs.
HANDS_BY_FORM: Final = 10

_ROUNDS: Final = 4
_DENSE: Final = 0.5

#: Users between the end of one list and the beginning of the next.
_GAP: Final = 24

#: A move to a new address follows the old one's end within this.
_MOVE_US: Final = 6 * 3600 * 1_000_000

#: A list is handed on within this, and that is worth so much more than a move within hours.
_HANDED_US: Final = 15 * 60 * 1_000_000
_HANDED: Final = 0.5

#: Bots of one master start together within this; closer than the second, and it weighs more.
_START_US: Final = 180 * 1_000_000
_AT_ONCE_US: Final = 45 * 1_000_000

#: Excerpts shorter than this are shared by chance.
_TELLING_PAYLOAD: Final = 16

#: Halves of the fingerprints of tools that anybody can have: sipvicious 0.3, SIPp's built-in scenario, nmap's probe.
PUBLIC: Final = frozenset(
    {"1c66b3eed8", "abe32083fa", "c317b168b4", "6b4583ccb9", "6d14f6c0b8", "ea119a93c6", "9976474c68"}
)

#: An address, as `habits.payload` writes it, or a URL.
_HOSTED: Final = re.compile(r"\bA\b|://")

_NUMBER: Final = re.compile(r"[+*#0-9]{0,24}?([0-9]{9})\Z")


@lru_cache(maxsize=65_536)
def _dialled(user: str) -> tuple[int, str, bool]:
    """Of whom was asked for: its number where that is a short one (else -1), the last nine digits of a number ("" of what is none),
    and whether it is as long as one."""
    # Attackers ask for the same users: each is looked at once.
    match = _NUMBER.fullmatch(user)
    short = int(user) if len(user) <= 6 and user.isascii() and user.isdigit() else -1
    return short, match[1] if match else "", len(re.sub("[^0-9]", "", user)) >= 7


@lru_cache(maxsize=65_536)
def _mark(user: str) -> int:
    """A place in an order that nobody chose."""
    return zlib.crc32(user.encode("utf-8", "replace"))


@dataclass(slots=True, frozen=True)
class Trait:
    """What two sources are compared by, worked out once. Times in microseconds."""

    ip: str
    does: str
    #: Fingerprints, or where the log has none the form of the Call-ID; those that lawful clients share.
    programs: frozenset[str]
    common: frozenset[str]
    agents: frozenset[str]
    own_agents: frozenset[str]
    is_product: bool
    network: str
    payloads: frozenset[str]
    asked: frozenset[str]
    #: The least and the greatest number asked for, where most are numbers.
    low: int
    high: int
    tails: frozenset[str]
    #: Whether it mostly dials telephone numbers.
    dials: bool
    messages: int
    first_us: int
    last_us: int

    @classmethod
    def of(cls, source: Source, targets: Mapping[str, Mapping[str, int]], agents: set[str], clients: set[str]) -> Trait:
        """Of a source, with what it asked for by method; `agents` and `clients` are what lawful sources use."""
        asked: frozenset[str] = frozenset().union(*targets.values())
        dialled = [*map(_dialled, asked)]
        numbers = [short for short, _, _ in dialled if short >= 0]
        are_numbers = bool(numbers) and len(numbers) * 2 >= len(asked)
        programs = {client for profile in source.profiles for client in profile.clients}
        if not programs:
            programs = {f"Call-ID {form}" for profile in source.profiles if (form := habits.call_form(profile))}
        named = {agent for agent in source.agents if agent not in agents and not habits.is_product(agent)}
        return cls(
            source.ip,
            _does(source),
            frozenset(programs),
            # A half is enough: the order of header fields depends on the method, the forms do not.
            frozenset(
                client for client in programs if client in clients or client[5:15] in clients or client[16:] in clients
            ),
            frozenset(named),
            frozenset(agent for agent in named if habits.is_telling(agent)),
            bool(source.agents) and all(habits.is_product(agent) for agent in source.agents),
            habits.network(source.ip),
            frozenset(text for hit in source.injections if len(text := habits.payload(hit)) >= _TELLING_PAYLOAD),
            asked,
            min(numbers) if are_numbers else 0,
            max(numbers) if are_numbers else 0,
            frozenset(tail for _, tail, _ in dialled if tail),
            [is_long for _, _, is_long in dialled].count(True) * 2 > len(asked),
            source.messages,
            source.first_us,
            source.last_us,
        )

    def blocks(self) -> Iterable[tuple[str, str]]:
        """Groups within which sources are compared at all: each link needs one of these."""
        for kind, values in (
            ("program", self.programs - self.common),
            ("agent", self.agents),
            ("payload", self.payloads),
            ("number", self.tails),
        ):
            for value in values:
                yield kind, value
        if self.network:
            yield "network", self.network
        for value in self.common:
            if self.agents:
                yield "common program", f"{value} {min(self.agents)}"
        if self.has_names:
            # Lists that are nearly the same have the same first or the same last one, in an order that nobody chose.
            marks = [*map(_mark, self.asked)]
            yield "list", f"first {min(marks)}"
            yield "list", f"last {max(marks)}"
        if self.is_once:
            for value in self.programs:
                yield "once", value

    @property
    def has_names(self) -> bool:
        """Whether it asked for a list of names, long enough to be known by."""
        return len(self.asked) >= _LONG_LIST and not self.high

    @property
    def is_once(self) -> bool:
        """Whether it went through a list of numbers once, as no telephone and no PBX does."""
        return bool(self.high) and len(self.asked) >= _LONG_LIST and self.messages <= _ONCE * len(self.asked)


class Traits:
    """The traits of sources, each worked out once."""

    def __init__(
        self, targets: Mapping[str, Mapping[str, Mapping[str, int]]], agents: set[str], clients: set[str]
    ) -> None:
        """`targets` are what each source asked for, by method; `agents` and `clients` what lawful sources use."""
        self._targets = targets
        self._agents = agents
        self._clients = clients
        # A source stays with its trait, so that its number is no other's.
        self._known: dict[int, tuple[Source, Trait]] = {}

    def of(self, source: Source) -> Trait:
        """The trait of a source, as it was when it was asked for first."""
        if (known := self._known.get(id(source))) is None:
            trait = Trait.of(source, self._targets.get(source.key, {}), self._agents, self._clients)
            known = self._known[id(source)] = source, trait
        return known[1]


def weigh(one: Trait, other: Trait) -> tuple[float, str]:
    """Points for one attacker behind both, and what they are for; 0 where they do different things."""
    if one.does != other.does or one.ip == other.ip:
        return 0.0, ""
    if one.is_product and other.is_product and one.does == "REGISTER" and len(one.asked | other.asked) <= 2:
        # Two phones with an account each, right or wrong.
        return 0.0, ""
    if (
        one.is_product
        and other.is_product
        and one.does == "INVITE"
        and one.dials
        and other.dials
        and not one.tails & other.tails
    ):
        # Two trunks.
        return 0.0, ""
    signs: list[tuple[str, float]] = []
    shared = one.programs & other.programs
    own = shared - one.common - other.common
    public = False
    if own:
        named = any(text.startswith("Call-ID") for text in own)
        public = named or all(text[-10:] in PUBLIC or text[5:15] in PUBLIC for text in own)
        weight = _OWN_FORM if named else _PUBLIC_PROGRAM if public else _OWN_PROGRAM
        signs.append(("Call-ID form" if named else "program", weight))
    elif shared:
        if one.is_product and other.is_product and not (one.is_once and other.is_once):
            # Two phones of one make.
            return 0.0, ""
        signs.append(("common program", _COMMON_PROGRAM))
    if one.own_agents & other.own_agents:
        signs.append(("User-Agent", _OWN_NAME))
    elif one.agents & other.agents and not public:
        # A public tool comes with its name: that is one sign.
        signs.append(("tool", _TOOL_NAME))
    if one.network and one.network == other.network:
        signs.append(("network", 1.0))
    if both := one.payloads & other.payloads:
        # Statements are copied from books; a command with a host in it was put together by somebody.
        signs.append(("payload", 1.5 if any(_HOSTED.search(text) for text in both) else 0.9))
    signs.append(_targets(one, other, bool(own)))
    signs.append(_times(one, other))
    if shared and signs[-1][0] == "succession":
        signs.append(_handed_on(one, other))
    said = [(name, weight) for name, weight in signs if weight]
    # What two do at the same time, or from one network, says nothing unless something of their own is the same.
    if len(said) < 2 or all(
        name in ("network", "same start", "succession", "range", "common program") for name, _ in said
    ):
        return 0.0, ""
    return sum(weight for _, weight in said), " + ".join(name for name, _ in said)


def dealt(traits: Iterable[Trait], few: int = HANDS) -> list[str]:
    """The addresses of those, of one program of their own, over which one list of numbered users was dealt out.

    Each has too few users to be compared with another one; what tells is that together they make a list. Who asks for one user
    only may be a telephone with an old password.
    """
    hands = [trait for trait in traits if trait.high and len(trait.asked) > 1]
    users = {user for trait in hands for user in trait.asked}
    if len(hands) < few or sum(len(trait.asked) for trait in hands) > _ROUNDS * len(users):
        return []
    low, high = min(trait.low for trait in hands), max(trait.high for trait in hands)
    return [trait.ip for trait in hands] if len(users) >= _DENSE * (high - low + 1) else []


def is_own(program: str, trait: Trait) -> bool:
    """Whether a source's program is one that neither lawful clients here nor everybody has."""
    public = program[-10:] in PUBLIC or program[5:15] in PUBLIC
    return not public and program not in trait.common


def _targets(one: Trait, other: Trait, own: bool) -> tuple[str, float]:
    if one.tails & other.tails:
        return "number dialled", 2.0
    few = min(len(one.asked), len(other.asked))
    both = len(one.asked & other.asked)
    if one.has_names and other.has_names and both >= _SAME_LIST * max(len(one.asked), len(other.asked)):
        return "one list of names", 2.0
    if few >= _FEW_TARGETS and both >= _ALIKE * few:
        return "targets", 1.5
    if few and one.asked == other.asked and min(one.messages, other.messages) >= _INSISTS:
        return "targets", 1.0
    # One list, parted: the ranges lie side by side or within each other. Extensions are low numbers everywhere, so this
    # counts for the same program only.
    if own and few >= _LIST and one.high and other.high and max(one.low, other.low) - min(one.high, other.high) <= _GAP:
        return "range", 1.0
    return "", 0.0


def _handed_on(one: Trait, other: Trait) -> tuple[str, float]:
    """What is left of a shuffled list goes on elsewhere: two sets out of one range that share nothing, though by chance they would.

    The points are the power of ten of that chance, where each is a random choice out of the range that both are in, and some more
    where the one begins right behind the other.
    """
    if not (one.is_once and other.is_once) or one.asked & other.asked:
        return "", 0.0
    low, high = max(one.low, other.low), min(one.high, other.high)
    if high <= low or min(one.high - one.low, other.high - other.low) > 2 * (high - low):
        return "", 0.0
    expected = len(one.asked) * len(other.asked) / (max(one.high, other.high) - min(one.low, other.low) + 1)
    points = min(2.0, expected * math.log10(math.e))
    gap = max(one.first_us, other.first_us) - min(one.last_us, other.last_us)
    return ("list handed on", points + (_HANDED if gap < _HANDED_US else 0.0)) if points >= 1.0 else ("", 0.0)


def _times(one: Trait, other: Trait) -> tuple[str, float]:
    overlap = min(one.last_us, other.last_us) - max(one.first_us, other.first_us)
    shorter = max(1, min(one.last_us - one.first_us, other.last_us - other.first_us))
    apart = abs(one.first_us - other.first_us)
    if overlap > 0.5 * shorter and apart < _START_US:
        return "same start", 1.5 if apart < _AT_ONCE_US else 1.0
    # One ends, the other begins.
    if 0 < -overlap < min(_MOVE_US, max(shorter, 600_000_000)):
        return "succession", 1.0
    return "", 0.0


def _does(source: Source) -> str:
    """What a source mostly does."""
    if source.injections:
        return "injection"
    counts = {name: source.method(name) for name in ("REGISTER", "INVITE", "OPTIONS")}
    name, most = max(counts.items(), key=lambda item: item[1])
    return name if most else "other"
