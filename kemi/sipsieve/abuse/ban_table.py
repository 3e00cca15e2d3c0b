"""The table of bans as the whole server sees it: puts bans in, takes them up after a restart, keeps the table right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from .. import model
from ..model import Scope
from . import bans
from .ban_audit import BanAudit


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
        return len(table) - len(removals), stepped

    def _put(self, entry: bans.Entry, now: float) -> None:
        self._table.put(entry.key, entry.value, max(1, entry.until - int(now)))
