"""Recognises floods whose sources are forged: many addresses that each say a word and never go on."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from .census import MINUTE_US, Profile
from .links import Group
from .sources import Source

#: Addresses in one flood from which on they are taken for forged: a botnet's members say more than a few words each.
_MANY: Final = 25

#: Messages of one address that are still a few.
FEW: Final = 4

#: Clients at one address from which on they are one that changes its name.
_NAMES: Final = 4

#: Addresses that begin within one minute.
_AT_ONCE: Final = 10


def floods(profiles: list[Profile]) -> tuple[list[Group], list[Profile]]:
    """Floods from forged addresses, and the profiles that are in none."""
    by_ip: dict[str, list[Profile]] = defaultdict(list)
    for profile in profiles:
        by_ip[profile.ip].append(profile)
    bursts: dict[str, list[Source]] = defaultdict(list)
    told = any(profile.authorized for profile in profiles)
    for ip, mine in by_ip.items():
        # An address that says much under many names is one sender. Under a few, one may be its own and another forged.
        for part in [mine] if len(mine) > _NAMES else [[profile] for profile in mine]:
            source = Source(ip, part)
            few = source.messages <= FEW and not source.lawful and not source.total("authorized")
            # Where the log tells of no credentials, a second registration under the first one's Call-ID stands for them.
            few = few and (told or not _went_on(source))
            if ip and few and not source.streams and not source.injections:
                bursts[_method(source)].append(source)
    groups: list[Group] = []
    taken: set[int] = set()
    for members in bursts.values():
        members.sort(key=lambda source: (source.first_us, source.ip))
        for run in _runs(members):
            groups.append(Group(run, {"same moment": f"{len(run)} addresses began within minutes of each other"}))
            taken.update(id(profile) for source in run for profile in source.profiles)
    return groups, [profile for profile in profiles if id(profile) not in taken]


def _went_on(source: Source) -> bool:
    """Whether it registers as phones do that were asked for a password: twice and more under each Call-ID."""
    registered = source.method("REGISTER")
    return registered == source.messages and registered >= 2 * source.total("register_calls") > 0


def _method(source: Source) -> str:
    return max(("INVITE", "REGISTER", "OPTIONS", "SUBSCRIBE", "MESSAGE"), key=source.method)


def _runs(members: list[Source]) -> list[list[Source]]:
    """Stretches of time in which new addresses come thick and fast."""
    runs: list[list[Source]] = []
    current: list[Source] = []
    for source in members:
        if current and source.first_us - current[-1].first_us > MINUTE_US:
            runs.append(current)
            current = []
        current.append(source)
    runs.append(current)
    return [
        run
        for run in runs
        if len({source.ip for source in run}) >= _MANY
        and len(run) >= _AT_ONCE * ((run[-1].first_us - run[0].first_us) / MINUTE_US)
    ]
