"""Puts the profiles of an address together, and says what speaks for and against it."""

from __future__ import annotations

from dataclasses import dataclass, field
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
    #: The address has lawful traffic beside this: what is here may be forged.
    shared: bool = False
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

    def total(self, name: str) -> int:
        """The sum of a count over the profiles."""
        return sum(getattr(profile, name) for profile in self.profiles)

    def method(self, name: str) -> int:
        """Messages of that method."""
        return sum(profile.method(name) for profile in self.profiles)

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
    def has_attack(self) -> bool:
        """Whether a rule speaks against it."""
        return bool(
            self.injections or self.family("scanner") or self.family("structure") or self.family("content_length_zero")
            or self.family("limits") or self.action("banned")
        )  # fmt: skip


#: Longest text with control bytes in it that may be a fuzzer's and no attack on a backend.
_NOISE: Final = 48


def _is_noise(hit: Hit, broken: set[str]) -> bool:
    """Whether a rule fired on the debris of a fuzzer: brackets and control bytes, no statement and no command."""
    family = hit.family or habits.family_of(hit.rule)
    return hit.excerpt in broken and len(hit.excerpt) <= _NOISE and family not in ("sql", "shell", "jndi")


def sources(profiles: list[Profile]) -> list[Source]:
    """The sources of these profiles. A client that attacks from an address where others behave well stands alone."""
    by_ip: dict[str, list[Profile]] = {}
    for profile in profiles:
        by_ip.setdefault(profile.ip, []).append(profile)
    found: list[Source] = []
    for ip, mine in by_ip.items():
        # Counts of native drops name no client; they belong to whoever earned the ban.
        good: list[Profile] = []
        bad: list[Profile] = []
        for profile in mine:
            one = Source(ip, [profile])
            (good if one.is_lawful and not one.injections else bad).append(profile)
        if good and bad and any(Source(ip, [profile]).has_attack for profile in bad):
            found += [Source(ip, good), Source(ip, bad, shared=True)]
            continue
        found.append(Source(ip, mine))
    return found


def common_agents(found: list[Source]) -> set[str]:
    """User-Agents that lawful sources use."""
    return {agent for source in found if source.is_lawful for agent in source.agents}
