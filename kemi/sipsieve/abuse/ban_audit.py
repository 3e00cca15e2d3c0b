"""Keeps the table of bans right while the server runs: who must not be in it, and what a stepping clock did to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from .bans import Entry, entry

#: Seconds by which the wall clock may drift from the steady one between two looks, a second apart.
_STEP: Final = 2.0


class Change(NamedTuple):
    """What a look found to be changed; `why` is for the log."""

    key: str
    why: str


class BanAudit:
    """Looks once a second at the whole table, which others write to as well: workers, operators, other nodes."""

    def __init__(self, never: Callable[[str], bool]) -> None:
        """`never` says of a key that it must not be banned."""
        self._never = never
        self._offset: float | None = None
        self._held: dict[str, tuple[Entry, float]] = {}

    def look(self, table: Mapping[str, str], wall: float, steady: float) -> tuple[list[Change], list[Entry], bool]:
        """What to remove, what to put (with its end in `until`), and whether the clock was set.

        Kamailio's tables expire by the wall clock, so a clock that is set frees or keeps sources for
        hours. The bans that stood a second ago are put again with what was left of them.
        """
        offset = wall - steady
        step = 0.0 if self._offset is None else offset - self._offset
        stepped = abs(step) > _STEP
        self._offset = offset
        puts: list[Entry] = []
        if stepped:
            for known, end in self._held.values():
                if end > steady:
                    until = int(wall + end - steady)
                    puts.append(known._replace(since=int(known.since + step), until=until))
        again = {put.key for put in puts}
        removals: list[Change] = []
        held: dict[str, tuple[Entry, float]] = {}
        for key, value in table.items():
            one = entry(key, value)
            if one is None:
                removals.append(Change(key, "not a ban that this server can read"))
            elif self._never(key):
                removals.append(Change(key, "trusted, or an address of this server"))
            elif key not in again:
                before = self._held.get(key)
                held[key] = before if before and before[0] == one else (one, steady + one.until - wall)
        for put in puts:
            held[put.key] = (put, steady + put.until - wall)
        self._held = held
        return removals, puts, stepped
