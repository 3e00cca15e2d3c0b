"""Puts the profiles of an address together, and says what speaks for and against it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Final

from . import habits
from .census import Hit, Profile

#: REGISTERs in a minute that a single phone with a wrong password may send: two in an attempt, one attempt every
#: few seconds for impatient ones. Guessing passwords at that pace would take years.
PATIENT_PER_MINUTE: Final = 24


@dataclass(slots=True)
class Source:
    """One address, or one client at an address whose other clients behave well."""

    ip: str
    profiles: list[Profile]
    #: The address has proven standing beside this: what is here may be forged.
    shared: bool = False
    #: User-Agents of the lawful clients at a shared address.
    beside: frozenset[str] = frozenset()
    #: What the operator declared it to be, "" for nothing; of a scanner alone nothing is held against anybody.
    declared: str = ""
    #: Something was accepted from the address, once; less than standing.
    thin: bool = False
    hits: list[Hit] = field(init=False)
    #: Hits that are attacks on a backend.
    injections: list[Hit] = field(init=False)
    #: First and last message, and how many.
    first_us: int = field(init=False)
    last_us: int = field(init=False)
    messages: int = field(init=False)
    #: Its User-Agents.
    agents: list[str] = field(init=False)
    #: How much speaks for it: answered calls and registrations, and calls that were ended in order.
    lawful: int = field(init=False)

    def __post_init__(self) -> None:
        self.hits = [hit for profile in self.profiles for hit in profile.hits]
        broken = {hit.excerpt for hit in self.hits if (hit.family or habits.family_of(hit.rule)) == "control"}
        self.injections = [hit for hit in self.hits if habits.is_injection(hit) and not _is_noise(hit, broken)]
        self.first_us = min(profile.first_us for profile in self.profiles)
        self.last_us = max(profile.last_us for profile in self.profiles)
        self.messages = self.total("messages")
        self.agents = sorted({profile.agent for profile in self.profiles if profile.agent})
        self.lawful = self.total("accepted") + self.total("dialogs")

    @property
    def key(self) -> str:
        """What its targets are found by: the address, or the client where others at the address behave well."""
        return "\0".join([self.ip, *self.agents, "payload" * bool(self.injections)]) if self.shared else self.ip

    @property
    def is_bound(self) -> bool:
        """Whether what speaks against it can't have been forged: it came over a connection, or answered challenges."""
        if self.injections:
            return all(hit.streams for hit in self.injections)
        return self.streams or self.total("round_trips") >= _ROUND_TRIPS

    @property
    def is_claimed(self) -> bool:
        """Whether the messages only name this address: it is known or has standing, and whoever forges datagrams writes it."""
        return bool(self.declared) or (self.shared and not self.is_bound)

    def total(self, name: str) -> int:
        """The sum of a count over the profiles."""
        # Asked a hundred thousand times: a loop costs half of what `sum` does.
        total = 0
        for profile in self.profiles:
            total += getattr(profile, name)
        return total

    def method(self, name: str) -> int:
        """Messages of that method."""
        total = 0
        for profile in self.profiles:
            total += profile.method(name)
        return total

    def action(self, *names: str) -> int:
        """Messages on which the guard decided so."""
        return sum(profile.actions.get(name, 0) for profile in self.profiles for name in names)

    @property
    def peak(self) -> int:
        """Messages in the busiest minute."""
        return max(profile.peak for profile in self.profiles)

    @property
    def peak_invites(self) -> int:
        """INVITEs in the busiest minute."""
        return max(profile.peak_invites for profile in self.profiles)

    @property
    def streams(self) -> bool:
        """Whether it spoke over a connection, so that its address is its own."""
        return any(profile.streams for profile in self.profiles)

    def family(self, name: str) -> int:
        """Messages on which a rule of that family fired."""
        if not self.hits:
            return 0
        totals: dict[str, int] = {}
        for hit in self.hits:
            family = hit.family or habits.family_of(hit.rule)
            # Control bytes are one more way of breaking a message.
            family = "structure" if family == "control" else family
            if family == name and (name != "structure" or hit.score >= 5):
                totals[hit.rule] = totals.get(hit.rule, 0) + hit.messages
        if name == "structure":
            # Each message is broken in one way or several; it was refused for that once.
            return max(max(totals.values(), default=0), min(sum(totals.values()), self.action("reject", "drop")))
        return max(totals.values(), default=0)

    def rules(self, family: str) -> set[str]:
        """Ids of the rules of a family that fired."""
        return {
            hit.rule for hit in self.hits if (hit.family or habits.family_of(hit.rule)) == family and hit.score >= 5
        }

    @property
    def is_lawful(self) -> bool:
        """Whether it behaves like somebody with an account: what was accepted is more than what was refused."""
        # An attacker who guessed one password has far more behind him that failed.
        failed = self.total("refused_login") + self.total("refused") + self.action("reject", "drop", "banned")
        return self.lawful > 0 and self.lawful * 4 >= failed

    @property
    def is_failing(self) -> bool:
        """Whether its registrations are refused and none was ever accepted."""
        return self.lawful == 0 and self.total("refused_login") > 0

    @property
    def guesses(self) -> bool:
        """Whether it offers credentials again and again, each time in a new call and faster than any phone.

        Phones register again under one Call-ID (RFC 3261 10.2.4). Asked where the log does not show who was let in.
        """
        calls = self.total("register_calls")
        return (
            not self.total("answered")
            and calls >= _GUESSES
            and (
                self.total("authorized") * 3 >= self.method("REGISTER")
                # A log that quotes no credentials: then for a user or two only, since offices share an address.
                or (not self.total("authorized") and self.is_unfingerprinted and self.total("register_users") <= _FEW)
            )
            and self.method("REGISTER") <= 3 * calls
            and self.peak > PATIENT_PER_MINUTE
            and calls > 3 * self.total("register_users")
        )

    @property
    def guessing(self) -> list[Profile]:
        """Clients that guess beside others at the address, faster than that many phones with a wrong password would.

        Asked where the log does not show who was let in: what the others do says nothing for these.
        """
        if len(self.profiles) < 2:
            return []
        return [
            profile
            for profile in self.profiles
            if profile.peak > PATIENT_PER_MINUTE * max(1, profile.register_users) and Source(self.ip, [profile]).guesses
        ]

    @property
    def comes_up(self) -> bool:
        """Whether it is a telephone that registers its lines, each once, all of them as soon as it has power, and no more.

        As far as requests tell. That it answered the challenges shows by credentials, or where the log quotes none by a second
        request of each call.
        """
        lines, calls = self.total("register_users"), self.total("register_calls")
        registrations = self.method("REGISTER")
        return (
            not self.total("answered")
            and not self.has_attack
            and 0 < calls <= lines <= _LINES
            and 2 * calls <= registrations <= _ONCE * lines
            and (self.total("authorized") * 2 >= registrations or self.is_unfingerprinted)
            and self.last_us - self.first_us <= _START_US
            and bool(self.agents)
            and all(habits.is_product(agent) for agent in self.agents)
        )

    @property
    def is_unfingerprinted(self) -> bool:
        """Whether the log quotes parts of its messages only, as a plain server's does."""
        return not any(profile.clients for profile in self.profiles)

    @property
    def has_attack(self) -> bool:
        """Whether a rule speaks against it."""
        return bool(
            self.injections or self.family("scanner") or self.family("structure") or self.family("content_length_zero")
            or self.family("limits") or self.action("banned")
        )  # fmt: skip


#: Answered challenges from which on nobody has guessed his way through them blindly.
_ROUND_TRIPS: Final = 10

#: Accepted registrations, beside none with a payload, that make an address somebody's.
_REGISTERED: Final = 2

#: Users of which many registrations are guesses where the log shows no credentials.
_FEW: Final = 2

#: Calls with credentials that are guesses.
_GUESSES: Final = 20

#: Messages of one registration: two, and as many where the first were sent again.
_ONCE: Final = 4

#: Lines of a telephone, and the microseconds in which it registers them.
_LINES: Final = 6
_START_US: Final = 60_000_000

#: Users asked for, or messages, by another client at a lawful address that was let in with nothing: it is looked at alone.
_OTHER_CLIENT: Final = 8
_UNANSWERED: Final = 16

#: Longest text with control bytes in it that may be a fuzzer's and no attack on a backend.
_NOISE: Final = 48


#: Bytes that a fuzzer rolled, as records write them, and a word as statements and commands have them.
_ROLLED: Final = re.compile(r"\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\ufffd|[\x80-\xff]")
_WORD: Final = re.compile(r"[A-Za-z]{3,}")

#: A URI behind a bracket too many is no markup.
_BRACKETS: Final = re.compile(r"[<\s\"]*<\s*sips?:[^<>]*>?[^<>]*", re.I)


def _is_noise(hit: Hit, broken: set[str]) -> bool:
    """Whether a rule fired on the debris of a fuzzer: brackets, dollars and random bytes, no statement and no command."""
    family = hit.family or habits.family_of(hit.rule)
    if hit.excerpt in broken and len(hit.excerpt) <= _NOISE and family not in ("sql", "shell", "jndi"):
        return True
    if family == "xss" and _BRACKETS.fullmatch(hit.excerpt):
        return True
    rest, rolled = _ROLLED.subn(" ", hit.excerpt)
    return rolled >= 3 and rolled * 6 >= len(rest) and not _WORD.search(rest)


def standing(profiles: Collection[Profile]) -> int:
    """Accepted registrations and calls of an address without a payload in them. They can't be forged."""
    clean = 0
    for profile in profiles:
        hostile = max((hit.messages for hit in profile.hits if habits.is_injection(hit)), default=0)
        completed = min(profile.called, profile.dialogs)
        clean += max(0, profile.registered + completed * _REGISTERED - hostile)
    return clean


def sources(profiles: list[Profile], tainted: Collection[str] = ()) -> list[Source]:
    """The sources of these profiles.

    Where an address has proven standing, what speaks against it stands alone: another client, or the messages with a
    payload. The addresses in `tainted` have none: they got in by guessing.
    """
    by_ip: dict[str, list[Profile]] = {}
    for profile in profiles:
        by_ip.setdefault(profile.ip, []).append(profile)
    found: list[Source] = []
    for ip, mine in by_ip.items():
        accepted = 0 if ip in tainted else standing(mine)
        if not ip or accepted < _REGISTERED:
            found.append(Source(ip, mine, thin=accepted > 0))
            continue
        good: list[Profile] = []
        bad: list[Profile] = []
        for profile in mine:
            one = Source(ip, [profile])
            if not _speaks_against(one):
                good.append(profile)
            elif one.is_lawful:
                harmless = [hit for hit in profile.hits if hit not in one.injections]
                good.append(replace(profile, hits=harmless))
                if one.injections:
                    bad.append(_payload(profile, one.injections))
            else:
                bad.append(profile)
        if good:
            # Forged messages may bear the very name of its phone.
            found.append(Source(ip, good, shared=not Source(ip, good).is_lawful))
        # The messages with a payload are judged apart from what else is there.
        payloads = [profile for profile in bad if Source(ip, [profile]).injections]
        others = [profile for profile in bad if profile not in payloads]
        beside = frozenset(profile.agent for profile in good)
        found += [Source(ip, part, shared=True, beside=beside) for part in (payloads, others) if part]
    return found


def _speaks_against(one: Source) -> bool:
    users = max(one.total("register_users"), one.total("invite_users"), one.total("option_users"))
    return one.has_attack or (not one.lawful and (users >= _OTHER_CLIENT or one.messages >= _UNANSWERED))


def _payload(profile: Profile, hits: list[Hit]) -> Profile:
    """The messages with a payload alone, as far as they can be told from the rest."""
    methods: dict[str, int] = {}
    for hit in hits:
        methods[hit.method] = max(methods.get(hit.method, 0), hit.messages)
    return Profile(
        profile.ip, profile.agent, sum(methods.values()), min(hit.first_us for hit in hits), max(hit.last_us for hit in hits),
        methods=methods, minutes=1, hours=1, streams=all(hit.streams for hit in hits), hits=hits,
    )  # fmt: skip


def common_agents(found: list[Source]) -> set[str]:
    """User-Agents that lawful sources use."""
    return {agent for source in found if source.is_lawful for agent in source.agents}


def common_clients(found: list[Source], answers: bool) -> set[str]:
    """Fingerprints of programs that lawful sources use, with their halves.

    Where the log has no answers, of what ends its calls, or keeps a registration under a product's name; and of phones
    that register their lines at once and are not heard of again, as after a power cut, if more addresses of that program do so than
    take their time over several users: whoever sprays passwords slowly has some addresses that came to one user only.
    """
    lawful = [
        source
        for source in found
        if (source.is_lawful if answers else (source.lawful > 0 and not source.guesses) or _keeps_registered(source))
    ]
    whole, forms = _shown(lawful, answers)
    if not answers:
        votes: Counter[str] = Counter()
        for source in found:
            if source.method("REGISTER") and not source.lawful and not _keeps_registered(source):
                vote = 1 if source.comes_up else -1
                votes.update(dict.fromkeys(set().union(*_shown([source], answers)), vote))
        told = {client for client, vote in votes.items() if vote > 0}
        forms |= {client for client in told if client.startswith("Call-ID ")}
        whole |= told - forms
    return whole | forms | {half for client in whole for half in client.split("_")[1:]}


def _shown(found: list[Source], answers: bool) -> tuple[set[str], set[str]]:
    """What tells of the programs of these sources: fingerprints, and the forms of Call-IDs of logs without them."""
    told = [profile for source in found for profile in source.profiles if answers or habits.is_product(profile.agent)]
    return {client for profile in told for client in profile.clients}, {
        f"Call-ID {form}" for profile in told if not profile.clients and (form := habits.call_form(profile))
    }


def _keeps_registered(source: Source) -> bool:
    registrations, calls = source.method("REGISTER"), source.total("register_calls")
    return registrations > 0 and registrations >= 3 * calls and not source.has_attack
