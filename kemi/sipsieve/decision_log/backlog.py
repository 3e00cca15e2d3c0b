"""Counts that wait to be written: they stand in the core's memory, which outlives the server, until the log has them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from .._core import Ledger
from .ledger import Entry

#: The verdict of what the native check dropped of banned sources.
DROPPED: Final = "banned"

#: Seconds between two looks at whether the file of counts is to be written anew.
_SAVE_EVERY: Final = 5.0


class Backlog:
    """What is still to be written, the oldest first; for the timer process alone."""

    def __init__(self, ledger: Ledger, write: Callable[[Entry, float], bool]) -> None:
        """`write` puts one summary into the log; False: it could not."""
        self._ledger = ledger
        self._write = write
        self._saved = 0.0
        #: What found no room, kept here alone.
        self._more: list[Entry] = []

    def __len__(self) -> int:
        return len(self._ledger.waiting()) + len(self._more)

    def add(self, entries: Iterable[Entry]) -> None:
        """Takes counts that come from elsewhere than the workers' pages."""
        self._more = [entry for entry in (*self._more, *entries) if not self._ledger.put(entry)]

    def write(self, now: float, every: int = 0) -> None:
        """Writes until something can't be; a count is let go of only when it is in the log. `now` since the epoch.

        What was dropped of banned sources comes with each second, and is gathered for `every` seconds: a line each second for
        each of thousands, who need a small datagram for it, would fill the disk.
        """
        for place, entry in self._ledger.waiting():
            if entry.verdict == DROPPED and 0 <= now - entry.first < every:
                continue
            if not self._write(entry, now):
                break
            self._ledger.written(place, entry.messages)

    def save(self, now: float) -> None:
        """Now and then writes the file that counts are kept in for when the machine stops. Raises OSError."""
        if not 0 <= now - self._saved < _SAVE_EVERY:
            self._saved = now
            self._ledger.save()
