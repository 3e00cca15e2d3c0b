"""Takes one SIP message out of a file: as it is, from standard input, or one frame of a capture."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final, NamedTuple

import dpkt

#: Bytes read of a message or frame: more than a UDP datagram can hold.
MAX_BYTES: Final = 1 << 20

#: How captures begin: pcap in both byte orders (also with nanoseconds), and pcapng.
_MAGIC: Final = (
    b"\xa1\xb2\xc3\xd4",
    b"\xd4\xc3\xb2\xa1",
    b"\xa1\xb2\x3c\x4d",
    b"\x4d\x3c\xb2\xa1",
    b"\x0a\x0d\x0d\x0a",
)


class Taken(NamedTuple):
    """A message with what is known of its way; empty where the file says nothing."""

    raw: bytes
    ip: str = ""
    port: int = 0
    transport: str = "udp"


class NoMessage(ValueError):
    """Nothing to explain in that file: says why, and what to do."""


def take(name: str, frame: int) -> Taken:
    """The message in file `name` ("-": standard input); of a capture the frame of that number, from 1.

    Raises `NoMessage`.
    """
    try:
        with sys.stdin.buffer if name == "-" else Path(name).open("rb") as file:
            start = file.read(4)
            if start in _MAGIC:
                if name == "-":
                    raise NoMessage("a capture can't be read from standard input; name the file")
                file.seek(0)
                return _frame(file, name, frame)
            raw = start + file.read(MAX_BYTES)
    except OSError as error:
        raise NoMessage(f"{name}: cannot be read: {error.strerror}") from error
    if not raw.strip():
        raise NoMessage(f"{name}: is empty")
    if b"\r\n" not in raw[:4096]:
        # A message saved by an editor; the wire knows CRLF only (RFC 3261 7).
        head, gap, body = raw.partition(b"\n\n")
        raw = head.replace(b"\n", b"\r\n") + gap.replace(b"\n", b"\r\n") + body
    return Taken(raw)


def _frame(file: object, name: str, frame: int) -> Taken:
    try:
        reader = dpkt.pcap.UniversalReader(file)
        for number, (_, data) in enumerate(reader, 1):
            if number == frame:
                return _payload(data[:MAX_BYTES], reader.datalink(), name, frame)
    except (ValueError, dpkt.dpkt.Error, OSError) as error:
        raise NoMessage(f"{name}: is no capture that can be read: {error}") from error
    raise NoMessage(f"{name}: has no frame {frame}; frames are counted from 1")


def _payload(data: bytes, datalink: int, name: str, frame: int) -> Taken:
    links = {
        dpkt.pcap.DLT_EN10MB: dpkt.ethernet.Ethernet,
        dpkt.pcap.DLT_LINUX_SLL: dpkt.sll.SLL,
        dpkt.pcap.DLT_LINUX_SLL2: dpkt.sll2.SLL2,
        dpkt.pcap.DLT_NULL: dpkt.loopback.Loopback,
    }
    try:
        if datalink in links:
            packet = links[datalink](data).data
        else:
            packet = dpkt.ip6.IP6(data) if data[:1] and data[0] >> 4 == 6 else dpkt.ip.IP(data)
        if isinstance(packet, dpkt.ethernet.VLANtag8021Q):
            packet = packet.data
        segment = packet.data
    except (dpkt.dpkt.Error, AttributeError, IndexError) as error:
        raise NoMessage(f"{name}: frame {frame} can't be read: {error}") from error
    if not isinstance(packet, dpkt.ip.IP | dpkt.ip6.IP6) or not isinstance(segment, dpkt.udp.UDP | dpkt.tcp.TCP):
        raise NoMessage(f"{name}: frame {frame} carries neither UDP nor TCP")
    raw = bytes(segment.data)
    if not raw.strip():
        raise NoMessage(f"{name}: frame {frame} carries no payload")
    transport = "udp" if isinstance(segment, dpkt.udp.UDP) else "tcp"
    return Taken(raw, dpkt.utils.inet_to_str(packet.src), segment.sport, transport)
