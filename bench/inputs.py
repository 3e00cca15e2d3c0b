"""Inputs for the analysis's bench: a capture and a raw Kamailio log of the same traffic, as large as one likes.

The capture holds the traffic of `mix.py` with answers, a tenth of it a brute force, and one hostile message in a
thousand. The log is what a stock Kamailio with an `xlog` line a request writes of it: one line of a well-formed
request, and what the parser writes of a malformed one. A second of traffic is 2,000 packets.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import mix

#: Monday, 16 November 2026, 00:00 UTC.
START: Final = 1_794_787_200.0

SERVER: Final = "192.0.2.10"

_PER_SECOND: Final = 2000


class Packet(NamedTuple):
    """One datagram: seconds, source, destination, bytes."""

    time: float
    source: tuple[str, int]
    target: tuple[str, int]
    payload: bytes


def packets(count: int) -> Iterator[Packet]:
    """So many datagrams. The same each time."""
    traffic = mix.Traffic(1)
    number, round_ = 0, 0
    while number < count:
        for sent in traffic.requests(round_, 20000):
            client = (sent.address, 5060)
            raw = sent.raw
            if number % 1000 == 7:
                client, raw = (f"198.51.100.{number // 1000 % 200 + 1}", 5071), _hostile(number)
            elif number % 10 == 8:
                client, raw = (f"203.0.113.{number // 10 % 40 + 1}", 5060), _guess(number)
            when = START + number / _PER_SECOND
            yield Packet(when, client, (SERVER, 5060), raw)
            number += 1
            if not raw.startswith(b"ACK "):
                yield Packet(when + 0.0001, (SERVER, 5060), client, _answer(raw))
                number += 1
            if number >= count:
                return
        round_ += 1


def capture(path: Path, count: int) -> None:
    """A pcap of `packets`, Ethernet and IPv4."""
    with path.open("wb", 1 << 20) as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        for packet in packets(count):
            payload = packet.payload
            udp = struct.pack(">HHHH", packet.source[1], packet.target[1], 8 + len(payload), 0) + payload
            ip = struct.pack(
                ">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0,
                socket.inet_aton(packet.source[0]), socket.inet_aton(packet.target[0]),
            )  # fmt: skip
            frame = b"\x02\0\0\0\0\1\x02\0\0\0\0\2\x08\x00" + ip + udp
            whole = int(packet.time)
            out.write(struct.pack("<IIII", whole, int((packet.time - whole) * 1e6), len(frame), len(frame)))
            out.write(frame)


def raw_log(path: Path, lines: int) -> None:
    """A raw log of the requests among `packets`, in syslog's classic form."""
    written = 0
    with path.open("w", 1 << 20, encoding="utf-8", errors="replace") as out:
        for packet in packets(1 << 60):
            if packet.source[0] == SERVER:
                continue
            for text in _said(packet):
                at = time.strftime("%b %d %H:%M:%S", time.gmtime(packet.time))
                out.write(f"{at} edge kamailio[{4100 + written % 8}]: {text}\n")
                written += 1
                if written >= lines:
                    return


def _said(packet: Packet) -> list[str]:
    raw = packet.payload.decode("utf-8", "replace")
    head = raw.split("\r\n\r\n", 1)[0].split("\r\n")
    method, _, rest = head[0].partition(" ")
    values = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    call = values.get("call-id", values.get("i", ""))
    sender, receiver = values.get("from", values.get("f", "")), values.get("to", values.get("t", ""))
    cseq = values.get("cseq", "1").split(" ")[0]
    ip, port = packet.source
    if "UPDATE users" in raw:
        quoted = raw.split("\r\n", 3)[3][:700].replace("\r", "#015").replace("\n", "#012")
        return [
            f"ERROR: {{{1} {cseq} {method} {call}}} <core> [core/parser/parse_from.c:74]: parse_from_header(): bad From header [{sender}]",
            f"ERROR: <core> [core/parser/parse_addr_spec.c:180]: parse_to_param(): unexpected char [']  in status 3: <<{quoted}>> .",
            f"ERROR: {{{1} {cseq} {method} {call}}} <core> [core/receive.c:386]: receive_msg(): core parsing of SIP message failed ({ip}:{port}/1)",
        ]
    uri = rest.rpartition(" ")[0]
    return [
        f"INFO: {{1 {cseq} {method} {call}}} <script>: {method} from {ip}:{port} ruri={uri} fu={_address(sender)} "
        f'tu={_address(receiver)} ua="{values.get("user-agent", "")}"'
    ]


def _address(value: str) -> str:
    if "<" in value:
        return value.partition("<")[2].partition(">")[0]
    return value.partition(";")[0]


def _guess(number: int) -> bytes:
    user = number // 10 % 500
    return (
        f"REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.9:5060;branch=z9hG4bK{number}\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:{user}@example.com>;tag={number}\r\nTo: <sip:{user}@example.com>\r\n"
        f"Call-ID: {number}@203.0.113.9\r\nCSeq: 1 REGISTER\r\nUser-Agent: friendly-scanner\r\n"
        f"Contact: <sip:{user}@203.0.113.9:5060>\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def _hostile(number: int) -> bytes:
    return (
        f"REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.9:5071;branch=z9hG4bK{number}\r\n"  # noqa: S608
        f"Max-Forwards: 70\r\nFrom: UPDATE users SET password='{number}' WHERE username='admin' <sip:1@x>;tag={number}\r\n"
        f"To: <sip:1@example.com>\r\nCall-ID: {number}@198.51.100.9\r\nCSeq: 1 REGISTER\r\nUser-Agent: EagleSIP\r\n"
        "Content-Length: 0\r\n\r\n"
    ).encode()


def _answer(raw: bytes) -> bytes:
    kept = [
        line
        for line in raw.split(b"\r\n\r\n", 1)[0].split(b"\r\n")[1:]
        if line.partition(b":")[0].strip().lower()
        in (b"via", b"v", b"from", b"f", b"to", b"t", b"call-id", b"i", b"cseq")
    ]
    first = (
        b"SIP/2.0 401 Unauthorized" if raw.startswith(b"REGISTER") and b"uthorization" not in raw else b"SIP/2.0 200 OK"
    )
    return b"\r\n".join([first, *kept, b"Content-Length: 0", b"", b""])
