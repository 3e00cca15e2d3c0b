"""`sipsieve hep` behind a real Kamailio that has no guard and reports by its siptrace module."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness import ROOT, Server, as_documented, exchange, free_port, hep_packet, request, status, wait_for

SIPSIEVE = str(Path(sys.executable).with_name("sipsieve"))

#: No guard in it: what a server needs that shall be watched.
CONFIG = """#!KAMAILIO
debug=2
log_stderror=yes
children=2
listen=udp:127.0.0.1:{port}
listen=tcp:127.0.0.1:{port}
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "siptrace.so"
modparam("siptrace", "trace_to_database", 0)
modparam("siptrace", "trace_on", 1)
modparam("siptrace", "trace_mode", 1)
modparam("siptrace", "hep_mode_on", 1)
modparam("siptrace", "hep_version", 3)
modparam("siptrace", "hep_capture_id", 7)
modparam("siptrace", "auth_key", "between us")
modparam("siptrace", "duplicate_uri", "sip:127.0.0.1:{hep}")
request_route {{
	sl_send_reply("200", "OK");
}}
"""


def records(log: Path, kind: str = "event") -> list[dict[str, Any]]:
    """The log so far, whole lines only."""
    lines = log.read_bytes().split(b"\n")[:-1] if log.exists() else []
    return [record for record in map(json.loads, lines) if record["event"]["kind"] == kind]


@contextmanager
def sensor(folder: Path, *arguments: str, policy: str = "") -> Iterator[Path]:
    """A running `sipsieve hep`; yields its decision log."""
    (folder / "policy.toml").write_text(policy)
    log, said = folder / "hep.jsonl", folder / "hep.err"
    with said.open("wb") as errors:
        process = subprocess.Popen(
            [SIPSIEVE, "hep", "--policy", str(folder / "policy.toml"), "--log", str(log), *arguments], stderr=errors
        )
    try:
        wait_for(lambda: b"listens on" in said.read_bytes() or process.poll() is not None, "the sensor listens")
        assert process.poll() is None, said.read_text()
        yield log
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, said.read_text()
    assert "messages taken" in said.read_text()
    for kind in ("event", "state"):
        for record in records(log, kind):
            as_documented(record)


@pytest.fixture
def key(tmp_path: Path) -> list[str]:
    (tmp_path / "key").write_text("between us\n")
    return ["--key-file", str(tmp_path / "key"), "--server", "127.0.0.1"]


def test_a_real_server_reports_and_a_flood_reaches_fail2ban(tmp_path: Path, key: list[str]) -> None:
    hep, port = free_port(), free_port()
    config = tmp_path / "siptrace.cfg"
    config.write_text(CONFIG.format(port=port, hep=hep))
    policy = "[limits.other]\nper_minute = 20\n"
    with (
        sensor(tmp_path, "--udp", f"127.0.0.1:{hep}", *key, policy=policy) as log,
        Server(tmp_path / "server", config=config, port=port) as server,
    ):
        assert status(exchange(server, request(call_id="clean"), source="127.8.0.1")) == 200
        attack = request(call_id="attack", from_='"\' or 1=1--" <sip:a@example.com>;tag=1')
        assert status(exchange(server, attack, source="127.8.0.2")) == 200, "the server itself has no guard"
        over_tcp = request(call_id="stream", transport="TCP")
        assert status(exchange(server, over_tcp, source="127.8.0.3", transport="tcp")) == 200
        for _ in range(60):
            exchange(server, request(), source="127.8.0.4")
        wait_for(lambda: len(records(log)) >= 63, "all messages are recorded")
        wait_for(lambda: records(log, "state"), "the ban")
    by_call = {record["sip"]["call_id"]: record for record in records(log)}
    assert by_call["clean"]["event"]["action"] == "allow"
    assert by_call["clean"]["source"]["ip"] == "127.8.0.1"
    assert by_call["attack"]["event"]["action"] == "reject"
    assert by_call["attack"]["sipsieve"]["field"] == "from.display_name"
    assert by_call["stream"]["network"]["transport"] == "tcp"
    assert {record["sip"]["type"] for record in records(log)} == {"request"}, "the server's own answers are left out"
    (ban,) = records(log, "state")
    assert (ban["event"]["action"], ban["event"]["source"]) == ("ban", "127.8.0.4")
    found = subprocess.run(
        ["fail2ban-regex", "-o", "ip", str(log), str(ROOT / "integrations/fail2ban/filter.d/sipsieve.conf")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert found.stdout.split() == ["127.8.0.4"]


def test_tcp_and_tls_take_packets_in_pieces_and_turn_strangers_away(tmp_path: Path, key: list[str]) -> None:
    certificate = tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=hep",
         "-keyout", str(tmp_path / "key.pem"), "-out", str(certificate)], check=True, capture_output=True,
    )  # fmt: skip
    plain, secure = free_port(), free_port()
    arguments = [
        "--udp", "none", "--tcp", f"127.0.0.1:{plain}", "--tls", f"127.0.0.1:{secure}", "--certificate",
        str(certificate), "--private-key", str(tmp_path / "key.pem"), "--sender", "127.0.0.1/32", *key,
    ]  # fmt: skip
    context = ssl.create_default_context(cafile=str(certificate))
    context.check_hostname = False
    with sensor(tmp_path, *arguments) as log:
        stream = hep_packet(request(call_id="one"), "203.0.113.1") + hep_packet(request(call_id="two"), "203.0.113.2")

        def port_open() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", secure)) == 0

        wait_for(port_open, "TLS is listened for")
        with socket.create_connection(("127.0.0.1", plain)) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for at in range(0, len(stream), 100):
                sock.sendall(stream[at : at + 100])
            wait_for(lambda: len(records(log)) == 2, "both messages")
        with context.wrap_socket(socket.create_connection(("127.0.0.1", secure))) as sock:
            sock.sendall(hep_packet(request(call_id="three"), "203.0.113.3"))
            wait_for(lambda: len(records(log)) == 3, "the message over TLS")
        with socket.socket() as sock:
            sock.bind(("127.0.0.2", 0))
            sock.connect(("127.0.0.1", plain))
            sock.settimeout(10)
            assert sock.recv(10) == b"", "who may not report is turned away"
        with socket.create_connection(("127.0.0.1", plain), timeout=10) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert sock.recv(10) == b"", "what is no HEP ends the connection"
    assert [record["sip"]["call_id"] for record in records(log)] == ["one", "two", "three"]


def kernel_scenario(folder: Path) -> None:
    """Played inside a network namespace: a flood that is only told of is in the kernel's set."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["nft", "-f", str(ROOT / "integrations/nftables/sipsieve.nft")], check=True)
    (folder / "key").write_text("between us")
    arguments = ["--nft", "inet/sipsieve", "--state", str(folder / "bans.json"), "--key-file", str(folder / "key")]
    with sensor(folder, *arguments, "--server", "127.0.0.1", policy="[limits.other]\nper_minute = 20\n"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for _ in range(100):
                sock.sendto(hep_packet(request(), "203.0.113.5"), ("127.0.0.1", 9060))

        def held() -> bool:
            listed = ["nft", "list", "set", "inet", "sipsieve", "banned4_udp"]
            return b"203.0.113.5 timeout" in subprocess.run(listed, capture_output=True, check=True).stdout

        wait_for(held, "the kernel shuts the source out")
        wait_for(lambda: b"203.0.113.5" in (folder / "bans.json").read_bytes(), "the state file has the ban")


def test_a_ban_reaches_the_kernel(tmp_path: Path) -> None:
    namespace = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    done = subprocess.run(
        [*namespace, sys.executable, str(Path(__file__)), str(tmp_path)],
        capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


if __name__ == "__main__":
    kernel_scenario(Path(sys.argv[1]))
