"""Reads FreeSWITCH's log: refused and challenged logins, calls, and messages that its `siptrace` prints."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

from .told import Clock, Lines, Printed, Told, Twice, address, sample

#: `2026-11-16 10:00:00.123456 99.97% [WARNING] sofia_reg.c:1842 `, behind the call's id or alone.
LINE: Final = re.compile(
    rb"(?:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}) )?(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[.]\d{3,6})(?: \d{1,3}\.\d\d%)? "
    rb"\[(DEBUG|INFO|NOTICE|WARNING|ERR|CRIT|ALERT|CONSOLE)\] ([A-Za-z0-9_]{1,64}\.(?:c|cpp|h)):\d{1,6} "
)

_IP: Final = rb"(\[?[0-9A-Fa-f.:]{2,45}\]?)"
_LOGIN: Final = re.compile(
    rb"SIP auth (failure|challenge) \((REGISTER|INVITE)\) on sofia profile '[^']{0,64}' for \[(.{0,1024})\] from ip "
    + _IP
    + rb"\Z",
    re.S,
)
_UNKNOWN: Final = re.compile(rb"\ACan't find user \[(.{0,1024})\] from " + _IP + rb"\Z", re.S)
_BARRED: Final = re.compile(rb"IP " + _IP + rb" Rejected by (?:register )?acl \"")
_INVITE: Final = re.compile(rb"(\S{1,512}) receiving invite from " + _IP + rb":(\d{1,5}) version: ")
_DIALLED: Final = re.compile(rb"Processing [^<>]{0,256} <([^<>]{0,256})>->([^<>]{0,256}) in context \S{1,64}\Z")
_TRACE: Final = re.compile(
    rb"(?:[0-9a-f-]{36} )?(recv|send) (\d{1,5}) bytes (?:from|to) (udp|tcp|tls|ws|wss)/\[?([0-9A-Fa-f.:]{2,45})\]?:(\d{1,5}) at [0-9:.]{8,15}:\r?\Z"
)


class FreeSwitch:
    """One log."""

    def __init__(self, clock: Clock, skipped: Counter[str], twice: Twice) -> None:
        self._clock = clock
        self._skipped = skipped
        self._twice = twice
        self._lines = Lines()
        #: A message that is being printed, and how deep; the rule above it comes first.
        self._printed: tuple[Printed, bytes] | None = None
        self._trace: tuple[Told, int] | None = None
        self._traced = False
        self._calls: dict[bytes, Told] = {}
        self._time = 0.0
        self.sample: str | None = None

    def feed(self, piece: bytes) -> list[Told]:
        """See `Reader`."""
        return [told for line in self._lines.feed(piece) if (told := self._line(line)) is not None]

    def finish(self) -> list[Told]:
        """See `Reader`."""
        found = [told for line in self._lines.finish() if (told := self._line(line)) is not None]
        if self._printed is not None:
            found.append(self._printed[0].told())
            self._printed = None
        found += self._calls.values()
        self._calls.clear()
        return found

    def _line(self, line: bytes) -> Told | None:
        if self._printed is not None:
            printed, deep = self._printed
            if not printed.take(line.removeprefix(deep)):
                return None
            self._printed = None
            return printed.told()
        if self._trace is not None:
            told, size = self._trace
            self._trace = None
            if line.strip(b" -\r") == b"":
                self._printed = (Printed(told, size), line[: len(line) - len(line.lstrip(b" "))])
                return None
        if b" bytes " in line[:64] and (match := _TRACE.match(line.lstrip())) is not None:
            mine = match[1] == b"send"
            self._traced = True
            ip = "" if mine else address(match[4])
            self._trace = (
                Told(self._time, ip, 0 if mine else int(match[5]) & 0xFFFF, match[3].decode()),
                int(match[2]),
            )
            return None
        match = LINE.match(line)
        if match is None:
            if line.strip(b" -\r"):
                self._skipped["lines in no known format"] += 1
                self.sample = self.sample or sample(line)
            return None
        self._time = self._clock.read(match[2])
        return self._said(match[1], line[match.end() :].rstrip(b"\r"))

    def _said(self, call: bytes | None, text: bytes) -> Told | None:
        if self._traced:
            # The messages themselves are in the log: what is said of them tells nothing new.
            return None
        if (match := _LOGIN.match(text)) is not None and (ip := address(match[4])):
            user, _, host = match[3].rpartition(b"@")
            told = Told(self._time, ip, method=match[2], answered=401)
            told.user(user or match[3], host)
            if match[1] == b"failure":
                told.tried(user)
                return told if self._twice.is_new((ip, match[3], int(self._time // 60)), "failure") else None
            return told
        if (match := _UNKNOWN.match(text)) is not None and (ip := address(match[2])):
            user, _, host = match[1].rpartition(b"@")
            told = Told(self._time, ip, method=b"REGISTER", answered=404)
            told.user(user or match[1], host)
            return told if self._twice.is_new((ip, match[1], int(self._time // 60)), "unknown") else None
        if (match := _BARRED.match(text)) is not None and (ip := address(match[1])):
            return Told(self._time, ip, method=b"INVITE", answered=403)
        if (match := _INVITE.match(text)) is not None and (ip := address(match[2])):
            told = Told(self._time, ip, int(match[3]) & 0xFFFF, method=b"INVITE")
            if call is None or len(self._calls) >= 10_000:
                return told
            self._calls[call] = told
            return None
        if call in self._calls and (match := _DIALLED.match(text)) is not None:
            told = self._calls.pop(call)
            told.uri = b"sip:%s@accounted.invalid" % match[2]
            told.headers += [("from", b"<sip:%s@accounted.invalid>" % match[1]), ("to", b"<%s>" % told.uri)]
            return told
        self._skipped["FreeSWITCH lines that tell of no message"] += 1
        return None
