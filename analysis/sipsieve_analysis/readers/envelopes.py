"""Takes log lines out of what collectors wrap around them: JSON of Docker, Kubernetes and shippers, journald's exports."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final

import msgspec

#: How the core is told a line that was taken apart: this byte, seconds, process id, and the text.
_MARK: Final = b"\x1e"

_decode: Final = msgspec.json.Decoder().decode

#: Where collectors put the text, the time, the process and the program, by falling exactness.
_TEXT: Final = ("MESSAGE", "log", "message", "msg", "line")
_TIME: Final = ("__REALTIME_TIMESTAMP", "_SOURCE_REALTIME_TIMESTAMP", "time", "@timestamp", "timestamp", "ts", "date")
_PID: Final = ("SYSLOG_PID", "_PID", "pid", "procid")
_PROGRAM: Final = ("SYSLOG_IDENTIFIER", "_COMM", "program", "appname", "ident")

_STDERR: Final = re.compile(r"\s*+(?:\x1b\[[0-9;]*+m\s*+){0,4}\d{1,4}\((\d{1,10})\) ")
_VERBOSE: Final = re.compile(rb"[A-Z][a-z]{2} (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})?) (\S{1,8}) \[s=")
_OURS: Final = re.compile(r"kamailio|openser|\Aser\Z")
_OPENSIPS: Final = re.compile(r"opensips")


def is_wrapped(head: bytes) -> bool:
    """Whether a log's first bytes are a collector's."""
    start = head.lstrip(b"\x1e \t\r\n")
    return start.startswith((b"{", b"data: {", b"__CURSOR=")) or _VERBOSE.match(start) is not None


def unwrapped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The log lines in it, as the core takes them. What is no envelope is passed on as it is."""
    entry: dict[str, Any] = {}
    pretty: list[bytes] = []
    for lines in _lines(pieces):
        out = []
        for line in lines:
            if (match := _VERBOSE.match(line)) is not None:
                out.append(_told(entry))
                entry = {"time": f"{match[1].decode()}{'Z' if match[2] == b'UTC' else ''}"}
            elif line.startswith(b"    ") and b"=" in line and "time" in entry:
                _put(entry, line.strip())
            elif line.startswith(b"__CURSOR="):
                out.append(_told(entry))
                entry = {"__CURSOR": ""}
            elif "__CURSOR" in entry and b"=" in line:
                _put(entry, line)
            elif pretty or line.rstrip() == b"{":
                # journalctl -o json-pretty: an object over several lines.
                pretty.append(line)
                if line.startswith(b"}") or len(pretty) > 512:
                    out.append(_read(b"".join(pretty)))
                    pretty = []
            elif (text := line.removeprefix(b"data: ").lstrip(b"\x1e")).startswith(b"{"):
                out.append(_read(text))
            elif line.strip():
                out.append(line)
        yield b"".join(out)
    yield _told(entry)


def texts(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The log lines of any program in collectors' JSON, without their ends; other lines as they are.

    A line stays one line: what a sender wrote into it begins no other.
    """
    for lines in _lines(pieces):
        for line in lines:
            text = line.rstrip(b"\r\n")
            if text.startswith((b"{", b"\x1e{", b"data: {")):
                try:
                    entry = _decode(text.removeprefix(b"data: ").lstrip(b"\x1e"))
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                    entry = None
                said = _first(entry, _TEXT) if isinstance(entry, dict) else None
                if isinstance(said, str):
                    text = said.encode("utf-8", "surrogateescape").rstrip(b"\r\n").replace(b"\n", b" ")
            yield text


def _lines(pieces: Iterable[bytes]) -> Iterator[list[bytes]]:
    rest = b""
    for piece in pieces:
        lines = (rest + piece).splitlines(keepends=True) if b"\r\n" in piece else _split(rest + piece)
        rest = b"" if not lines or lines[-1].endswith(b"\n") else lines.pop()[: 1 << 20]
        yield lines
    if rest:
        yield [rest + b"\n"]


def _split(text: bytes) -> list[bytes]:
    lines = text.split(b"\n")
    return [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def _put(entry: dict[str, Any], line: bytes) -> None:
    name, _, value = line.rstrip(b"\n").partition(b"=")
    if len(entry) < 256:
        entry.setdefault(name.decode("ascii", "replace"), value.decode("utf-8", "surrogateescape"))


def _read(text: bytes) -> bytes:
    try:
        entry = _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # As it is: the core counts it.
        return text if text.endswith(b"\n") else text.replace(b"\n", b" ") + b"\n"
    return _told(entry) if isinstance(entry, dict) else text


def _first(entry: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((entry[name] for name in names if entry.get(name) not in (None, "")), None)


def _told(entry: dict[str, Any]) -> bytes:
    """One line as the core takes it; empty for an entry that holds none."""
    said = _first(entry, _TEXT)
    if isinstance(said, list):
        # journald writes what is not printable UTF-8 as a list of bytes.
        text = bytes(byte for byte in said if isinstance(byte, int) and 0 <= byte < 256)
    elif isinstance(said, str):
        text = said.encode("utf-8", "surrogateescape")
    else:
        return b""
    text = text.rstrip(b"\r\n")
    pid = _first(entry, _PID)
    program = _first(entry, _PROGRAM)
    if program is not None and _OPENSIPS.search(str(program)):
        # Only its name tells what its script wrote: the core reads it as syslog would have put it.
        seconds = _seconds(_first(entry, _TIME))
        text = text.replace(b"\r", b"#015").replace(b"\n", b"#012")
        return b"%s - opensips[%d]: %s\n" % (
            b"1970-01-01T00:00:00Z" if seconds == b"-" else seconds,
            _number(pid),
            text,
        )
    if program is not None and not _OURS.search(str(program)) and b"<core>" not in text and b"<script>" not in text:
        return b"1970-01-01T00:00:00Z - other: \n"
    if (match := _STDERR.match(text[:64].decode("ascii", "replace"))) is not None:
        pid, text = match[1], text[match.end() :]
    # A line feed within a message is put back by the core, as rsyslog's escapes are.
    text = text.replace(b"\r", b"#015").replace(b"\n", b"#012")
    return b"%s%s %d %s\n" % (_MARK, _seconds(_first(entry, _TIME)), _number(pid), text)


def _number(value: Any) -> int:
    try:
        return max(0, int(value or 0))
    except (TypeError, ValueError):
        return 0


def _seconds(value: Any) -> bytes:
    """Seconds since the epoch, written out; `-` where there are none."""
    if isinstance(value, int | float) or (isinstance(value, str) and value.isdigit()):
        number = float(value)
        # Nano-, micro- and milliseconds are told by their size.
        for limit, scale in ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3)):
            if number >= limit:
                number /= scale
                break
        return b"%.6f" % number
    try:
        when = datetime.fromisoformat(str(value))
    except ValueError:
        return b"-"
    if when.tzinfo is None:
        return b"%.6f" % (calendar.timegm(when.timetuple()) + when.microsecond / 1e6)
    return b"%.6f" % when.timestamp()
