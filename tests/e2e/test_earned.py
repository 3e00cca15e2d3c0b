"""Forged datagrams can't keep out who has shown to be where it says; a page can't shut out the phones beside its browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend import Backend
from harness import Server, exchange, peer, request, status, wait_for
from proofs import calls, registers, registrar

POLICY = """
[limits.malformed]
per_minute = 3
[bans]
earned_minutes = 1
[log]
summary_seconds = 1
"""

#: What anybody can send in anybody's name: just long enough for Kamailio to look at it.
FORGED = b"forged in a neighbour's name....."


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    with registrar() as running:
        yield running


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory, backend: Backend) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("edge"), POLICY, backend=backend.uri, workers=2) as running:
        yield running


def forge(edge: Server, source: str, number: int = 20) -> None:
    assert len(FORGED) == 33
    with peer("127.0.0.1", edge.port, source=source) as forger:
        for _ in range(number):
            forger.send(FORGED)


def bans(edge: Server, source: str) -> list[str]:
    """Which bans a source has had so far: their scopes."""
    events = [record["event"] for record in edge.records("state")]
    return [event["scope"] for event in events if event["action"] == "ban" and event["source"] == source]


def is_answered(edge: Server, source: str, transport: str = "udp") -> bool:
    sent = request("OPTIONS", transport=transport.upper())
    return status(exchange(edge, sent, source=source, transport=transport, seconds=0.5)) == 200


@pytest.mark.parametrize(("shows", "source"), [(calls, "127.0.5.1"), (registers, "127.0.5.2")])
def test_forged_datagrams_keep_no_customer_out(edge: Server, shows: object, source: str) -> None:
    assert callable(shows)
    shows(edge, source)
    forge(edge, source)
    # Each of them was looked at, and is on record.
    wait_for(lambda: forged_seen(edge, source) == 20, "all were inspected")
    assert bans(edge, source) == []
    assert is_answered(edge, source)
    calls(edge, source)


def forged_seen(edge: Server, source: str) -> int:
    records = [
        r for r in edge.records("") if r.get("source", {}).get("ip") == source and r["event"]["action"] == "drop"
    ]
    return sum(record["event"].get("count", 1) for record in records)


def test_who_has_shown_nothing_is_banned_for_datagrams_only(edge: Server) -> None:
    forge(edge, "127.0.5.3")
    wait_for(lambda: bans(edge, "127.0.5.3") == ["datagrams only"], "a ban")
    assert not is_answered(edge, "127.0.5.3")
    assert is_answered(edge, "127.0.5.3", "tcp")


def test_an_answer_to_somebody_else_s_call_shows_nothing(edge: Server) -> None:
    """Who knows a call's tags, but is not where the call came from, earns nothing."""
    calls(edge, "127.0.5.4")
    told = {
        "from_": "<sip:a@example.com>;tag=a",
        "to": "<sip:bob@example.com>;tag=backend",
        "call_id": "call-127.0.5.4",
    }
    with peer("127.0.0.1", edge.port, source="127.0.5.5") as other:
        other.send(request("ACK", cseq="1 ACK", **told))
    forge(edge, "127.0.5.5")
    wait_for(lambda: bans(edge, "127.0.5.5") == ["datagrams only"], "a ban")


def test_what_nobody_can_forge_takes_the_trust_away(edge: Server) -> None:
    source = "127.0.5.6"
    calls(edge, source)
    for _ in range(5):
        exchange(
            edge,
            b"INVITE sip:x SIP/2.0\r\nVia: ?\r\nContent-Length: 0\r\n\r\n",
            source=source,
            transport="tcp",
            seconds=0.2,
        )
    wait_for(lambda: bans(edge, source) == ["all"], "a ban")
    assert not is_answered(edge, source)


def test_it_can_be_switched_off(tmp_path: Path, backend: Backend) -> None:
    with Server(
        tmp_path, POLICY.replace("earned_minutes = 1", "earned_minutes = 0"), backend=backend.uri, workers=2
    ) as strict:
        calls(strict, "127.0.5.1")
        forge(strict, "127.0.5.1")
        wait_for(lambda: bans(strict, "127.0.5.1") == ["datagrams only"], "a ban")
