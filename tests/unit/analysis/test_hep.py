"""HEP packets out of datagrams and streams, and what the sensor makes of the messages in them."""

from __future__ import annotations

import ipaddress
import json
import struct
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from harness import as_documented
from sipsieve.config import policy
from sipsieve_analysis.cli import main
from sipsieve_analysis.hep import frames
from sipsieve_analysis.hep.sensor import NO_KEY, NOT_HEP, Sensor

SERVER = "198.51.100.10"
STRANGER = "203.0.113.9"
CLOCK = 1794823200.0


def sip(method: str = "OPTIONS", number: int = 0, agent: str = "phone") -> bytes:
    return (
        f"{method} sip:{SERVER} SIP/2.0\r\nVia: SIP/2.0/UDP {STRANGER}:5062;branch=z9hG4bK{number}\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>\r\nCall-ID: {number}\r\n"
        f"CSeq: {number + 1} {method}\r\nUser-Agent: {agent}\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def hep(payload: bytes, source: str = STRANGER, *, key: bytes = b"", protocol: int = 17, kind: int = 1) -> bytes:
    def chunk(number: int, value: bytes) -> bytes:
        return struct.pack(">HHH", 0, number, 6 + len(value)) + value

    address = ipaddress.ip_address(source)
    chunks = (
        chunk(2, bytes([protocol])) + chunk(3 if address.version == 4 else 5, address.packed)
        + chunk(7, struct.pack(">H", 5062)) + chunk(9, struct.pack(">I", int(CLOCK))) + chunk(10, b"\0\0\0\0")
        + chunk(11, bytes([kind])) + (chunk(14, key) if key else b"") + chunk(15, payload)
    )  # fmt: skip
    return b"HEP3" + struct.pack(">H", 6 + len(chunks)) + chunks


def sensor(folder: Path, text: str = "", **options: Any) -> Sensor:
    return Sensor(policy.loads(text), folder / "log", [SERVER], clock=lambda: CLOCK, **options)


def records(folder: Path, kind: str = "") -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (folder / "log").read_bytes().splitlines()]
    for record in found:
        as_documented(record)
    return [record for record in found if not kind or record["event"]["kind"] == kind]


@given(st.lists(st.binary(max_size=40), max_size=6), st.integers(1, 50))
def test_a_stream_is_cut_where_its_packets_end(payloads: list[bytes], step: int) -> None:
    packets = [hep(payload) for payload in payloads]
    stream, found, rest = b"".join(packets), [], b""
    for at in range(0, len(stream), step):
        more, rest = frames.split(rest + stream[at : at + step])
        found += more
    assert (found, rest) == (packets, b"")


@pytest.mark.parametrize("stream", [b"GET / HTTP/1.1\r\n", b"HEP2....", b"HEP3\0\5", hep(b"x") + b"H?"])
def test_a_stream_that_is_something_else_is_an_error(stream: bytes) -> None:
    with pytest.raises(frames.FrameError):
        frames.split(stream)


@given(st.binary(max_size=200))
def test_no_bytes_raise(data: bytes) -> None:
    packet = b"HEP3" + struct.pack(">H", 6 + len(data)) + data
    assert frames.is_packet(packet)
    assert frames.has_key(packet, b"secret") in (False, b"secret" in data)


def test_messages_become_records_and_attacks_are_refused(tmp_path: Path) -> None:
    taken = sensor(tmp_path)
    taken.take([hep(sip()), hep(sip(number=1, agent="friendly-scanner")), b"nonsense", hep(b"{}", kind=5)])
    clean, attack = records(tmp_path)
    assert clean["event"]["action"] == "allow"
    assert attack["event"]["action"] == "reject"
    assert "scanner-user-agent" in attack["rule"]["id"]
    assert attack["source"] == {"ip": STRANGER, "port": 5062}
    assert attack["event"]["outcome"] == "unknown", "the watched server has let it pass"
    assert attack["event"]["id"] != clean["event"]["id"]
    assert taken.skipped == {NOT_HEP: 1, "HEP packets that hold no SIP": 1}
    assert taken.messages == 2


def test_what_the_servers_send_is_left_out(tmp_path: Path) -> None:
    taken = sensor(tmp_path)
    taken.take([hep(sip(agent="friendly-scanner"), SERVER), hep(sip(number=1))])
    assert [record["source"]["ip"] for record in records(tmp_path)] == [STRANGER]


def test_packets_without_the_key_are_not_taken(tmp_path: Path) -> None:
    taken = sensor(tmp_path, key=b"secret")
    forged = hep(b"\0\0\0\x0e\0\x0csecret" + sip(), key=b"")
    taken.take([hep(sip()), hep(sip(), key=b"wrong!"), forged, hep(sip(number=7), key=b"secret")])
    assert [record["sip"]["call_id"] for record in records(tmp_path)] == ["7"]
    assert taken.skipped == {NO_KEY: 3}


FLOOD = [hep(sip(number=number)) for number in range(40)]
FEW = "[limits.other]\nper_minute = 5\n"


def test_a_flood_is_banned_once_and_lasts_as_long_as_forgeable_evidence_may(tmp_path: Path) -> None:
    taken = sensor(tmp_path, FEW)
    taken.take(FLOOD)
    (ban,) = records(tmp_path, "state")
    assert ban["event"]["network"] == f"{STRANGER}/32"
    assert ban["event"]["udp_only"] is True
    assert ban["event"]["seconds"] == 60
    (held,) = taken.bans()
    assert (held.key, held.until) == (STRANGER, int(CLOCK) + 60)
    assert [record["ban"]["source"] for record in records(tmp_path, "event") if "ban" in record] == [STRANGER]


@pytest.mark.parametrize(
    "text",
    [
        f'{FEW}[network]\ntrusted = ["{STRANGER}"]\n',
        f"{FEW}[bans]\nenabled = false\n",
        f'mode = "observe"\n{FEW}',
    ],
)
def test_who_is_trusted_or_only_watched_is_not_banned(tmp_path: Path, text: str) -> None:
    taken = sensor(tmp_path, text)
    taken.take(FLOOD)
    assert taken.bans() == []
    assert records(tmp_path, "state") == []
    assert len(records(tmp_path)) == len(FLOOD)


def test_the_64_of_a_server_is_not_banned(tmp_path: Path) -> None:
    taken = Sensor(policy.loads(FEW), tmp_path / "log", ["2001:db8:0:1::10"], clock=lambda: CLOCK)
    taken.take([hep(sip(number=number), "2001:db8:0:1::9") for number in range(40)])
    assert taken.bans() == []


def refusal(number: int, victim: str) -> bytes:
    return (
        f"SIP/2.0 403 Forbidden\r\nVia: SIP/2.0/UDP {SERVER};branch=z9hG4bKs{number}\r\n"
        f"Via: SIP/2.0/UDP {victim}:{5060 + number};branch=z9hG4bK{number}\r\nFrom: <sip:a@example.com>;tag=1\r\n"
        f"To: <sip:b@example.com>;tag=2\r\nCall-ID: r{number}\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
    ).encode()


@pytest.mark.parametrize(("trusted", "banned"), [("", []), ('[network]\ntrusted = ["192.0.2.5"]\n', ["203.0.113.77"])])
def test_only_a_trusted_servers_refusals_tell_against_whom_they_name(
    tmp_path: Path, trusted: str, banned: list[str]
) -> None:
    taken = sensor(tmp_path, trusted)
    taken.take([hep(refusal(number, "203.0.113.77"), "192.0.2.5") for number in range(60)])
    assert [ban.key for ban in taken.bans()] == banned


def test_bans_are_taken_up_again(tmp_path: Path) -> None:
    from sipsieve.abuse.bans import dump

    first = sensor(tmp_path, FEW)
    first.take(FLOOD)
    second = sensor(tmp_path, FEW)
    assert second.restore(dump(first.bans(), CLOCK)) == 1
    assert second.bans() == first.bans()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--server"),
        (["--server", "pbx.example"], "pbx.example"),
        (["--server", SERVER, "--udp", "localhost"], "ADDRESS:PORT"),
        (["--server", SERVER, "--udp", "none"], "nothing to listen on"),
        (["--server", SERVER, "--tls", "127.0.0.1:0"], "--certificate"),
        (["--server", SERVER, "--sender", "x"], "x"),
        (["--server", SERVER, "--key-file", "/nonexistent"], "cannot be read"),
    ],
)
def test_a_wrong_call_is_said(arguments: list[str], said: str) -> None:
    ran = CliRunner().invoke(main, ["hep", *arguments])
    assert ran.exit_code == 2
    assert said in ran.output
