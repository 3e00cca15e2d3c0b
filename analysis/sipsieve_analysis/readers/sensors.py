"""Reads what network sensors wrote of SIP: Suricata's EVE (events of SIP, alerts) and Zeek's sip.log (TSV, JSON)."""

from __future__ import annotations

import base64
import binascii
import re
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from .told import Lines, Told, address, sample

#: Alerts that wait for the event of the message that raised them.
_HELD: Final = 10_000

_MESSAGE: Final = re.compile(rb"(?:[A-Za-z]{1,32} [^\r\n]{1,4096} SIP/2\.0|SIP/2\.0 \d{3})")

_decode: Final = msgspec.json.Decoder().decode


def _text(value: Any) -> bytes:
    return value.encode("utf-8", "surrogateescape")[:4096] if isinstance(value, str) else b""


def _whole(value: Any, most: int = 65_535) -> int:
    return value if isinstance(value, int) and 0 <= value <= most else 0


class Sensor:
    """One log of JSON lines, or TSV of Zeek."""

    def __init__(self, skipped: Counter[str]) -> None:
        self._skipped = skipped
        self._lines = Lines()
        self._fields: list[str] = []
        self._unset = "-"
        #: By flow and time: what Suricata warned of, until the event of the same message comes.
        self._alerts: dict[tuple[Any, Any], Told] = {}
        #: By flow: the request that has no answer yet.
        self._asked: dict[Any, Told] = {}
        self.sample: str | None = None

    def feed(self, piece: bytes) -> list[Told]:
        """See `Reader`."""
        return [told for line in self._lines.feed(piece) for told in self._line(line)]

    def finish(self) -> list[Told]:
        """See `Reader`."""
        found = [told for line in self._lines.finish() for told in self._line(line)]
        found += [*self._asked.values(), *self._alerts.values()]
        self._asked.clear()
        self._alerts.clear()
        return found

    def _line(self, line: bytes) -> list[Told]:
        line = line.rstrip(b"\r")
        if line.startswith(b"#"):
            name, _, listed = line.decode("utf-8", "replace").partition("\t")
            if name == "#fields":
                self._fields = listed.split("\t")
            elif name == "#unset_field":
                self._unset = listed
            return []
        try:
            if line.startswith(b"{"):
                entry = _decode(line)
            elif self._fields and line:
                values = line.decode("utf-8", "surrogateescape").split("\t")
                pairs = zip(self._fields, map(_unescaped, values), strict=False)
                entry = {name: value for name, value in pairs if value not in (self._unset, "(empty)")}
            else:
                entry = None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            entry = None
        if not isinstance(entry, dict):
            if line:
                self._skipped["lines in no known format"] += 1
                self.sample = self.sample or sample(line)
            return []
        return self._eve(entry) if "event_type" in entry else self._zeek(entry)

    def _zeek(self, entry: Mapping[str, Any]) -> list[Told]:
        method = _text(entry.get("method"))
        ip = address(str(entry.get("id.orig_h", "")))
        try:
            time = float(entry.get("ts", ""))
        except (TypeError, ValueError):
            time = _moment(entry.get("ts"))
        if not method or not ip or not time:
            self._skipped["sensor lines that tell of no request"] += 1
            return []
        told = Told(time, ip, _number(entry.get("id.orig_p")), method=method, uri=_text(entry.get("uri")))
        told.call_id = _text(entry.get("call_id"))
        told.cseq = _text(entry.get("seq")).split(b" ")[0] if _text(entry.get("seq"))[:1].isdigit() else b""
        for name, key in (
            ("from", "request_from"), ("to", "request_to"), ("user-agent", "user_agent"), ("subject", "subject"),
            ("reply-to", "reply_to"), ("date", "date"), ("warning", "warning"),
        ):  # fmt: skip
            if value := _text(entry.get(key)):
                told.headers.append((name, value))
        status = _number(entry.get("status_code"))
        told.answered = status if 200 <= status < 700 else 0
        return [told]

    def _eve(self, entry: Mapping[str, Any]) -> list[Told]:
        kind = entry.get("event_type")
        said = entry.get("sip")
        sip: Mapping[str, Any] = said if isinstance(said, dict) else {}
        key = (entry.get("flow_id"), entry.get("timestamp"))
        if kind == "sip" and sip:
            return self._event(entry, sip, key)
        alert = entry.get("alert")
        if kind != "alert" or not isinstance(alert, dict):
            self._skipped["Suricata events that are not about SIP"] += 1
            return []
        signature = _text(alert.get("signature"))
        payload = _payload(entry)
        if not (sip or entry.get("app_proto") == "sip" or payload or re.search(rb"\bSIP|VOIP", signature, re.I)):
            self._skipped["Suricata events that are not about SIP"] += 1
            return []
        told = self._told(entry, sip)
        if told is None:
            return []
        told.message, told.foreign = payload, ("suricata", signature)
        self._alerts.setdefault(key, told)
        return self._oldest(self._alerts)

    def _event(self, entry: Mapping[str, Any], sip: Mapping[str, Any], key: tuple[Any, Any]) -> list[Told]:
        flow = key[0]
        if "code" in sip:
            status = _number(sip.get("code"))
            asked = self._asked.get(flow)
            if asked is None or not 200 <= status < 700:
                self._skipped["answers without their request"] += asked is None
                return []
            del self._asked[flow]
            asked.answered = status
            return [asked]
        told = self._told(entry, sip)
        if told is None:
            return []
        if (alert := self._alerts.pop(key, None)) is not None:
            told.message, told.foreign = alert.message, alert.foreign
        before = self._asked.pop(flow, None)
        self._asked[flow] = told
        return ([before] if before is not None else []) + self._oldest(self._asked)

    @staticmethod
    def _oldest(held: dict[Any, Told]) -> list[Told]:
        return [held.pop(next(iter(held)))] if len(held) > _HELD else []

    def _told(self, entry: Mapping[str, Any], sip: Mapping[str, Any]) -> Told | None:
        ip, time = address(str(entry.get("src_ip", ""))), _moment(entry.get("timestamp"))
        if not ip or not time:
            self._skipped["sensor lines that tell of no request"] += 1
            return None
        transport = str(entry.get("proto", "udp")).lower()
        return Told(time, ip, _whole(entry.get("src_port")), transport, _text(sip.get("method")), _text(sip.get("uri")))


def _payload(entry: Mapping[str, Any]) -> bytes:
    """The packet that raised an alert, where it is a SIP message."""
    try:
        raw = base64.b64decode(str(entry.get("payload") or "")[:90_000], validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    return raw if _MESSAGE.match(raw) else b""


def _moment(value: Any) -> float:
    """Seconds since the epoch; 0 where it is no time."""
    text = str(value)
    try:
        # Suricata writes +0000, which Python reads since 3.11.
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0


def _number(value: Any) -> int:
    try:
        return max(0, min(65_535, int(value or 0)))
    except (TypeError, ValueError):
        return 0


_ESCAPED: Final = re.compile(r"\\x([0-9a-fA-F]{2})")
_back: Final[Callable[[re.Match[str]], str]] = lambda match: chr(int(match[1], 16))  # noqa: E731


def _unescaped(value: str) -> str:
    """Without Zeek's escapes of bytes that are no printable text."""
    return _ESCAPED.sub(_back, value) if "\\x" in value else value
