"""The kill switch: inspection off and on in a running server, and what the decision log tells of it."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import SITE, Server, exchange, invite, peer, request, status, wait_for
from sipsieve_analysis.operate import switch
from sipsieve_analysis.operate.rpc import Rpc, RpcError

HOSTILE = '"\' or 1=1--" <sip:mallory@example.com>;tag=1'


def sipsieve(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(SITE / "bin" / "sipsieve"), *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        env={"PATH": "/usr/bin:/bin", **environment},
    )


def fifo(server: Server) -> str:
    return str(server.folder / "sipsieve_rpc.fifo")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path, "[log]\nsummary_seconds = 1\n") as running:
        yield running


def test_off_lets_everything_pass_and_on_stops_attacks_again(server: Server) -> None:
    assert status(exchange(server, invite(from_=HOSTILE))) == 403
    done = sipsieve("off", "--rpc", fifo(server), "--reason", 'ticket "4711" \\', SUDO_USER="operator")
    assert done.returncode == 0, done.stderr
    assert "Inspection is off" in done.stdout
    assert status(exchange(server, invite(from_=HOSTILE, call_id="unseen"))) == 200
    assert status(exchange(server, request("INVITE"))) == 200

    again = sipsieve("off", "--json", SIPSIEVE_RPC=fifo(server))
    assert json.loads(again.stdout) == {"inspection": "off", "changed": False, "server": fifo(server)}

    notice = server.wait_record(lambda r: r["event"]["action"] == "off" and r["event"]["kind"] == "state")
    assert notice["event"]["reason"].startswith("operator at 20")
    assert notice["event"]["reason"].endswith(': ticket "4711" \\')

    assert sipsieve("on", "--rpc", fifo(server)).stdout == "Inspection is on.\n"
    assert status(exchange(server, invite(from_=HOSTILE))) == 403
    server.wait_record(lambda r: r["event"]["action"] == "on", "a record that it is on again")
    wait_for(
        lambda: sum(r["event"]["count"] for r in server.records("metric") if r["event"]["action"] == "off") == 2,
        "the two messages that passed are counted",
    )
    assert not [r for r in server.records() if r["sip"].get("call_id") == "unseen"]


def test_no_message_is_lost_while_the_switch_turns(server: Server) -> None:
    rpc = Rpc(fifo(server))
    ended = threading.Event()
    turns = []

    def turning() -> None:
        off = False
        while not ended.is_set():
            off = not off
            turns.append(switch.turn(rpc, off=off, who="test"))

    thread = threading.Thread(target=turning)
    thread.start()
    answered = 0
    try:
        with peer("127.0.0.1", server.port) as sock:
            # On a quick machine two thousand messages are gone before the switch turned twenty times.
            end = time.monotonic() + 60
            while answered < 2000 or (len(turns) <= 20 and time.monotonic() < end):
                sock.send(request())
                assert sock.recv(65535).startswith(b"SIP/2.0 200")
                answered += 1
    finally:
        ended.set()
        thread.join()
    assert answered >= 2000
    assert len(turns) > 20
    assert all(turns)
    if len(turns) % 2:
        switch.turn(rpc, off=False, who="test")

    def counted() -> int:
        return len(server.records()) + sum(r["event"]["count"] for r in server.records("metric"))

    wait_for(lambda: counted() >= 2000, "every message is in the log, by its record or in a count")
    assert counted() == 2000


def test_a_banned_source_passes_while_off_and_is_dropped_again(server: Server) -> None:
    rpc = Rpc(fifo(server))
    rpc.call("htable.sets", "sipsieve_bans", "127.0.3.1", "test|1|4102444800")
    assert exchange(server, request(), source="127.0.3.1", seconds=0.5) is None
    switch.turn(rpc, off=True, who="test")
    assert status(exchange(server, request(), source="127.0.3.1")) == 200
    switch.turn(rpc, off=False, who="test")
    assert exchange(server, request(), source="127.0.3.1", seconds=0.5) is None


def test_unparsable_messages_are_counted_while_off(server: Server) -> None:
    switch.turn(Rpc(fifo(server)), off=True, who="test")
    with peer("127.0.0.1", server.port) as sock:
        sock.send(b"neither a request nor a reply, but long enough\r\n\r\n")
    server.wait_record(lambda r: r["event"].get("count") == 1 and r["event"]["action"] == "off", "it is counted")


def test_a_restart_turns_inspection_on_unless_the_environment_says_off(tmp_path: Path) -> None:
    server = Server(tmp_path)
    with server:
        switch.turn(Rpc(fifo(server)), off=True, who="test")
        assert status(exchange(server, invite(from_=HOSTILE))) == 200
    with server:
        assert status(exchange(server, invite(from_=HOSTILE))) == 403
    server.environment["SIPSIEVE_OFF"] = "1"
    with server:
        assert status(exchange(server, invite(from_=HOSTILE))) == 200
        switch.turn(Rpc(fifo(server)), off=False, who="test")
        assert status(exchange(server, invite(from_=HOSTILE))) == 403


def test_no_server_and_a_server_without_sipsieve_are_told_apart(tmp_path: Path) -> None:
    missing = sipsieve("off", "--rpc", str(tmp_path / "none.fifo"))
    assert missing.returncode == 1
    assert "no such FIFO" in missing.stderr

    config = tmp_path / "bare.cfg"
    config.write_text(
        '#!trydefenv SIPSIEVE_LISTEN\n#!trydefenvs SIPSIEVE_RUN\nlisten=SIPSIEVE_LISTEN\nloadmodule "pv.so"\n'
        'loadmodule "jsonrpcs.so"\nmodparam("jsonrpcs", "transport", 2)\n'
        'modparam("jsonrpcs", "fifo_name", SIPSIEVE_RUN "/sipsieve_rpc.fifo")\nrequest_route { exit; }\n'
    )
    with Server(tmp_path, config=config) as server, pytest.raises(RpcError, match="does not include"):
        switch.is_off(Rpc(fifo(server)))


def test_what_is_not_a_server_is_refused(tmp_path: Path) -> None:
    plain = tmp_path / "file"
    plain.write_text("")
    with pytest.raises(RpcError, match="not a FIFO"):
        Rpc(str(plain)).call("core.version")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        with pytest.raises(RpcError, match="no server reads it"):
            Rpc(str(tmp_path / "socket")).call("core.version")
