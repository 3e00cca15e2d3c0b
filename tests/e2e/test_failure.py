"""The guard itself fails: each message is refused or passed as [failure] says, and no worker ends."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness import KEMI, Server, exchange, free_port, invite, request, status

#: A host whose class breaks the engine for messages that ask for it.
SCRIPT = f"""
import sys
sys.path.insert(1, {str(KEMI)!r})
import sipsieve_kemi
from sipsieve_kemi import Sipsieve

answer = sipsieve_kemi._answer


def breaking(*arguments):
    import KSR
    if str(KSR.hdr.get("X-Break")) == "answer":
        raise OSError("broken on purpose")
    return answer(*arguments)


sipsieve_kemi._answer = breaking


class Broken(Sipsieve):
    def __init__(self):
        super().__init__()
        self._get = breaks


def breaks(name):
    import KSR
    wanted = str(KSR.hdr.get("X-Break"))
    if wanted == "raise":
        raise RuntimeError("broken on purpose")
    if wanted == "exit":
        raise SystemExit(3)
    if wanted == "interrupt":
        raise KeyboardInterrupt
    if wanted == "memory":
        raise MemoryError
    if wanted == "depth":
        return breaks(name)
    return KSR.pv.get(name)


def mod_init():
    return Broken()
"""

KINDS = ["raise", "exit", "interrupt", "memory", "depth"]


def broken(folder: Path, policy: str = "") -> Server:
    """A server whose guard can be made to fail."""
    (folder / "broken.py").write_text(SCRIPT)
    port = free_port()
    config = folder / "kamailio.cfg"
    config.write_text(
        f"""#!KAMAILIO
children=2
debug=2
log_stderror=yes
listen=udp:127.0.0.1:{port}
loadmodule "app_python3.so"
modparam("app_python3", "load", "{folder}/broken.py")
include_file "{KEMI}/sipsieve.cfg"
request_route {{
	sl_send_reply("200", "OK");
	exit;
}}
"""
    )
    return Server(folder, policy, config, port=port, listen=f"udp:127.0.0.1:{port}")


def breaking(kind: str, method: str = "OPTIONS") -> bytes:
    return request(method, headers=(f"X-Break: {kind}",), call_id=f"break-{kind}-{method}")


def test_strangers_get_nothing_unchecked_and_no_worker_ends(tmp_path: Path) -> None:
    with broken(tmp_path) as server:
        for kind in KINDS:
            assert status(exchange(server, breaking(kind), source="127.8.0.1")) == 503
            record = server.record_of(f"break-{kind}-OPTIONS")
            assert record["event"]["action"] == "error"
            # No ACK is ever answered, and no reply is ever dropped.
            assert exchange(server, breaking(kind, "ACK"), source="127.8.0.1", seconds=0.2) is None
        assert "broken on purpose" not in server.text(), "text that may come from the wire stays out of syslog"
        assert "RuntimeError" in server.text()
        server.assert_healthy()


def test_trusted_peers_pass(tmp_path: Path) -> None:
    with broken(tmp_path, '[network]\ntrusted = ["127.8.1.0/24"]\n') as server:
        assert status(exchange(server, breaking("raise"), source="127.8.1.1")) == 200
        assert status(exchange(server, breaking("raise"), source="127.8.2.1")) == 503


def test_open_lets_strangers_pass(tmp_path: Path) -> None:
    with broken(tmp_path, '[failure]\nstrangers = "open"\n') as server:
        assert status(exchange(server, breaking("raise"), source="127.8.0.1")) == 200
        assert server.record_of("break-raise-OPTIONS")["event"]["action"] == "error"


def test_what_can_not_be_answered_is_on_record_and_ends_no_worker(tmp_path: Path) -> None:
    with broken(tmp_path) as server:
        for number in range(6):
            attack = request(headers=("X-Break: answer", "Subject: $(id)"), call_id=f"silent-{number}")
            assert exchange(server, attack, source="127.8.0.1", seconds=0.3) is None
            assert server.record_of(f"silent-{number}")["event"]["action"] == "reject"
        assert server.text().count("OSError at") <= 2, "a line a minute from each worker"
        server.assert_healthy()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_an_ack_is_never_answered(tmp_path: Path, transport: str) -> None:
    with Server(tmp_path) as server:
        upper = transport.upper()
        acks = {
            "attack": request("ACK", from_='"$(id)" <sip:a@example.com>;tag=1', call_id="ack-1", transport=upper),
            "odd": request("ACK", call_id="ack-2", transport=upper, cseq="1 INVITE"),
            "scanner": request("ACK", call_id="ack-3", transport=upper, headers=("User-Agent: friendly-scanner",)),
        }
        for sent in acks.values():
            assert exchange(server, sent, source="127.8.3.1", transport=transport, seconds=0.3) is None
        for call_id in ("ack-1", "ack-2", "ack-3"):
            record = server.record_of(call_id)
            assert record["event"]["action"] == "drop"
            assert "answer" not in record["sipsieve"]
        server.assert_healthy()


def test_sipsak_is_answered_and_a_scanner_is_not(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        clean = subprocess.run(
            ["sipsak", "-s", f"sip:alice@127.0.0.1:{server.port}"], capture_output=True, timeout=30, check=False
        )
        assert clean.returncode == 0, clean
        scan = subprocess.run(
            ["sipsak", "-s", f"sip:alice@127.0.0.1:{server.port}", "-j", "User-Agent: friendly-scanner", "-v"],
            capture_output=True, timeout=30, check=False,
        )  # fmt: skip
        assert scan.returncode != 0
        assert status(exchange(server, invite())) == 200
