"""Keeps the engine's counters in tables that all workers share, within a bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from .answered import Answered
from .marks import Marks
from .retransmission import RetransmissionFilter

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

    A counter's name ends in the number of its window, and `capacity` of them may begin in a window.
    When they have, new names share `_BUCKETS` counters; who had a counter in the window before still
    gets one, so that a flood of forged sources does not push out those who were there.
    """

    __slots__ = (
        "_capacity",
        "_clock",
        "_expire",
        "_forget",
        "_full",
        "_get",
        "_inc",
        "_is_own",
        "_most_bans",
        "_set",
        "answered",
        "counts",
        "crowded",
        "marks",
        "retransmissions",
    )

    def __init__(
        self,
        counts: Any,
        inc: Callable[[str, str], int | None],
        get: Callable[[str, str], object],
        set_: Callable[[str, str, int], object],
        expire: Callable[[str, str, int], object],
        retransmissions: RetransmissionFilter,
        marks: Marks,
        answered: Answered,
        clock: Callable[[], float],
        capacity: int,
        most_bans: int,
        forget: int,
        is_own: Callable[[str], bool],
    ) -> None:
        """`counts`: a native table for what is counted by the minute, or None; `inc`, `get`, `set_`, `expire` act on (table, name); `clock` never steps; `forget` in seconds; `is_own`
        says of a key that it is this server's address."""
        self.counts = counts
        self._inc, self._get, self._set, self._expire = inc, get, set_, expire
        self.retransmissions = retransmissions
        self.marks = marks
        self.answered = answered
        self._clock = clock
        self._capacity = capacity
        self._most_bans = most_bans
        self._forget = forget
        self._is_own = is_own
        self._full = -1
        #: Its first byte is 1 while the window's counters are given out.
        self.crowded = bytearray(8)

    def add(self, key: str, amount: int = 1) -> int:
        """Adds to a counter and returns it; negative where it is shared with other sources."""
        if self._full >= 0 and not self._has_room(key):
            return self._together(key, amount)
        count = self._increase(key)
        if count < 0:
            return self._together(key, amount)
        if count == 1:
            self.opened()
        for _ in range(amount - 1):
            count = self._increase(key)
        return max(count, 0)

    def _increase(self, key: str) -> int:
        """Raises a counter; negative where there is no room for it."""
        if self.counts is not None:
            return self.counts.increase(key, int(self._clock()) // 60) or -1
        # -255 or None tell of a missing table or full memory: counting fails open, and the log shows 0.
        return max(self._inc(COUNTS, key) or 0, 0)

    def opened(self) -> None:
        """Notes that a counter of this window began."""
        window = int(self._clock()) // 60
        if (self._inc(COUNTS, f"cells:{window}") or 0) >= self._capacity:
            self._full = window
            self.crowded[0] = 1

    def _has_room(self, key: str) -> bool:
        """Whether a name may have a counter though the window's are given out."""
        if int(self._clock()) // 60 != self._full:
            self._full = -1
            self.crowded[0] = 0
            return True
        # A table with an initial value answers 0 for what it does not have.
        if self.get(key) > 0:
            return True
        name, _, window = key.rpartition(":")
        return self.get(f"{name}:{int(window) - 1}") > 0

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
        if self.counts is not None and (count := self.counts.get(key, int(self._clock()) // 60)):
            return int(count)
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
        return self.retransmissions.copies(identity, now)

    def mark(self, identity: int, value: int, now: float) -> None:
        """Remembers a fact for a while."""
        self.marks.mark(identity, value, now)

    def marked(self, identity: int, now: float, life: int) -> int:
        """The fact that was remembered within `life` seconds, else 0."""
        return self.marks.marked(identity, now, life)

    def remember_dialog(self, key: str) -> None:
        """Remembers a confirmed dialog."""
        self.answered.remember(int(key, 16), self._clock())

    def knows_dialog(self, key: str) -> bool:
        """Whether that dialog was remembered."""
        return self.answered.knows(int(key, 16), self._clock())
