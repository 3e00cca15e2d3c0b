"""Captures: link types, what is no SIP, damage, and TCP put together by tshark."""

from __future__ import annotations

import io
import socket
from collections import Counter
from pathlib import Path

import dpkt
import pytest

from sipsieve_analysis.readers.kinds import InputError
from sipsieve_analysis.readers.pcap import frames

OPTIONS = (
    b"OPTIONS sip:a@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/TCP 198.51.100.9;branch=z9hG4bKx\r\nFrom: <sip:b@x>;tag=1\r\nTo: <sip:a@x>\r\n"
    b"Call-ID: tcp1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)


def packet(payload: bytes, sport: int = 5060, dport: int = 5060) -> dpkt.ip.IP:
    datagram = dpkt.udp.UDP(sport=sport, dport=dport, data=payload)
    datagram.ulen = len(datagram)
    whole = dpkt.ip.IP(src=socket.inet_aton("198.51.100.9"), dst=socket.inet_aton("192.0.2.1"), p=17, data=datagram)
    whole.len = len(whole)
    return whole


def test_udp_over_ethernet_and_raw_ip() -> None:
    for link, wrap in (
        (dpkt.pcap.DLT_EN10MB, lambda p: bytes(dpkt.ethernet.Ethernet(data=p))),
        (dpkt.pcap.DLT_RAW, bytes),
    ):
        file = io.BytesIO()
        out = dpkt.pcap.Writer(file, linktype=link)
        out.writepkt(wrap(packet(OPTIONS)), 1.5)
        out.writepkt(wrap(packet(b"\r\n\r\n")), 2)
        out.writepkt(wrap(packet(b"x" * 50, 53, 53)), 2)
        file.seek(0)
        skipped: Counter[str] = Counter()
        found = list(frames(Path("x"), file, skipped))
        assert [(f.ip, f.port, f.transport, f.raw, f.time) for f in found] == [
            ("198.51.100.9", 5060, "udp", OPTIONS, 1.5)
        ]
        assert skipped == {"keep-alives": 1, "UDP datagrams that are no SIP": 1}


def test_a_cut_capture_ends_where_the_cut_is() -> None:
    file = io.BytesIO()
    out = dpkt.pcap.Writer(file)
    for n in range(3):
        out.writepkt(bytes(dpkt.ethernet.Ethernet(data=packet(OPTIONS))), n)
    cut = io.BytesIO(file.getvalue()[:-40])
    found = list(frames(Path("x"), cut, Counter()))
    assert len(found) >= 2


def test_something_else_is_refused() -> None:
    with pytest.raises(InputError, match="x: is not a capture"):
        list(frames(Path("x"), io.BytesIO(b"\xd4\xc3\xb2"), Counter()))


@pytest.mark.debian
def test_tcp_in_two_segments_is_one_message(tmp_path: Path) -> None:
    path = tmp_path / "tcp.pcap"
    with path.open("wb") as file:
        out = dpkt.pcap.Writer(file)
        sequence = 1000
        for n, part in enumerate((OPTIONS[:70], OPTIONS[70:])):
            segment = dpkt.tcp.TCP(
                sport=40000,
                dport=5060,
                seq=sequence,
                ack=1,
                flags=dpkt.tcp.TH_ACK | dpkt.tcp.TH_PUSH,
                win=65535,
                data=part,
            )
            whole = dpkt.ip.IP(
                src=socket.inet_aton("198.51.100.9"), dst=socket.inet_aton("192.0.2.1"), p=6, data=segment
            )
            whole.len = len(whole)
            out.writepkt(bytes(dpkt.ethernet.Ethernet(data=whole)), 10 + n)
            sequence += len(part)
    with path.open("rb") as stream:
        found = list(frames(path, stream, Counter()))
    assert [(f.ip, f.port, f.transport) for f in found] == [("198.51.100.9", 40000, "tcp")]
    assert found[0].raw == OPTIONS
