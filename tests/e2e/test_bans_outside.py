"""Bans leave Kamailio: to a real nftables in a namespace of its own, and to a real fail2ban."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness import ROOT, Server, exchange, invite, request, wait_for

FAIL2BAN = ROOT / "integrations" / "fail2ban"


def test_bans_reach_the_kernel_within_a_second_and_are_lifted(tmp_path: Path) -> None:
    namespace = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    done = subprocess.run(
        [*namespace, sys.executable, str(Path(__file__).with_name("nft_scenario.py")), str(tmp_path)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout.splitlines()[-1])
    assert measured["to_kernel"] < 1
    assert measured["reached_kamailio"] == 0, "the kernel dropped it"
    assert measured["connection_open"] == 200
    assert measured["ipv6"] == ["2001:db8:0:1::/64"]
    assert measured["keeper"] == 0


def test_one_address_can_not_take_all_connections(tmp_path: Path) -> None:
    namespace = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    done = subprocess.run(
        [*namespace, sys.executable, str(Path(__file__).with_name("connections_scenario.py")), str(tmp_path)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout.splitlines()[-1])
    assert measured["without"]["customer"] == 0, "Kamailio alone lets one address take all its connections"
    assert measured["with"] == {"opened": 100, "customer": 200}


#: What an attacker may plant: in every place that the log repeats.
PLANTED = (
    '"event":{"kind":"state","action":"ban","network":"192.0.2.99/32","source":"192.0.2.99","rule":"x",',
    '","event":{"kind":"state","action":"ban","network":"192.0.2.99/32","source":"192.0.2.99","rule":"x","',
    '\\","event":{"kind":"state","action":"ban","network":"192.0.2.99/32","source":"192.0.2.99","rule":"x","',
    '{"@timestamp":"2026-01-01T00:00:00.000000Z","event":{"kind":"state","action":"ban","network":"192.0.2.99/32",'
    '"source":"192.0.2.99","rule":"x","seconds":60}}',
)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A real decision log: planted addresses in many fields, and bans on 127.6.0.1 and 2001:db8:0:1::/64."""
    with Server(tmp_path_factory.mktemp("fail2ban"), "[limits.malformed]\nper_minute = 2\n") as server:
        for number, text in enumerate(PLANTED):
            quoted = text.replace("\\", "\\\\").replace('"', '\\"')
            places = {"from_": f'"{quoted} \' or 1=1--" <sip:a@example.com>;tag=1'}
            sent = [
                invite(**places),
                request(headers=(f"User-Agent: {text}", "Subject: ' or 1=1--"), call_id=f"{number}{text}"),
                request(uri=f"sip:{text.replace(' ', '')}@example.com"),
                request(method=f"X{text.replace(' ', '')}"),
                request(headers=("X-A: 1\r\n" + text, "User-Agent: friendly-scanner\r\n " + text)),
                text.encode() + b"\r\n" + text.encode() + b"\r\n\r\n",
            ]
            for message in sent:
                exchange(server, message, source=f"127.6.{number}.9", seconds=0.05)
        for _ in range(4):
            exchange(
                server, b"INVITE sip:x SIP/2.0\r\nVia: ?\r\nX\r\n\r\n" + b"." * 40, source="127.6.0.1", seconds=0.02
            )
        wait_for(
            lambda: any(r["event"].get("source") == "127.6.0.1" for r in server.records("state")), "the ban is logged"
        )
        yield server.log


def matched(log: Path) -> list[str]:
    """The addresses that fail2ban-regex finds with the shipped filter."""
    done = subprocess.run(
        ["fail2ban-regex", "-o", "ip", str(log), str(FAIL2BAN / "filter.d" / "sipsieve.conf")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.stdout.split()


def test_planted_addresses_do_not_match(log: Path) -> None:
    assert b"192.0.2.99" in log.read_bytes(), "the planted text is in the log"
    found = matched(log)
    assert "127.6.0.1" in found
    assert not any(address.startswith("192.0.2") for address in found), found


def test_no_line_of_the_log_is_a_senders(log: Path) -> None:
    """Whatever was sent, each line is a record that the guard made: of who sent it, or of the guard itself."""
    records = [json.loads(line) for line in log.read_bytes().splitlines()]
    assert len(records) > len(PLANTED)
    for record in records:
        event = record["event"]
        assert str(record.get("source", {}).get("ip", "127.6.")).startswith("127.6."), record
        assert event["kind"] != "state" or "192.0.2.99" not in json.dumps(event), record


def test_bans_by_64_match_as_networks(tmp_path: Path) -> None:
    line = {
        "@timestamp": "2026-11-22T13:38:44.593460Z",
        "event": {
            "kind": "state", "action": "ban", "network": "2001:db8:0:1::/64", "source": "2001:db8:0:1",
            "rule": "limit-invite", "seconds": 60,
        },
    }  # fmt: skip
    file = tmp_path / "log"
    file.write_text(json.dumps(line, separators=(",", ":")) + "\n")
    assert matched(file) == ["2001:db8:0:1::/64"]


@contextmanager
def fail2ban(folder: Path, log: Path) -> Iterator[list[str]]:
    """A real fail2ban with the shipped filter and jail, whose action writes to a file; yields its client's call."""
    config = folder / "fail2ban"
    for part in ("filter.d", "jail.d", "action.d"):
        (config / part).mkdir(parents=True)
    shutil.copy(FAIL2BAN / "filter.d" / "sipsieve.conf", config / "filter.d")
    jail = (FAIL2BAN / "jail.d" / "sipsieve.conf").read_text()
    jail = jail.replace("/var/log/sipsieve/decisions.jsonl", str(log)).replace(
        "ignoreip = 127.0.0.1/8 ::1", "ignoreip ="
    )
    # Short, so that the end of a ban is seen too.
    jail = jail.replace("bantime  = 60", "bantime  = 3").replace(
        "bantime.increment = true", "bantime.increment = false"
    )
    (config / "jail.conf").write_text(f"[DEFAULT]\nbanaction = mark\n{jail}action = mark\n")
    (config / "action.d" / "mark.conf").write_text(
        f"[Definition]\nactionban = echo ban <ip> >> {folder}/marks\nactionunban = echo unban <ip> >> {folder}/marks\n"
    )
    (config / "fail2ban.conf").write_text(
        f"[Definition]\nloglevel = INFO\nlogtarget = {folder}/fail2ban.log\nsyslogsocket = auto\n"
        f"socket = {folder}/f2b.sock\npidfile = {folder}/f2b.pid\ndbfile = None\n"
    )
    client = ["fail2ban-client", "-c", str(config), "-s", str(folder / "f2b.sock"), "-p", str(folder / "f2b.pid")]
    subprocess.run([*client, "start"], check=True, capture_output=True, timeout=60)
    try:
        yield client
    finally:
        subprocess.run([*client, "stop"], check=True, capture_output=True, timeout=60)


def test_a_real_fail2ban_bans_and_unbans(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    with Server(tmp_path / "server", "[limits.malformed]\nper_minute = 2\n") as server, fail2ban(tmp_path, server.log):
        for text in PLANTED:
            planted = text.replace("\\", "\\\\").replace('"', '\\"')
            exchange(server, invite(from_=f'"{planted} \' or 1=1--" <sip:a@b.c>;tag=1'), source="127.6.7.9")
        for _ in range(4):
            exchange(
                server, b"INVITE sip:x SIP/2.0\r\nVia: ?\r\nX\r\n\r\n" + b"." * 40, source="127.6.7.1", seconds=0.02
            )
        wait_for(lambda: marks.exists() and "ban 127.6.7.1\n" in marks.read_text(), "fail2ban bans", 30)
        wait_for(lambda: "unban 127.6.7.1\n" in marks.read_text(), "and unbans", 30)
        assert "192.0.2" not in marks.read_text()
