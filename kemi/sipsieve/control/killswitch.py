"""Watches the kill switch: who turned inspection off or on, and how many messages passed meanwhile."""

from __future__ import annotations

from collections.abc import Callable

from ..decision_log.ledger import OVERFLOW, Entry
from ..decision_log.record import escaped
from ..model import Notice

#: Longest text kept of who turned the switch.
_WHO = 512


class KillSwitch:
    """The timer process's memory of where the switch stood."""

    def __init__(
        self,
        is_off: Callable[[], bool],
        turned_by: Callable[[], object],
        passed: Callable[[], int],
        notice: Notice,
    ) -> None:
        """`turned_by`: who and why, as the operator's command wrote it; `passed`: messages that passed unread so far."""
        self._is_off = is_off
        self._turned_by = turned_by
        self._count = passed
        self._notice = notice
        self._known = (False, "start")
        self._passed = 0
        self._since = 0.0

    def look(self, now: float, every: int) -> list[Entry]:
        """Writes down a turn of the switch. Returns what passed while it was off, each `every` seconds."""
        switch = (self._is_off(), escaped(str(self._turned_by()).encode("utf-8", "replace"), _WHO))
        # Turned twice between two looks, the text alone tells of it.
        if switch != self._known and self._notice("off" if switch[0] else "on", now, {"reason": switch[1]}):
            self._known = switch
            self._since = 0.0
        if now - self._since < every:
            return []
        passed = self._count()
        # Kamailio counts in 32 bits.
        more = (passed - self._passed) & 0xFFFFFFFF
        entries = [Entry(*OVERFLOW, "off", more, self._since or now, now)] if more else []
        self._passed = passed
        self._since = now
        return entries
