"""Reads fail2ban's log: whom its jails for SIP found, and banned."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from .told import MOST, Clock, Lines, address, sample

#: `2026-11-16 10:00:00,123 fail2ban.filter [41]: INFO [asterisk] Found 203.0.113.7 - 2026-11-16 10:00:00`.
LINE: Final = re.compile(
    rb"(?:[A-Z][a-z]{2} [ \d]\d [0-9:]{8} [^ ]{1,64} )?(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) fail2ban\.([a-z0-9]{1,20}) *\[\d{1,10}\]: ([A-Z]{3,10}) +"
)
_TOLD: Final = re.compile(
    rb"\[([^\]]{1,64})\] (Found|Ban|Restore Ban|Increase Ban) ([0-9A-Fa-f.:]{2,45})"
    rb"(?: - (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)|\s| \(\d{1,6} # .{0,80}\)|\Z)"
)

#: Jails that guard SIP servers.
_JAILS: Final = re.compile(rb"sip|asterisk|freeswitch|kamailio|openser|voip|pbx|\bser\b|fusion|yate", re.I)


class Fail2Ban:
    """One log. Its records need no engine: it shows nothing that a sender wrote."""

    def __init__(self, clock: Clock, skipped: Counter[str]) -> None:
        self._clock = clock
        self._skipped = skipped
        self._lines = Lines()
        #: What each address was found for last: a ban that follows belongs to it.
        self._last: dict[str, dict[str, Any]] = {}
        self.sample: str | None = None

    def feed(self, piece: bytes) -> bytes:
        """Decision records, as lines of JSON, of what this piece tells."""
        return b"".join(map(self._line, self._lines.feed(piece)))

    def finish(self) -> bytes:
        """The same of what is left at the end."""
        rest = b"".join(map(self._line, self._lines.finish()))
        return rest + self._all()

    def _line(self, line: bytes) -> bytes:
        match = LINE.match(line)
        if match is None:
            if line.strip():
                self._skipped["lines in no known format"] += 1
                self.sample = self.sample or sample(line)
            return b""
        told = _TOLD.match(line, match.end())
        if told is None:
            self._skipped["fail2ban lines that tell of nobody"] += 1
            return b""
        if not _JAILS.search(told[1]):
            self._skipped["fail2ban lines of jails that have nothing to do with SIP"] += 1
            return b""
        jail, ip = told[1].decode("utf-8", "replace"), address(told[3])
        if told[2] != b"Found" and (last := self._last.pop(ip, None)) is not None:
            last["findings"].insert(0, _finding("ban", jail))
            return _line(last)
        # When the jail's log said it, where that is named.
        record = _record(self._clock.read(told[4] or match[1]), ip, "found" if told[2] == b"Found" else "ban", jail)
        if told[2] != b"Found":
            return _line(record)
        ready = self._all() if len(self._last) >= MOST else b""
        before, self._last[ip] = self._last.get(ip), record
        return ready + (_line(before) if before else b"")

    def _all(self) -> bytes:
        ready = b"".join(map(_line, self._last.values()))
        self._last.clear()
        return ready


def _finding(what: str, jail: str) -> dict[str, Any]:
    # A ban is a limit that was reached.
    family = "limits" if what == "ban" else "foreign"
    return {"rule": f"fail2ban-{what}", "family": family, "score": 5, "field": "source", "excerpt": jail}


def _record(time: float, ip: str, what: str, jail: str) -> dict[str, Any]:
    """As the guard would have written it: a failed registration."""
    return {
        "@timestamp": datetime.fromtimestamp(time, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "source": {"ip": ip},
        "event": {"kind": "event", "action": "reject", "outcome": "success"},
        "sip": {"type": "request", "method": "REGISTER"},
        "sipsieve": {"version": 2},
        "findings": [_finding(what, jail)],
    }


def _line(record: dict[str, Any]) -> bytes:
    return msgspec.json.encode(record) + b"\n"
