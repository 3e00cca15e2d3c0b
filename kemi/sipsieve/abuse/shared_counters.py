"""Keeps the engine's counters in tables that all workers share, within a bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from .._core import FORGEABLE_MEMORY, Memory
from ..model import Scope

#: The htables of sipsieve.cfg.
COUNTS: Final = "sipsieve_counts"
BANS: Final = "sipsieve_bans"
OFFENCES: Final = "sipsieve_offences"

#: The entry of `COUNTS` with the number of bans; the timer process sets it right every second.
LIVE_BANS: Final = "bans"

#: Seconds within which a second offence is the first, seen by another worker.
_SAME: Final = 1

#: The entry of `COUNTS` that is gone when an operator has flushed the table: native counters then begin anew too.
KEPT: Final = "kept"

#: Sources whose offences are remembered, new ones in an hour: 24 h of them are about 12 MB.
_OFFENDERS: Final = 4096


class SharedCounters:
    """What the core counts with, for those who ask from Python, and the memory of who was banned how often.

    What is counted by the minute stands in `memory`, where the core counts it, exact over all workers. Offences are kept in
    Kamailio's tables, which operators see and nodes of a cluster share.
    """

    __slots__ = ("_clock", "_expire", "_forget", "_get", "_inc", "_is_own", "_most_bans", "_set", "memory")

    def __init__(
        self,
        memory: Memory,
        inc: Callable[[str, str], int | None],
        get: Callable[[str, str], object],
        set_: Callable[[str, str, int], object],
        expire: Callable[[str, str, int], object],
        clock: Callable[[], float],
        most_bans: int,
        forget: int,
        is_own: Callable[[str], bool],
    ) -> None:
        """`inc`, `get`, `set_`, `expire` act on (table, name); `clock` never steps; `forget` in seconds; `is_own` says of a
        key that it must not be banned."""
        self.memory = memory
        self._inc, self._get, self._set, self._expire = inc, get, set_, expire
        self._clock = clock
        self._most_bans = most_bans
        self._forget = forget
        self._is_own = is_own

    def get(self, key: str) -> int:
        """A counter as it stands, 0 where there is none; named as in `model.Counters`."""
        cell, limit, window = key.rsplit(":", 2)
        return self.memory.counts.of(cell, limit, int(window), int(self._clock()) // 60)

    def offence(self, key: str, scope: Scope) -> int:
        """Notes that a source is to be banned: the how-manieth time, 0 where that is done or there is no room."""
        if self._is_own(key):
            return 0
        standing = self._get(BANS, key)
        if isinstance(standing, str) and (scope.forgeable or standing.startswith("a|")):
            return 0
        now = int(self._clock())
        if self.memory.counts.increase(f"{key}:ban-{scope}:{now // _SAME}", now // 60) != 1:
            return 0
        if (self._inc(COUNTS, LIVE_BANS) or 0) > self._most_bans:
            return 0
        name = f"{key}/{scope}"
        count = self._inc(OFFENCES, name) or 1
        hour = f"offenders:{int(self._clock()) // 3600}"
        crowded = count == 1 and (self._inc(COUNTS, hour) or 0) > _OFFENDERS
        self._expire(OFFENCES, name, FORGEABLE_MEMORY if scope.forgeable or crowded else self._forget)
        return max(count, 1)

    def remember_offence(self, key: str, scope: Scope, offences: int) -> None:
        """Sets the count of a source's offences, as it was before a restart."""
        name = f"{key}/{scope}"
        self._set(OFFENCES, name, offences)
        self._expire(OFFENCES, name, FORGEABLE_MEMORY if scope.forgeable else self._forget)
