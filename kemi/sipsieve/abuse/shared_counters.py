"""Keeps the engine's counters in tables that all workers share, within a bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from .._core import Memory

#: The htables of sipsieve.cfg.
COUNTS: Final = "sipsieve_counts"
BANS: Final = "sipsieve_bans"
OFFENCES: Final = "sipsieve_offences"

#: Counters that the sources share which find no room for their own.
_BUCKETS: Final = 256

#: The entry of `COUNTS` with the number of bans; the timer process sets it right every second.
LIVE_BANS: Final = "bans"

#: Seconds within which a second offence is the first, seen by another worker.
_SAME: Final = 1

#: The entry of `COUNTS` that is gone when an operator has flushed the table: native counters then begin anew too.
KEPT: Final = "kept"

#: Sources whose offences are remembered, new ones in an hour: 24 h of them are about 12 MB.
_OFFENDERS: Final = 4096

#: Seconds that an offence is remembered at least: as long as a source may take to try again.
_MEMORY: Final = 600


class SharedCounters:
    """Counters over tables whose `inc` is atomic across workers.

    A counter's name ends in the number of its window. When as many began in a window as the policy's capacity, new names
    share `_BUCKETS` counters; who had a counter in the window before still gets one, so that a flood of forged sources
    does not push out those who were there.
    """

    __slots__ = (
        "_clock",
        "_expire",
        "_forget",
        "_get",
        "_inc",
        "_is_own",
        "_most_bans",
        "_set",
        "memory",
    )

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
        """`memory` keeps what is counted by the minute; `inc`, `get`, `set_`, `expire` act on (table, name); `clock` never
        steps; `forget` in seconds; `is_own` says of a key that it is this server's address."""
        self.memory = memory
        self._inc, self._get, self._set, self._expire = inc, get, set_, expire
        self._clock = clock
        self._most_bans = most_bans
        self._forget = forget
        self._is_own = is_own

    def add(self, key: str, amount: int = 1) -> int:
        """Adds to a counter and returns it; negative where it is shared with other sources."""
        cell, _, number = key.rpartition(":")
        window = int(number)
        counts = self.memory.counts
        # What is counted by the second has a window of its own; it is as short-lived as any.
        running = int(self._clock()) // 60
        if not counts.admits(key, f"{cell}:{window - 1}", running):
            return self._together(key, amount)
        return counts.increase(key, running, amount) or self._together(key, amount)

    def _together(self, key: str, amount: int) -> int:
        cell, _, window = key.rpartition(":")
        cell, _, name = cell.rpartition(":")
        self._inc(COUNTS, f"overflow:{window}")
        if "=" in name:
            # A distinct value counts by being new, which can't be known here.
            return 0
        count = 0
        for _ in range(amount):
            count = self._inc(COUNTS, f"shared:{hash(cell) % _BUCKETS}:{name}:{window}") or 0
        return -max(count, 0)

    def get(self, key: str) -> int:
        """A counter as it stands, 0 where there is none."""
        if count := self.memory.counts.get(key, int(self._clock()) // 60):
            return count
        value = self._get(COUNTS, key)
        return value if isinstance(value, int) else 0

    def offence(self, key: str, forgeable: bool) -> int:
        """Notes that a source is to be banned: the how-manieth time, 0 where that is done or there is no room."""
        if self._is_own(key):
            return 0
        standing = self._get(BANS, key)
        if isinstance(standing, str) and (forgeable or not standing.startswith("u|")):
            return 0
        scope = "u" if forgeable else "a"
        if self.add(f"{key}:ban-{scope}:{int(self._clock()) // _SAME}") != 1:
            return 0
        if (self._inc(COUNTS, LIVE_BANS) or 0) > self._most_bans:
            return 0
        name = f"{key}/{scope}"
        count = self._inc(OFFENCES, name) or 1
        hour = f"offenders:{int(self._clock()) // 3600}"
        crowded = count == 1 and (self._inc(COUNTS, hour) or 0) > _OFFENDERS
        self._expire(OFFENCES, name, _MEMORY if forgeable or crowded else self._forget)
        return max(count, 1)

    def remember_offence(self, key: str, forgeable: bool, offences: int) -> None:
        """Sets the count of a source's offences, as it was before a restart."""
        name = f"{key}/{'u' if forgeable else 'a'}"
        self._set(OFFENCES, name, offences)
        self._expire(OFFENCES, name, _MEMORY if forgeable else self._forget)

    def copies(self, identity: int, now: float) -> int:
        """How often this message was seen within a transaction's life, this time included."""
        return self.memory.retransmissions.copies(identity, now)

    def mark(self, identity: int, value: int, now: float) -> None:
        """Remembers a fact for a while."""
        self.memory.marks.mark(identity, value, now)

    def marked(self, identity: int, now: float, life: int) -> int:
        """The fact that was remembered within `life` seconds, else 0."""
        return self.memory.marks.marked(identity, now, life)

    def remember_dialog(self, identity: int) -> None:
        """Remembers a confirmed dialog."""
        self.memory.answered.remember(identity, self._clock())

    def knows_dialog(self, identity: int) -> bool:
        """Whether that dialog was remembered."""
        return self.memory.answered.knows(identity, self._clock())
