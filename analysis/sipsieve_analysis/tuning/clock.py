"""Finds the guard's steady clock in its log: windows of the limits are minutes of that clock, and records have the time of day."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

#: Seconds of a window.
WINDOW: Final = 60

#: Seconds around a window's border within which a record's time does not tell on which side it was counted.
_NEAR: Final = 0.02

#: Half of what the coarse clock of Linux may be behind: a tick is 4 ms.
_LAG: Final = 0.002

#: Places of a minute that are tried as borders.
_PLACES: Final = 600


class Clock:
    """Seconds of the steady clock for times of day, set right by what was counted."""

    def __init__(self) -> None:
        #: The day's time less the steady clock's; None until it is known.
        self.offset: float | None = None
        #: Whether a record told it; else it was found from counts, or is taken as 0.
        self.told = False
        #: Whole windows that were added, since the machine started anew, and the latest second that was told.
        self._shift = 0
        self._latest = 0
        self._last: dict[tuple[str, str, str], tuple[int, int]] = {}

    def tell(self, wall: float, steady: float) -> None:
        """A record has both clocks.

        The clock begins anew with the machine. What is counted goes on by whole windows then, never back, so that no
        window comes twice.
        """
        if self.offset is not None and steady + self._shift < self._latest - WINDOW:
            gone = max(self._latest, wall - self.offset)
            self._shift = WINDOW * math.ceil((gone - steady) / WINDOW)
        self.offset, self.told = wall - steady - self._shift + _LAG, True

    def exact(self, wall: float, steady: float) -> int:
        """The second of a record that has both clocks."""
        if not self.told or not -WINDOW < wall - (self.offset or 0.0) - self._shift - steady < WINDOW:
            self.tell(wall, steady)
        now = int(steady) + self._shift
        self._latest = max(self._latest, now)
        return now

    def find(self, counted: Iterable[tuple[float, tuple[str, str, str], int]]) -> None:
        """Finds where minutes begin from counts (time, whose, count): between a count and a lower one is a border, between a
        count and the next higher one is none."""
        votes = [0] * _PLACES
        last: dict[tuple[str, str, str], tuple[float, int]] = {}
        for time, whose, count in counted:
            before = last.get(whose)
            last[whose] = (time, count)
            if before is None or not 0 <= time - before[0] < WINDOW:
                continue
            first, end = (int(moment % WINDOW * 10) for moment in (before[0], time))
            places = range(first + 1, end) if first <= end else (*range(first + 1, _PLACES), *range(end))
            if count > before[1]:
                for place in places:
                    votes[place] -= 1
            elif count == 1 and time - before[0] < WINDOW / 2:
                for place in (*places, first, end):
                    votes[place] += 1
        best = max(votes)
        # The middle of the first run of the best places.
        begin = votes.index(best)
        length = 1
        while begin + length < _PLACES and votes[begin + length] == best:
            length += 1
        self.offset = 0.0 if best <= 0 else (begin + length / 2) / 10

    def seconds(self, wall: float, whose: tuple[str, str, str] | None, count: int) -> int:
        """The steady clock's second for a time of day. `count`: what the record says was counted of `whose` in this window."""
        steady = wall - (self.offset or 0.0)
        now = int(steady)
        self._latest = max(self._latest, now)
        if whose is None:
            return now
        window = now // WINDOW
        if not _NEAR < steady % WINDOW < WINDOW - _NEAR:
            before, counted = self._last.get(whose, (window, 0))
            if counted and count > counted and before == window - 1:
                now = window * WINDOW - 1
            elif counted and count == 1 and before == window and steady % WINDOW > 1:
                now = (window + 1) * WINDOW
        if len(self._last) > 100_000:
            self._last.clear()
        self._last[whose] = (now // WINDOW, count)
        return now
