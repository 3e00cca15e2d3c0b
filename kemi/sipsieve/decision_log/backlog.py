"""Summaries that wait to be written: kept while the decision log can't be, given up and counted beyond a bound."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..model import Notice
from .ledger import Entry

#: Summaries kept; older ones are given up.
MOST = 10_000


class Backlog:
    """What one process has still to write, the oldest first."""

    def __init__(self, write: Callable[[Entry, float], bool], notice: Notice, most: int = MOST) -> None:
        """`write` puts one summary into the log; False: it could not."""
        self._write = write
        self._notice = notice
        self._most = most
        self._waiting: list[Entry] = []
        self._given_up = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, entries: Iterable[Entry]) -> None:
        """Takes entries to be written with the next `write`."""
        self._waiting += entries

    def write(self, now: float) -> None:
        """Writes until something can't be, and says how many messages were given up for good."""
        done = 0
        for entry in self._waiting:
            if not self._write(entry, now):
                break
            done += 1
        del self._waiting[:done]
        if len(self._waiting) > self._most:
            given_up = self._waiting[: -self._most]
            del self._waiting[: -self._most]
            self._given_up += sum(entry.messages for entry in given_up)
        if self._given_up and self._notice(
            "lost", now, {"count": self._given_up, "reason": "the decision log could not be written"}
        ):
            self._given_up = 0
