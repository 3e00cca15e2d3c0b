"""Reads Asterisk's logs: `messages`, `full` and `security`, of chan_sip and chan_pjsip, and messages that they print."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

from .told import UNCLEAR, Clock, Lines, Printed, Told, Twice, address, sample

_DATE: Final = (
    rb"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:[+-]\d\d:?\d\d|Z)?|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d)"
)

#: `[Nov 16 10:00:00] NOTICE[41][C-00000001] chan_sip.c: `, the same behind syslog's header, and as the console has it.
LINE: Final = re.compile(
    rb"(?:\[" + _DATE + rb"\] |(?:<\d{1,3}>)?" + _DATE + rb" [^ \[]{1,64} asterisk\[\d{1,10}\]: )"
    rb"(NOTICE|WARNING|ERROR|SECURITY|VERBOSE|DEBUG|DTMF)\[\d{1,10}\](?:\[C-[0-9a-f]{8}\])?:? "
    rb"([A-Za-z0-9_./-]{1,64}\.c(?:pp)?)(?::\d{1,6})?(?: (?:in )?[A-Za-z0-9_]{1,64})?: "
)

_ADDRESS: Final = rb"(\[?[0-9A-Fa-f.:]{2,45}?\]?)(?::(\d{1,5}))?"

_END_SIP: Final = re.compile(_ADDRESS + rb"' - ([A-Za-z/ ',()-]{4,80})\Z")
_END_PJSIP: Final = re.compile(_ADDRESS + rb"' \(callid: (.{0,512})\) - ([A-Za-z ]{4,60})\Z", re.S)
_CALL_SIP: Final = re.compile(
    rb"Call from '([^']{0,80})' \(" + _ADDRESS + rb"\) to extension '(.{0,512})' rejected because ", re.S
)
_CALL_PJSIP: Final = re.compile(
    rb" {0,4}\S{1,80}: Call \((UDP|TCP|TLS|WS|WSS):" + _ADDRESS + rb"\) to extension '(.{0,512})' rejected because ",
    re.S,
)
_REMOTE: Final = re.compile(rb'RemoteAddress="IPV[46]/(UDP|TCP|TLS|WS|WSS)/([0-9A-Fa-f.:]{2,45})/(\d{1,5})"')
_PRINTED: Final = re.compile(
    rb"<--- (?:SIP read|Received SIP (?:request|response) \((\d{1,5}) bytes\)) from (UDP|TCP|TLS|WS|WSS):"
    + _ADDRESS
    + rb" --->\r?\Z"
)
_ANSWERED: Final = re.compile(rb"<--- Transmitting SIP response \((\d{1,5}) bytes\) to \S{1,80} --->\r?\Z")

#: What Asterisk says of a refused request: wrong credentials; else whom it does not know or let in.
_WRONG: Final = frozenset({b"Wrong password", b"Failed to authenticate", b"Username/auth name mismatch"})

#: Security events: the answer, and whether the request carried credentials.
_EVENTS: Final = {
    b"ChallengeSent": (401, False),
    b"SuccessfulAuth": (200, True),
    b"InvalidPassword": (401, True),
    b"ChallengeResponseFailed": (401, True),
    b"InvalidAccountID": (404, False),
    b"FailedACL": (403, False),
    b"RequestNotAllowed": (405, False),
    b"RequestNotSupported": (501, False),
    b"AuthMethodNotAllowed": (403, True),
    b"RequestBadFormat": (400, False),
    b"UnexpectedAddress": (403, False),
    b"InvalidTransport": (403, False),
    b"SessionLimit": (503, False),
    b"LoadAverageLimit": (503, False),
}


class Asterisk:
    """One log. `twice` is shared with the logs beside it: `messages` and `security` tell of the same attempts."""

    def __init__(self, clock: Clock, skipped: Counter[str], twice: Twice) -> None:
        self._clock = clock
        self._skipped = skipped
        self._twice = twice
        self._lines = Lines()
        self._printed: Printed | None = None
        self._call_ids: dict[bytes, None] = {}
        self._time = 0.0
        self.sample: str | None = None

    def feed(self, piece: bytes) -> list[Told]:
        """See `Reader`."""
        return [told for line in self._lines.feed(piece) if (told := self._line(line)) is not None]

    def finish(self) -> list[Told]:
        """See `Reader`."""
        found = [told for line in self._lines.finish() if (told := self._line(line)) is not None]
        if self._printed is not None:
            found.append(self._whole(self._printed))
            self._printed = None
        return found

    def _line(self, line: bytes) -> Told | None:
        if self._printed is not None:
            if not self._printed.take(line):
                return None
            whole, self._printed = self._whole(self._printed), None
            return whole
        match = LINE.match(line)
        text = line[match.end() :] if match is not None else line
        if match is not None:
            self._time = self._clock.read(match[1] or match[2])
        if b"<---" in text and self._opens(text.lstrip()):
            return None
        if match is None:
            if line.strip() and not line.startswith((b"<---", b"---", b"    --", b"  == ")):
                self._skipped["lines in no known format"] += 1
                self.sample = self.sample or sample(line)
            return None
        level, text = match[3], text.rstrip(b"\r")
        told = None
        if level == b"SECURITY":
            told = self._security(text)
        elif level in (b"NOTICE", b"WARNING", b"ERROR"):
            told = self._notice(text)
        else:
            self._skipped["Asterisk lines that tell of no message"] += 1
        return told

    def _opens(self, text: bytes) -> bool:
        """Whether a message is printed from the next line on."""
        if (match := _PRINTED.match(text)) is not None:
            told = Told(self._time, address(match[3]), int(match[4] or 0) & 0xFFFF, match[2].decode().lower())
            self._printed = Printed(told, int(match[1]) if match[1] else None)
        elif (match := _ANSWERED.match(text)) is not None:
            self._printed = Printed(Told(self._time, ""), int(match[1]))
        return self._printed is not None

    def _whole(self, printed: Printed) -> Told:
        told = printed.told()
        if (match := _CALL_ID.search(told.message)) is not None:
            if len(self._call_ids) >= 100_000:
                self._call_ids.clear()
            # What Asterisk says of this message elsewhere tells nothing new: its answer is printed as well.
            self._call_ids[match[1]] = None
        return told

    def _notice(self, text: bytes) -> Told | None:
        if text.startswith(b"Registration from '"):
            # Behind the address everything is Asterisk's own: the last one counts.
            sent, _, end = text[19:].rpartition(b"' failed for '")
            if (match := _END_SIP.match(end)) is not None and (ip := address(match[1])):
                return self._refused(b"REGISTER", sent, ip, match[2], b"", match[3])
        elif text.startswith(b"Request '"):
            method, _, rest = text[9:].partition(b"' from '")
            sent, _, end = rest.partition(b"' failed for '")
            if b"' failed for '" in end:
                self._skipped[UNCLEAR] += 1
                return None
            if (match := _END_PJSIP.match(end)) is not None and (ip := address(match[1])) and method.isalpha():
                return self._refused(method, sent, ip, match[2], match[3], match[4])
        elif (match := _CALL_SIP.match(text)) is not None and (ip := address(match[2])):
            return self._call(ip, match[3], "udp", match[4])
        elif (match := _CALL_PJSIP.match(text)) is not None and (ip := address(match[2])):
            return self._call(ip, match[3], match[1].decode().lower(), match[4])
        elif text.startswith((b"Sending fake auth rejection", b"Failed to authenticate ")):
            self._skipped["Asterisk lines that name no source"] += 1
            return None
        self._skipped["Asterisk lines that tell of no message"] += 1
        return None

    def _refused(self, method: bytes, sent: bytes, ip: str, port: bytes, call_id: bytes, reason: bytes) -> Told | None:
        if call_id in self._call_ids:
            return None
        told = Told(self._time, ip, int(port or 0) & 0xFFFF, method=method.upper(), call_id=call_id)
        told.headers += [("from", sent), ("to", sent)] if method == b"REGISTER" else [("from", sent)]
        wrong = reason in _WRONG
        told.answered = 401 if wrong else 404
        if wrong:
            told.tried(b"-")
        return told if self._twice.is_new(self._attempt(told, wrong), "notice") else None

    def _call(self, ip: str, port: bytes, transport: str, number: bytes) -> Told:
        told = Told(self._time, ip, int(port or 0) & 0xFFFF, transport, b"INVITE", answered=404)
        told.uri = b"sip:%s@accounted.invalid" % number
        told.headers.append(("to", b"<%s>" % told.uri))
        return told

    def _security(self, text: bytes) -> Told | None:
        event = text[15:].partition(b'"')[0] if text.startswith(b'SecurityEvent="') else b""
        if event not in _EVENTS or not (b',Service="PJSIP"' in text or b',Service="SIP"' in text):
            self._skipped["Asterisk lines that tell of no message"] += 1
            return None
        remote = {match.groups() for match in _REMOTE.finditer(text)}
        if len(remote) != 1 or not (ip := address(next(iter(remote))[1])):
            self._skipped[UNCLEAR] += 1
            return None
        transport, _, port = remote.pop()
        account, session = _named(text, b"AccountID"), _named(text, b"SessionID")
        call_id = session if b',Service="PJSIP"' in text else b""
        if call_id in self._call_ids:
            return None
        status, tried = _EVENTS[event]
        if account == b"<unknown>" and status == 401:
            account, status, tried = b"", 404, False
        told = Told(
            self._time,
            ip,
            int(port) & 0xFFFF,
            transport.decode().lower(),
            b"REGISTER",
            call_id=call_id,
            answered=status,
        )
        told.user(account)
        if tried:
            told.tried(account)
        refused = status in (401, 404) and event != b"ChallengeSent"
        if refused and not self._twice.is_new(self._attempt(told, tried), "security"):
            return None
        return told

    @staticmethod
    def _attempt(told: Told, wrong: bool) -> object:
        # Hours bound how long a Call-ID that comes again is the same.
        return told.ip, told.port, told.call_id, int(told.time // 3600), bool(told.call_id) or wrong


_CALL_ID: Final = re.compile(rb"\r\n(?:call-id|i)[ \t]*:[ \t]*([^\r\n]{1,512})", re.I)


def _named(text: bytes, name: bytes) -> bytes:
    """A value of a security event, up to what Asterisk writes behind it."""
    _, _, rest = text.partition(b"," + name + b'="')
    return rest.partition(b'",')[0][:512]
