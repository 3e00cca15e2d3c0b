"""Reads SIP messages out of packet captures: UDP by dpkt, TCP put together by tshark."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import dpkt

from .kinds import InputError

#: SIP's registered ports, and those that installations use most beside them.
PORTS: Final = frozenset({5060, 5061, 5062, 5080, 5160})

#: Kamailio reads no shorter datagram either; keep-alives are shorter.
_SHORTEST: Final = 32

_LOOKS_LIKE_SIP: Final = re.compile(rb"\A[\r\n]{0,8}(?:SIP/[0-9]|[A-Z]{3,16} [^\r\n]{1,2000} SIP/[0-9])")

#: Seconds that tshark may take over one capture.
_TSHARK_SECONDS: Final = 600


class Frame(NamedTuple):
    """One SIP message: seconds since the epoch, source, transport, bytes."""

    time: float
    ip: str
    port: int
    transport: str
    raw: bytes


def frames(path: Path, stream: IO[bytes], skipped: Counter[str]) -> Iterator[Frame]:
    """The SIP messages of a capture, UDP ones in their order, then those of TCP.

    What is no SIP message is counted by kind in `skipped`. Raises `InputError` where the file is no capture.
    """
    try:
        reader: Any = dpkt.pcap.UniversalReader(stream)
        link = reader.datalink()
    except (ValueError, dpkt.Error, OSError) as error:
        raise InputError(f"{path}: is not a capture that can be read: {error}") from error
    tcp = False
    try:
        for time, packet in reader:
            network = _network(link, packet)
            if network is None:
                skipped["frames that hold no IP"] += 1
                continue
            if _is_fragment(network):
                skipped["IP fragments (not put together)"] += 1
                continue
            segment = network.data
            if isinstance(segment, dpkt.udp.UDP):
                payload = bytes(segment.data)
                if len(payload) >= _SHORTEST and (
                    segment.dport in PORTS or segment.sport in PORTS or _LOOKS_LIKE_SIP.match(payload)
                ):
                    yield Frame(float(time), _address(network.src), segment.sport, "udp", payload)
                elif payload.strip(b"\r\n\0"):
                    skipped["UDP datagrams that are no SIP"] += 1
                else:
                    skipped["keep-alives"] += 1
            elif isinstance(segment, dpkt.tcp.TCP):
                tcp = tcp or b"SIP/2.0" in bytes(segment.data)
            else:
                skipped["packets that are neither UDP nor TCP"] += 1
    except (ValueError, dpkt.Error, OSError, EOFError) as error:
        skipped[f"capture damaged from here on ({type(error).__name__})"] += 1
    if tcp:
        yield from _streams(path, skipped)


def _network(link: int, packet: bytes) -> Any:
    """The IP packet in a frame of that link type, None where there is none."""
    try:
        if link == dpkt.pcap.DLT_EN10MB:
            layer = dpkt.ethernet.Ethernet(packet).data
        elif link == dpkt.pcap.DLT_LINUX_SLL:
            layer = dpkt.sll.SLL(packet).data
        elif link == dpkt.pcap.DLT_LINUX_SLL2:
            layer = dpkt.sll2.SLL2(packet).data
        else:
            # Raw IP, or a loopback frame with four bytes of address family before it.
            body = packet[4:] if link in (dpkt.pcap.DLT_NULL, dpkt.pcap.DLT_LOOP) else packet
            layer = dpkt.ip6.IP6(body) if body[:1] and body[0] >> 4 == 6 else dpkt.ip.IP(body)
    except (dpkt.Error, ValueError, IndexError):
        return None
    return layer if isinstance(layer, dpkt.ip.IP | dpkt.ip6.IP6) else None


def _is_fragment(network: Any) -> bool:
    return isinstance(network, dpkt.ip.IP) and bool(network.mf or network.offset)


def _address(packed: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def _streams(path: Path, skipped: Counter[str]) -> Iterator[Frame]:
    """SIP over TCP, framed by tshark, which follows retransmissions and reordering."""
    if shutil.which("tshark") is None:
        skipped["TCP streams with SIP (tshark is not installed: apt-get install tshark)"] += 1
        return
    # -n: no name is ever looked up for what a capture says.
    command = [
        "tshark",
        "-n",
        "-r",
        str(path),
        "-Y",
        "sip && tcp",
        "-T",
        "json",
        "-x",
        "--no-duplicate-keys",
        "-j",
        "frame ip ipv6 tcp sip",
    ]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=_TSHARK_SECONDS)
        packets = json.loads(done.stdout or b"[]")
    except (subprocess.TimeoutExpired, ValueError):
        skipped["TCP streams with SIP that tshark could not read"] += 1
        return
    for packet in packets:
        layers = packet.get("_source", {}).get("layers", {})
        try:
            network = layers.get("ip") or layers["ipv6"]
            ip = network.get("ip.src") or network["ipv6.src"]
            time = float(layers["frame"]["frame.time_epoch"])
            port = int(layers["tcp"]["tcp.srcport"])
            texts = layers["sip_raw"]
        except (KeyError, TypeError, ValueError):
            skipped["TCP messages that tshark showed in part only"] += 1
            continue
        # One message is [hex, offset, …]; several in a frame are a list of those.
        for entry in texts if isinstance(texts[0], list) else [texts]:
            yield Frame(time, str(ip), port, "tcp", bytes.fromhex(entry[0]))
