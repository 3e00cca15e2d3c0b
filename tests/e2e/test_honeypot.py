"""The honeypot's configuration: plausible answers, whole messages in the log, and no use as a weapon."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import ROOT, Server, exchange, free_port, invite, request, status, wait_for


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("honeypot")
    port = free_port()
    running = Server(
        folder,
        (ROOT / "lab" / "honeypot" / "policy.toml").read_text(),
        ROOT / "lab" / "honeypot" / "kamailio.cfg",
        port=port,
        environment={"HONEYPOT_LISTEN": f"udp:127.0.0.1:{port} tcp:127.0.0.1:{port}"},
    )
    with running:
        yield running


_LONG = ("X-Padding: " + "x" * 300,)


def test_the_cases_attack_is_answered_and_its_record_holds_the_message(server: Server) -> None:
    sent = request(
        "REGISTER",
        from_="\"UPDATE users SET password='123456789ttt' WHERE username='admin'\" <sip:admin@example.com>;tag=1",
        call_id="eagle",
        headers=("User-Agent: EagleSIP",),
    )
    answer = exchange(server, sent, source="127.0.2.1")
    assert status(answer) == 401
    assert len(answer or b"") <= 1.5 * len(sent)
    record = server.record_of("eagle")
    assert "sql-update-set" in record["rule"]["id"]
    assert record["event"]["outcome"] == "unknown"
    assert record["sipsieve"]["raw"].startswith("REGISTER sip:bob@example.com SIP/2.0\r\n")
    assert "WHERE username='admin'" in record["sipsieve"]["raw"]


def test_the_copy_is_capped_and_holds_no_digest_secret(server: Server) -> None:
    credentials = (
        'Authorization: Digest username="100", realm="asterisk", nonce="abcdef", uri="sip:x", response="feedface"'
    )
    sent = request("REGISTER", call_id="capped", headers=(credentials, "X-Long: " + "y" * 5000))
    exchange(server, sent, source="127.0.2.2", seconds=0.1)
    raw = server.record_of("capped")["sipsieve"]["raw"]
    assert len(raw) <= 2049
    assert "feedface" not in raw
    assert "abcdef" not in raw


def test_a_call_is_refused_after_a_while(server: Server) -> None:
    began = time.monotonic()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.2.3", 0))
        sock.settimeout(6)
        sock.sendto(invite(uri="sip:100@127.0.0.1", call_id="busy"), ("127.0.0.1", server.port))
        while True:
            answer = sock.recv(65535)
            if status(answer) >= 200:
                break
    assert status(answer) == 486
    # The async module waits for its second tick: one to two seconds, less what a busy timer was late before.
    assert time.monotonic() - began > 0.5
    assert b"Asterisk" in answer


def test_a_flood_in_a_victims_name_gets_few_small_answers(server: Server) -> None:
    """Whoever forges a source gets less out of the honeypot than was put in."""
    sent = request("OPTIONS", headers=_LONG)
    number = 300
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.2.4", 0))
        sock.settimeout(0.5)
        began = time.monotonic()
        for _ in range(number):
            sock.sendto(sent, ("127.0.0.1", server.port))
        answers = []
        try:
            while True:
                answers.append(sock.recv(65535))
        except TimeoutError:
            pass
    # Five in each second that the flood touched.
    seconds = int(time.monotonic() - began) + 2
    assert 1 <= len(answers) <= 5 * seconds
    assert all(len(answer) <= len(sent) for answer in answers)
    wait_for(
        lambda: sum(record["source"]["ip"] == "127.0.2.4" for record in server.records()) == number,
        "a record of each message",
    )


def test_a_short_request_gets_no_answer(server: Server) -> None:
    short = request("OPTIONS", call_id="short", from_="<sip:a@b>;tag=1", to="<sip:b@b>", uri="sip:b")
    assert len(short) < 300
    assert exchange(server, short, source="127.0.2.5", seconds=0.5) is None
    server.record_of("short")


def test_nothing_is_relayed(server: Server) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as victim:
        victim.bind(("127.0.2.6", 0))
        victim.settimeout(1)
        where = f"127.0.2.6:{victim.getsockname()[1]}"
        sent = invite(uri=f"sip:00441904@{where}", headers=(f"Route: <sip:{where};lr>",), call_id="relay")
        exchange(server, sent, source="127.0.2.7", seconds=0.2)
        server.record_of("relay")
        with pytest.raises(TimeoutError):
            victim.recv(65535)
    text = (ROOT / "lab" / "honeypot" / "kamailio.cfg").read_text()
    assert not any(word in text for word in ("t_relay", "forward(", "send(", "append_branch"))
