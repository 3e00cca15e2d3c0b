"""Captures: containers, what packets are wrapped in, fragments, cut packets, TCP in any order, what is no SIP, damage."""

from __future__ import annotations

import io
import itertools
import random
import socket
import struct
import subprocess
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from sipsieve._core import Capture
from sipsieve_analysis.readers import pcap
from sipsieve_analysis.readers.replayed import Replay

OPTIONS = (
    b"OPTIONS sip:a@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/TCP 198.51.100.9;branch=z9hG4bKx\r\nFrom: <sip:b@x>;tag=1\r\nTo: <sip:a@x>\r\n"
    b"Call-ID: tcp1\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)
BODY = (
    b"v=0\r\no=- 1 1 IN IP4 198.51.100.9\r\ns=-\r\nc=IN IP4 198.51.100.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
    + b"a=x:y\r\n" * 300
)
INVITE = (
    b"INVITE sip:a@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.9;branch=z9hG4bKy\r\nFrom: <sip:b@x>;tag=1\r\nTo: <sip:a@x>\r\n"
    b"Call-ID: inv1\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContact: <sip:b@198.51.100.9>\r\nContent-Type: application/sdp\r\n"
    b"Content-Length: %d\r\n\r\n" % len(BODY)
) + BODY
SRC, DST = socket.inet_aton("198.51.100.9"), socket.inet_aton("192.0.2.1")
SRC6, DST6 = socket.inet_pton(socket.AF_INET6, "2001:db8::9"), socket.inet_pton(socket.AF_INET6, "2001:db8::1")
HEAD = b"\x02\0\0\0\0\1\x02\0\0\0\0\2"


def udp(payload: bytes, sport: int = 5060, dport: int = 5060) -> bytes:
    return struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload


def ip(content: bytes, protocol: int = 17, identity: int = 1, place: int = 0) -> bytes:
    return struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(content), identity, place, 64, protocol, 0) + SRC + DST + content


def ip6(content: bytes, following: int = 17) -> bytes:
    return struct.pack(">IHBB", 6 << 28, len(content), following, 64) + SRC6 + DST6 + content


def ether(packet: bytes, kind: int = 0x0800) -> bytes:
    return HEAD + struct.pack(">H", kind) + packet


def tcp(sequence: int, payload: bytes, flags: int = 0x18) -> bytes:
    return struct.pack(">HHIIBBHHH", 40000, 5060, sequence, 1, 5 << 4, flags, 65535, 0, 0) + payload


def written(frames: Iterable[bytes], link: int = 1, snaplen: int = 0) -> bytes:
    """A pcap of these frames, a second apart from 10 on, each cut after `snaplen` bytes."""
    out = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, link)
    for n, frame in enumerate(frames, 10):
        kept = frame[:snaplen] if snaplen else frame
        out += struct.pack("<IIII", n, 500000, len(kept), len(frame)) + kept
    return out


def read(capture: bytes, step: int = 0) -> tuple[list[tuple[float, str, int, str, bytes, bool]], Counter[str]]:
    """Messages and what was skipped; fed in pieces of `step` bytes."""
    reader, found = Capture(), []
    for at in range(0, len(capture), step or len(capture)):
        found += reader.feed(capture[at : at + (step or len(capture))]).list()
    found += reader.finish().list()
    return found, Counter(dict(reader.skipped()))


def fragments(content: bytes, protocol: int, sizes: int = 512) -> list[bytes]:
    parts = [content[at : at + sizes] for at in range(0, len(content), sizes)]
    return [
        ip(part, protocol, 7, (n * sizes // 8) | (0x2000 if n < len(parts) - 1 else 0)) for n, part in enumerate(parts)
    ]


def fragments6(content: bytes, sizes: int = 512) -> list[bytes]:
    parts = [content[at : at + sizes] for at in range(0, len(content), sizes)]
    return [
        ip6(struct.pack(">BBHI", 17, 0, n * sizes | (n < len(parts) - 1), 77) + part, 44)
        for n, part in enumerate(parts)
    ]


GRE = struct.pack(">HH", 0, 0x0800)
GRE_KEYED = struct.pack(">HHII", 0x2000, 0x6558, 5, 0)[:8]
VXLAN = struct.pack(">II", 0x08000000, 5 << 8)
WRAPPED = {
    "ethernet": ether(ip(udp(OPTIONS))),
    "vlan": HEAD + struct.pack(">HHH", 0x8100, 5, 0x0800) + ip(udp(OPTIONS)),
    "two vlans": HEAD + struct.pack(">HHHHH", 0x88A8, 5, 0x8100, 6, 0x0800) + ip(udp(OPTIONS)),
    "pppoe": HEAD + struct.pack(">HBBHHH", 0x8864, 0x11, 0, 1, 2 + 20 + 8 + len(OPTIONS), 0x0021) + ip(udp(OPTIONS)),
    "mpls": HEAD + struct.pack(">HI", 0x8847, 0x00012140) + ip(udp(OPTIONS)),
    "gre": ether(ip(GRE + ip(udp(OPTIONS)), 47)),
    "gre, keyed, of ethernet": ether(ip(GRE_KEYED + ether(ip(udp(OPTIONS))), 47)),
    "ip in ip": ether(ip(ip(udp(OPTIONS)), 4)),
    "vxlan": ether(ip(udp(VXLAN + ether(ip(udp(OPTIONS))), 55555, 4789))),
    "vxlan of a vlan": ether(
        ip(udp(VXLAN + HEAD + struct.pack(">HHH", 0x8100, 5, 0x0800) + ip(udp(OPTIONS)), 5, 4789))
    ),
}


@pytest.mark.parametrize("frame", WRAPPED.values(), ids=WRAPPED)
def test_what_a_message_is_wrapped_in(frame: bytes) -> None:
    found, skipped = read(written([frame]))
    assert found == [(10.5, "198.51.100.9", 5060, "udp", OPTIONS, True)]
    assert not skipped


def test_other_link_types_and_ipv6() -> None:
    assert read(written([ip(udp(OPTIONS))], 101))[0][0][4] == OPTIONS
    assert read(written([b"\0" * 14 + b"\x08\0" + ip(udp(OPTIONS))], 113))[0][0][4] == OPTIONS
    assert read(written([b"\x08\0" + b"\0" * 18 + ip(udp(OPTIONS))], 276))[0][0][4] == OPTIONS
    assert read(written([ether(ip6(udp(OPTIONS)), 0x86DD)]))[0][0][1] == "2001:db8::9"


def test_what_is_no_sip_is_counted() -> None:
    found, skipped = read(
        written([ether(ip(udp(b"\r\n\r\n"))), ether(ip(udp(b"x" * 50, 53, 53))), ether(b"\0" * 40, 0x0806)])
    )
    assert not found
    assert skipped == {"keep-alives": 1, "UDP datagrams that are no SIP": 1, "frames that hold no IP": 1}


@pytest.mark.parametrize("order", [lambda parts: parts, reversed], ids=["in order", "reversed"])
@pytest.mark.parametrize("version", [4, 6])
def test_fragments_are_put_together(version: int, order: object) -> None:
    parts = fragments(udp(INVITE), 17) if version == 4 else fragments6(udp(INVITE))
    kind = 0x0800 if version == 4 else 0x86DD
    found, skipped = read(written([ether(part, kind) for part in order(parts)]))  # type: ignore[operator]
    assert [item[4] for item in found] == [INVITE]
    assert not skipped


def test_a_lost_fragment_tells_against_nobody() -> None:
    parts = fragments(udp(INVITE), 17)
    found, skipped = read(written([ether(part) for part in parts[:2]]))
    assert [(item[4], item[5]) for item in found] == [(INVITE[: 2 * 512 - 8], False)]
    assert skipped["IP packets of which fragments are missing"] == 1
    assert b'"findings"' not in records(written([ether(part) for part in parts[:2]]))


@pytest.mark.parametrize("snaplen", range(96, 900, 67))
def test_a_packet_cut_by_the_capture_tells_against_nobody(snaplen: int) -> None:
    capture = written([ether(ip(udp(INVITE))), ether(ip(udp(OPTIONS)))], snaplen=snaplen)
    lines = records(capture)
    assert b'"findings"' not in lines
    assert b'"reject"' not in lines
    assert lines.count(b"\n") == 2
    assert any("cut by the capture" in kind for kind in read(capture)[1])


def test_a_packet_cut_within_the_first_line_is_counted() -> None:
    found, skipped = read(written([ether(ip(udp(INVITE)))], snaplen=50))
    assert not found
    assert skipped == {"SIP messages cut by the capture (snaplen) within their first line": 1}


def test_an_attack_in_a_cut_packet_is_still_seen() -> None:
    hostile = INVITE.replace(b"From: <sip:b@x>", b'From: "\' UNION SELECT password FROM users--" <sip:b@x>')
    assert b'"sql' in records(written([ether(ip(udp(hostile)))], snaplen=400))


def records(capture: bytes) -> bytes:
    """The decision records of a capture."""
    replay = Replay(1)
    return b"".join(replay.records(found) for found in pcap.messages(io.BytesIO(capture), Counter()))


def segments(seed: int) -> tuple[list[bytes], list[bytes]]:
    """Three messages in segments of odd sizes, out of order and with copies; and the messages."""
    r = random.Random(seed)
    messages = [OPTIONS, INVITE, OPTIONS.replace(b"tcp1", b"tcp2")]
    stream, parts, at = b"".join(messages), [], 0
    while at < len(stream):
        size = r.randrange(20, 700)
        parts.append((1001 + at, stream[at : at + size]))
        at += size
    for _ in range(6):
        one = r.randrange(len(parts) - 1)
        parts[one], parts[one + 1] = parts[one + 1], parts[one]
    parts.append(parts[r.randrange(len(parts))])
    return [tcp(1000, b"", 2), *(tcp(sequence, part) for sequence, part in parts)], messages


@pytest.mark.parametrize("seed", range(25))
def test_tcp_in_any_order(seed: int) -> None:
    parts, messages = segments(seed)
    found, skipped = read(written([ether(ip(part, 6)) for part in parts]))
    assert [item[4] for item in found] == messages
    assert {item[1:4] for item in found} == {("198.51.100.9", 40000, "tcp")}
    assert not skipped


def test_a_tcp_segment_that_was_not_captured_costs_its_message_alone() -> None:
    stream = [OPTIONS.replace(b"tcp1", b"tcp%d" % n) for n in range(100)]
    parts, at = [tcp(1000, b"", 2)], 1001
    for message in stream:
        parts.append(tcp(at, message))
        at += len(message)
    del parts[4]
    found, skipped = read(written([ether(ip(part, 6)) for part in parts]))
    assert [item[4] for item in found] == stream[:3] + stream[4:]
    assert skipped == {"TCP segments that are not in the capture": 1}


def test_a_stream_caught_in_its_middle() -> None:
    parts = [tcp(5000, INVITE[-700:]), tcp(5700, OPTIONS)]
    assert [item[4] for item in read(written([ether(ip(part, 6)) for part in parts]))[0]] == [OPTIONS]


def test_tls_is_counted_once_a_connection() -> None:
    hello = b"\x16\x03\x01\x02\x00\x01" + b"\0" * 500
    found, skipped = read(written([ether(ip(tcp(1000, hello), 6)), ether(ip(tcp(1506, hello), 6))]))
    assert not found
    assert skipped == {"TLS connections (can't be read)": 1}


def hep(payload: bytes, kind: int = 1) -> bytes:
    def chunk(number: int, value: bytes) -> bytes:
        return struct.pack(">HHH", 0, number, 6 + len(value)) + value

    chunks = (
        chunk(1, b"\x02") + chunk(2, b"\x11") + chunk(3, SRC) + chunk(4, DST) + chunk(7, struct.pack(">H", 5062))
        + chunk(8, struct.pack(">H", 5060)) + chunk(9, struct.pack(">I", 1794823200)) + chunk(10, struct.pack(">I", 250000))
        + chunk(11, bytes([kind])) + chunk(12, b"\0\0\0\7") + chunk(15, payload)
    )  # fmt: skip
    return b"HEP3" + struct.pack(">H", 6 + len(chunks)) + chunks


def test_hep_in_datagrams_and_in_a_file() -> None:
    told = [(1794823200.25, "198.51.100.9", 5062, "udp", OPTIONS, True)]
    assert read(written([ether(ip(udp(hep(OPTIONS), 9, 9060)))]))[0] == told
    found, skipped = read(hep(OPTIONS) + hep(b"\x80" * 40, 5) + hep(OPTIONS))
    assert found == told * 2
    assert skipped == {"HEP packets that hold no SIP": 1}


@pytest.mark.parametrize("step", [1, 7, 333, 4096])
def test_the_size_of_the_pieces_changes_nothing(step: int) -> None:
    capture = written([*WRAPPED.values(), *(ether(part) for part in fragments(udp(INVITE), 17))])
    assert read(capture, step) == read(capture)


def test_damage_ends_the_reading_and_is_said() -> None:
    capture = written([ether(ip(udp(OPTIONS)))] * 3)
    for cut in (capture[:-40], capture[: len(capture) * 2 // 3 - 100] + b"\xff" * 900):
        found, skipped = read(cut)
        assert len(found) >= 1
        assert skipped["captures damaged before their end"] == 1


def test_nothing_that_is_fed_breaks_the_reader() -> None:
    r = random.Random(3)
    whole = [*WRAPPED.values(), *(ether(part) for part in fragments6(udp(INVITE)))]
    whole += [ether(ip(part, 6)) for part in segments(1)[0]]
    for _ in range(3000):
        frames = []
        for frame in r.sample(whole, 4):
            bad = bytearray(frame[: r.randrange(len(frame)) + 1] if r.random() < 0.3 else frame)
            for _ in range(r.randrange(4)):
                bad[r.randrange(len(bad))] = r.randrange(256)
            frames.append(bytes(bad))
        capture = bytearray(written(frames, r.choice([1, 1, 1, 0, 9, 51, 101, 113, 276])))
        if r.random() < 0.2:
            capture[r.randrange(len(capture))] = r.randrange(256)
        read(bytes(capture), r.choice([0, 100]))


def test_what_a_capture_makes_the_reader_hold_is_bounded() -> None:
    def held() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    # First halves that never end, and connections that never say anything whole.
    before = held()
    reader = Capture()
    reader.feed(written([]))
    for n in range(200):
        frames = [ether(ip(udp(INVITE)[:512], 17, n * 250 + m, 0x2000)) for m in range(250)] + [
            ether(ip(struct.pack(">HH", n, m) + tcp(1, INVITE[:500])[4:], 6)) for m in range(250)
        ]
        reader.feed(written(frames)[24:])
    assert held() - before < 1 << 29
    assert dict(reader.skipped())["IP packets of which fragments are missing"] > 40000


@pytest.mark.debian
@pytest.mark.parametrize("form", ["pcap", "nsecpcap", "pcapng"])
def test_what_wireshark_writes(form: str, tmp_path: Path) -> None:
    source, target = tmp_path / "a.pcap", tmp_path / "b"
    source.write_bytes(written([*WRAPPED.values(), ether(ip6(udp(OPTIONS)), 0x86DD)]))
    subprocess.run(["editcap", "-F", form, source, target], check=True, capture_output=True, timeout=60)
    assert read(target.read_bytes()) == read(source.read_bytes())


@pytest.mark.debian
def test_tshark_sees_the_same_messages(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    frames = [*WRAPPED.values(), *(ether(part) for part in fragments(udp(INVITE), 17))]
    frames += [ether(ip(part, 6)) for part in segments(2)[0]]
    path.write_bytes(written(frames))
    done = subprocess.run(
        ["tshark", "-n", "-o", "tcp.reassemble_out_of_order:TRUE", "-r", path, "-Y", "sip", "-T", "fields", "-e", "sip.Call-ID"],
        check=True, capture_output=True, timeout=60, text=True,
    )  # fmt: skip
    told = Counter(itertools.chain.from_iterable(line.split(",") for line in done.stdout.split()))
    found = Counter(item[4].split(b"Call-ID: ")[1].split(b"\r\n")[0].decode() for item in read(path.read_bytes())[0])
    assert found == told
