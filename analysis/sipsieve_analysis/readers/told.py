"""What other programs' logs tell of messages, on its way through the guard's engine: one shape for all their readers."""

from __future__ import annotations

import calendar
import hashlib
import ipaddress
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final, Protocol

from sipsieve._core import Messages

#: The host of Call-IDs that were made here, where the log names none: they tell a request and its answer together.
MADE: Final = "told.invalid"

#: Bytes of a line; what follows is left out. And of one that is shown as not understood.
_LONGEST: Final = 1 << 20
_SAMPLE: Final = 200

#: Things remembered of one kind; when there are more, what there is belongs to times long past.
MOST: Final = 200_000

#: What is counted where a sender may have written what looks like the program's own words.
UNCLEAR: Final = "lines whose source can't be told from what a sender wrote"


@dataclass(slots=True)
class Told:
    """One message, or what is known of it. Time in seconds since the epoch; what is empty is not known."""

    time: float
    ip: str
    port: int = 0
    transport: str = "udp"
    method: bytes = b""
    uri: bytes = b""
    call_id: bytes = b""
    cseq: bytes = b""
    headers: list[tuple[str, bytes]] = field(default_factory=list)
    #: All of it, where the log printed it.
    message: bytes = b""
    #: Status of the answer.
    answered: int = 0
    #: Whether the server's parser refused it.
    refused: bool = False
    #: What `fail2ban` or `suricata` said of it.
    foreign: tuple[str, bytes] | None = None

    def user(self, user: bytes, host: bytes = b"") -> None:
        """Sets whom a registration is for, or who asks."""
        address = b"<sip:%s@%s>" % (user, host or b"accounted.invalid")
        if user:
            self.headers += [("from", address), ("to", address)]

    def tried(self, user: bytes) -> None:
        """Sets that it carried credentials. The log names no more of them than their user."""
        quoted = user.replace(b"\\", b"").replace(b'"', b"")
        self.headers.append(
            (
                "authorization",
                b'Digest username="%s", realm="-", nonce="-", uri="sip:-", response="%s"' % (quoted, b"0" * 32),
            )
        )


class Reader(Protocol):
    """Reads one log, fed in pieces."""

    #: The first line that was not understood.
    sample: str | None

    def feed(self, piece: bytes) -> list[Told]:
        """The messages that are complete with this piece."""
        ...

    def finish(self) -> list[Told]:
        """What is left at the end."""
        ...


def messages(found: Iterable[Told]) -> Messages:
    """The messages as the engine takes them. Where no Call-ID is known, one is made that nothing else shares."""
    items: list[Any] = []
    for told in found:
        call_id = told.call_id
        if not call_id and not told.message:
            named = f"{told.time}|{told.ip}|{told.port}|{len(items)}|{told.headers}"
            call_id = f"{hashlib.blake2b(named.encode('utf-8', 'replace'), digest_size=12).hexdigest()}@{MADE}".encode()
        items.append(
            (told.time, (told.ip, told.port, told.transport), (told.method, told.uri, call_id, told.cseq), told.headers,
             told.message, told.answered, told.refused, told.foreign)
        )  # fmt: skip
    return Messages.told(items)


class Lines:
    """Lines of a log that comes in pieces, without their ends."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> list[bytes]:
        """The lines that are complete with this piece."""
        lines = (self._rest + piece).split(b"\n")
        # Of a line without an end the beginning is kept.
        self._rest = lines.pop()[:_LONGEST]
        return lines

    def finish(self) -> list[bytes]:
        """The last line, if it has no end."""
        rest, self._rest = self._rest, b""
        return [rest] if rest else []


class Clock:
    """Reads times of logs in their zone. `newest`: when the log was last written, for lines that name no year."""

    def __init__(self, zone: tzinfo, newest: datetime) -> None:
        self._zone = zone
        self._newest = newest.astimezone(zone)
        self._known: tuple[bytes, float] = (b"", 0.0)

    def read(self, text: bytes) -> float:
        """Seconds since the epoch of `2026-11-16 10:00:00`, `Nov 16 10:00:00`, with a fraction or without, or ISO 8601."""
        second, fraction = text[:19], 0.0
        if text[:1].isalpha():
            second = text[:15]
        if (match := _FRACTION.match(text, len(second))) is not None:
            fraction = float(b"0." + match[1])
            text = text[: match.start()] + text[match.end() :]
        if text != self._known[0]:
            self._known = (text, self._whole(text.decode("ascii", "replace")))
        return self._known[1] + fraction

    def _whole(self, text: str) -> float:
        if text[:1].isalpha():
            try:
                when = datetime.strptime(f"{self._newest.year} {text}", "%Y %b %d %H:%M:%S")
            except ValueError:
                return self._newest.timestamp()
            if when.replace(tzinfo=self._zone) > self._newest + timedelta(days=2):
                when = when.replace(year=when.year - 1)
        else:
            try:
                when = datetime.fromisoformat(text)
            except ValueError:
                return self._newest.timestamp()
        if when.tzinfo is None and self._zone is UTC:
            return float(calendar.timegm(when.timetuple()))
        return (when if when.tzinfo else when.replace(tzinfo=self._zone)).timestamp()


_FRACTION: Final = re.compile(rb"[.,](\d{1,9})")


class Twice:
    """Tells lines that speak of the same event: two programs or two parts of one write a line each for every attempt.

    Of each kind of line there are so many; the event happened as often as the most frequent kind says.
    """

    def __init__(self) -> None:
        self._counts: dict[object, Counter[str]] = {}

    def is_new(self, event: object, kind: str) -> bool:
        """Whether a line of that kind tells of an event that no other kind has told of."""
        if len(self._counts) >= MOST:
            self._counts.clear()
        counts = self._counts.setdefault(event, Counter())
        before = max(counts.values(), default=0)
        counts[kind] += 1
        return counts[kind] > before


def address(text: bytes | str) -> str:
    """An IP address as text, "" where it is none. IPv4 in IPv6 is IPv4."""
    try:
        found = ipaddress.ip_address((text.decode("ascii") if isinstance(text, bytes) else text).strip("[]"))
    except ValueError:
        return ""
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)


def sample(line: bytes) -> str:
    """A line as it is shown where it was not understood."""
    return line[:_SAMPLE].decode("utf-8", "replace")


class Printed:
    """A message that a program printed into its log, over several lines.

    What a sender wrote may look like lines of the log: the message ends where its length says, and nothing before that
    is read as anything else. `size`: bytes, None where the log does not say; then Content-Length counts.
    """

    def __init__(self, told: Told, size: int | None) -> None:
        self._told = told
        self._left = min(size, 65_535) if size is not None else None
        self._lines: list[bytes] = []
        self._held = 0

    def take(self, line: bytes) -> bool:
        """Takes the next line; whether the message is complete with it."""
        self._lines.append(line.removesuffix(b"\r"))
        self._held += len(line) + 1
        if self._left is not None:
            return self._held >= self._left
        if len(self._lines) == 1 and not self._lines[0]:
            self._lines.clear()
            return False
        if not self._lines[-1]:
            self._left, self._held = length(self._lines), 0
            return self._left == 0
        return self._held > 65_535

    def told(self) -> Told:
        """The message. Logs lose the CR of line ends, so that what was taken may go on behind its end."""
        self._told.message = whole(self._lines)
        return self._told


_LENGTH: Final = re.compile(rb"(?:content-length|l)[ \t]*:[ \t]*(\d{1,5})", re.I)


def length(lines: list[bytes]) -> int:
    """The Content-Length among header lines; 0 where there is none."""
    return next((int(match[1]) for line in lines if (match := _LENGTH.match(line))), 0)


def whole(lines: list[bytes]) -> bytes:
    """A message of its lines without their ends, its body as long as it says."""
    at = lines.index(b"") if b"" in lines else len(lines)
    body = b"\r\n".join([*lines[at + 1 :], b""])
    return b"\r\n".join(lines[:at]) + b"\r\n\r\n" + body[: length(lines[:at])]
