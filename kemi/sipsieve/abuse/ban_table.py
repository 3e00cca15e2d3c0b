"""The table of bans as the whole server sees it: puts bans in, takes them up after a restart, keeps the table right."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Final, NamedTuple

from .. import model
from ..model import Scope
from . import bans
from .ban_audit import BanAudit

#: Bans that are told again in a second: each is a message to each node, which is answered.
AT_ONCE: Final = 100


class Access(NamedTuple):
    """What the table of bans can do. `put` takes key, value and the seconds that it stands."""

    entries: Callable[[], Mapping[str, str]]
    put: Callable[[str, str, int], object]
    remove: Callable[[str], object]


class BanTable:
    """Who is shut out. Workers put bans in; the timer process looks after the table, which others write to as well."""

    def __init__(self, table: Access, never: Callable[[str], bool], notice: model.Notice) -> None:
        """`never` says of a key that it must not be banned."""
        self._table = table
        self._never = never
        self._notice = notice
        self._ban_audit = BanAudit(never)
        #: Keys of bans that other nodes are to be told again, in their order.
        self._untold: dict[str, None] = {}

    def impose(self, ban: model.Ban, now: float) -> None:
        """Shuts a source out, and writes that down."""
        until = int(now) + ban.seconds
        self._put(bans.Entry(ban.key, ban.rule, int(now), until, ban.offences, ban.scope, ban.reason), now)
        # fail2ban reads this line: its first fields stand in this order.
        detail = {
            "network": str(bans.network(ban.key)),
            "source": ban.key,
            "rule": ban.rule,
            "seconds": ban.seconds,
            "offences": ban.offences,
            "udp_only": ban.scope is Scope.DATAGRAMS,
            "scope": ban.scope.label,
            "reason": ban.reason,
        }
        self._notice("ban", now, detail)

    def restore(self, text: str, now: float, most: int) -> list[bans.Entry]:
        """Puts in what a state file says, at most `most` bans, and returns them. Raises `ValueError`."""
        allowed = [entry for entry in bans.restore(text, now, most) if not self._never(entry.key)]
        for entry in allowed:
            self._put(entry, now)
        return allowed

    def announce(self, nodes: Iterable[str], now: float) -> None:
        """Has all bans told to the other nodes once more, `AT_ONCE` with each look; `nodes` missed some. Writes that down."""
        keys = [key for key, _, _ in bans.lasting(self._table.entries(), now)]
        self._untold.update(dict.fromkeys(keys))
        detail = {"nodes": sorted(nodes), "bans": len(keys), "reason": "heard nothing from here for a while"}
        self._notice("announce", now, detail)

    def look(self, now: float, steady: float) -> tuple[int, bool]:
        """Once a second: lifts what must not be banned, and mends what a clock that was set did.

        Returns how many bans there are, and whether the clock was set: then counters that expire by it are wrong.
        """
        table = self._table.entries()
        removals, puts, stepped = self._ban_audit.look(table, now, steady)
        for key, why in removals:
            self._table.remove(key)
            self._notice("unban", now, {"source": key[:64], "reason": why})
        if stepped:
            self._notice("clock", now, {"reason": "the clock was set", "steady": round(steady, 6)})
        for entry in puts:
            self._put(entry, now)
        gone = {key for key, _ in removals} | {entry.key for entry in puts}
        self._tell({key: table[key] for key in self._next() if key in table and key not in gone}, now)
        return len(table) - len(removals), stepped

    def _next(self) -> list[str]:
        """Whose turn it is to be told again."""
        keys = list(islice(self._untold, AT_ONCE))
        for key in keys:
            del self._untold[key]
        return keys

    def _tell(self, table: Mapping[str, str], now: float) -> None:
        for key, value, left in bans.lasting(table, now):
            self._table.put(key, value, left)

    def _put(self, entry: bans.Entry, now: float) -> None:
        self._table.put(entry.key, entry.value, max(1, entry.until - int(now)))
