"""`sipsieve explain` shows parts, transforms, rules, the verdict, and what scrubbing leaves."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness import request
from sipsieve_analysis.cli import main


def _explain(*arguments: str, data: bytes | None = None) -> dict[str, object]:
    ran = CliRunner().invoke(main, ["explain", *arguments, "--json"], input=data)
    assert ran.exit_code == 0, ran.output
    decoded: dict[str, object] = json.loads(ran.stdout)
    return decoded


@pytest.fixture
def policy(tmp_path: Path) -> str:
    path = tmp_path / "p.toml"
    path.write_text('[network]\ntrusted = ["198.51.100.0/24"]\n[actions]\nsql = "scrub"\n')
    return str(path)


ATTACK = request(from_='"x%27%20UNION%20SELECT%20ha1%20FROM%20users" <sip:a@example.com>;tag=1')


def test_a_message_is_taken_apart(policy: str) -> None:
    facts = _explain("--message", "-", "--policy", policy, data=ATTACK)
    parts = {part["field"]: part for part in facts["parts"]}  # type: ignore[attr-defined]
    form = parts["from.display_name"]["forms"][0]
    assert form == {"value": "x' UNION SELECT ha1 FROM users", "transforms": ["percent"]}
    rules = parts["from.display_name"]["rules"]
    assert "sql-union-select" in [rule["rule"] for rule in rules]
    assert facts["score"] >= 5  # type: ignore[operator]
    assert facts["decision"]["verdict"] == "scrub"  # type: ignore[index]
    diff = facts["scrubbed"]
    assert any(line.startswith("-From:") for line in diff)  # type: ignore[attr-defined]
    assert any(line.startswith("+From:") and "UNION" not in line for line in diff)  # type: ignore[attr-defined]


def test_a_frame_of_a_capture_is_explained_with_its_source(tmp_path: Path, policy: str) -> None:
    udp = struct.pack("!HHHH", 5071, 5060, 8 + len(ATTACK), 0) + ATTACK
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, bytes((203, 0, 113, 7)), bytes(4)) + udp
    frame = bytes(12) + b"\x08\x00" + ip
    path = tmp_path / "c.pcap"
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    path.write_bytes(header + struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)
    facts = _explain("--message", str(path), "--policy", policy)
    assert facts["source"]["ip"] == "203.0.113.7"  # type: ignore[index]
    assert facts["decision"]["verdict"] == "scrub"  # type: ignore[index]
    missing = CliRunner().invoke(main, ["explain", "--message", str(path), "--frame", "2", "--policy", policy])
    assert missing.exit_code == 1
    assert "has no frame 2" in missing.output


def test_an_address_shows_its_network_trust_and_limits(policy: str) -> None:
    facts = _explain("198.51.100.9", "--policy", policy)
    assert facts["trusted"] is True
    assert facts["network"] == "198.51.100.0/24"
    assert facts["limited"] is False
    stranger = _explain("2001:db8::7", "--policy", policy)
    assert stranger["counted_as"] == "2001:db8:0:0"
    assert stranger["limits"]["invite"]["per_minute"] > 0  # type: ignore[index]
    assert CliRunner().invoke(main, ["explain", "no-address", "--policy", policy]).exit_code == 2


def test_hostile_bytes_do_nothing_to_the_terminal(policy: str) -> None:
    hostile = request(from_='"\x1b]0;x\x07 union select 1 from \u202e" <sip:a@example.com>;tag=1')
    ran = CliRunner().invoke(main, ["explain", "--message", "-", "--policy", policy, "--all"], input=hostile)
    assert ran.exit_code == 0
    assert "\x1b" not in ran.output
    assert "\u202e" not in ran.output
    assert "\\x1b]0;x\\x07" in ran.output
