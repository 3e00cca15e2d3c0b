"""Recognises floods whose sources are forged: many addresses that each say a word and never go on."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from .census import MINUTE_US
from .links import Group
from .sources import Source

#: Addresses in one flood from which on they are taken for forged: a botnet's members say more than a few words each.
_MANY: Final = 25

#: Messages of one address that are still a few.
_FEW: Final = 4

#: Addresses that begin within one minute.
_AT_ONCE: Final = 10


def floods(candidates: list[Source]) -> tuple[list[Group], list[Source]]:
    """Floods from forged addresses, and the sources that are in none."""
    bursts: dict[str, list[Source]] = defaultdict(list)
    for source in candidates:
        if source.ip and not source.streams and _few(source) and not source.injections:
            bursts[_method(source)].append(source)
    groups: list[Group] = []
    taken: set[int] = set()
    for members in bursts.values():
        members.sort(key=lambda source: (source.first_us, source.ip))
        for run in _runs(members):
            groups.append(Group(run, {"same moment": f"{len(run)} addresses began within minutes of each other"}))
            taken.update(id(source) for source in run)
    return groups, [source for source in candidates if id(source) not in taken]


def _few(source: Source) -> bool:
    return source.messages <= _FEW or (source.shared and source.last_us - source.first_us < 10 * MINUTE_US)


def _method(source: Source) -> str:
    return max(("INVITE", "REGISTER", "OPTIONS", "SUBSCRIBE", "MESSAGE"), key=source.method) if source.messages else ""


def _runs(members: list[Source]) -> list[list[Source]]:
    """Stretches of time in which new addresses come thick and fast."""
    runs: list[list[Source]] = []
    current: list[Source] = []
    for source in members:
        # The rate decides: within a minute of the tenth address before.
        if current and source.first_us - current[-1].first_us > MINUTE_US:
            runs.append(current)
            current = []
        current.append(source)
    runs.append(current)
    return [
        run
        for run in runs
        if len(run) >= _MANY and len(run) >= _AT_ONCE * ((run[-1].first_us - run[0].first_us) / MINUTE_US)
    ]
