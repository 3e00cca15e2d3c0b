"""Reads messages that HOMER exported: JSON of its search and its transactions, JSON lines, and text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from .told import Clock, Lines, Told, address, length, sample, whole

#: Bytes of an export as one JSON value: HOMER itself gives out some thousand messages at a time.
_LARGEST: Final = 256 << 20

#: `proto:UDP 2026-11-16T10:00:00.123+0000  203.0.113.7:5060 ---> 192.0.2.10:5060`, or ngrep's form of it.
TEXT: Final = re.compile(
    rb"(?:proto:(UDP|TCP|TLS|WS|WSS|SCTP)|([UTLW])) (\d{4}[-/]\d\d[-/]\d\d[ T]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?) {1,2}"
    rb"\[?([0-9A-Fa-f.:]{2,45}?)\]?:(\d{1,5}) -{1,3}> \[?([0-9A-Fa-f.:]{2,45}?)\]?:(\d{1,5})[ \t]*\r?\Z",
    re.I,
)

_PROTOCOLS: Final = {6: "tcp", 17: "udp", 22: "tls", 132: "sctp", "6": "tcp", "17": "udp"}

_decode: Final = msgspec.json.Decoder().decode


class Homer:
    """One export."""

    def __init__(self, clock: Clock, skipped: Counter[str]) -> None:
        self._clock = clock
        self._skipped = skipped
        self._lines = Lines()
        self._json: list[bytes] | None = None
        self._size = 0
        self._begun = False
        self._open: Told | None = None
        self._text: list[bytes] = []
        self.sample: str | None = None

    def feed(self, piece: bytes) -> list[Told]:
        """See `Reader`."""
        if not self._begun:
            self._begun = True
            # One value, or a line each: that is told by whether the first line is one.
            if piece.lstrip()[:1] in (b"{", b"[") and not _is_line(piece):
                self._json = []
        if self._json is not None:
            self._size += len(piece)
            if self._size <= _LARGEST:
                self._json.append(piece)
            return []
        return [told for line in self._lines.feed(piece) for told in self._line(line)]

    def finish(self) -> list[Told]:
        """See `Reader`."""
        if self._json is not None:
            try:
                value = _decode(b"".join(self._json))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                self.sample = self.sample or sample(b"".join(self._json)[:200])
                self._skipped["exports that are cut or no JSON"] += 1
                return []
            finally:
                self._json = []
            return [told for entry in _entries(value) for told in self._entry(entry)]
        found = [told for line in self._lines.finish() for told in self._line(line)]
        return found + self._end()

    def _line(self, line: bytes) -> list[Told]:
        if line.startswith(b"{"):
            try:
                return [told for entry in _entries(_decode(line)) for told in self._entry(entry)]
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                pass
        # A body may hold what looks like a line of this form; its address would be the sender's choice.
        if self._is_whole() and (match := TEXT.match(line)) is not None:
            done = self._end()
            time = self._clock.read(match[3].replace(b"/", b"-"))
            letter = {b"T": "tcp", b"L": "tls", b"W": "ws"}.get(match[2] or b"", "udp")
            transport = match[1].decode().lower() if match[1] else letter
            self._open = Told(time, address(match[4]), int(match[5]) & 0xFFFF, transport)
            return done
        if self._open is not None:
            if self._text or line.strip():
                self._text.append(line.removesuffix(b"\r"))
        elif line.strip():
            self._skipped["lines in no known format"] += 1
            self.sample = self.sample or sample(line)
        return []

    def _is_whole(self) -> bool:
        """Whether the message at hand has all that its Content-Length says."""
        if self._open is None or b"" not in self._text:
            return self._open is None or not self._text
        at = self._text.index(b"")
        return sum(len(line) + 2 for line in self._text[at + 1 :]) >= length(self._text[:at])

    def _end(self) -> list[Told]:
        told, self._open = self._open, None
        text, self._text = self._text, []
        if told is None or not text:
            return []
        told.message = whole(text)
        return [told]

    def _entry(self, entry: Mapping[str, Any]) -> list[Told]:
        raw = _first(entry, ("raw", "msg", "payload"))
        if not isinstance(raw, str) or b"SIP/2.0" not in raw[:4096].encode("utf-8", "replace"):
            self._skipped["entries of an export without a SIP message"] += 1
            return []
        ip = address(str(_first(entry, ("srcIp", "source_ip", "src_ip", "srcip")) or ""))
        time = _seconds(entry)
        port = _first(entry, ("srcPort", "source_port", "src_port", "srcport"))
        try:
            number = int(port or 0) & 0xFFFF
        except (TypeError, ValueError):
            number = 0
        if not ip or not time:
            self._skipped["entries of an export without source or time"] += 1
            return []
        transport = _PROTOCOLS.get(_first(entry, ("protocol", "proto")), "udp")
        message = raw.encode("utf-8", "surrogateescape")[:65_535]
        # JSON of a database may have lost the CR of line ends.
        if b"\r\n" not in message:
            message = message.replace(b"\n", b"\r\n")
        return [Told(time, ip, number, transport, message=message)]


def _is_line(piece: bytes) -> bool:
    first = piece.lstrip().partition(b"\n")[0]
    try:
        value = _decode(first)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return isinstance(value, dict) and _first(value, ("raw", "msg", "payload")) is not None


def _entries(value: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """Whatever in a value looks like a message: exports wrap them in `data`, `messages`, `hits`, `_source`."""
    if depth > 8:
        return
    if isinstance(value, list):
        for entry in value:
            yield from _entries(entry, depth + 1)
    elif isinstance(value, dict):
        if isinstance(_first(value, ("raw", "msg", "payload")), str):
            header = value.get("protocol_header")
            yield {**header, **value} if isinstance(header, dict) else value
        else:
            for inner in value.values():
                if isinstance(inner, list | dict):
                    yield from _entries(inner, depth + 1)


def _first(entry: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((entry[name] for name in names if entry.get(name) not in (None, "")), None)


def _seconds(entry: Mapping[str, Any]) -> float:
    """Seconds since the epoch: HOMER counts in seconds and microseconds, milliseconds, microseconds, or writes a date."""
    seconds = entry.get("timeSeconds")
    if isinstance(seconds, int):
        micro = entry.get("timeUseconds")
        return seconds + (micro / 1e6 if isinstance(micro, int) else 0.0)
    value = _first(entry, ("micro_ts", "timestamp", "create_date", "date", "time"))
    if isinstance(value, str) and value.isdigit():
        value = int(value)
    if isinstance(value, int | float):
        number = float(value)
        for limit, scale in ((1e14, 1e6), (1e11, 1e3)):
            if number >= limit:
                return number / scale
        return number
    try:
        when = datetime.fromisoformat(str(value))
    except ValueError:
        return 0.0
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
