"""Under a flood of hostile messages the guard leaves undone what strangers would only cost, and nothing else."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from harness import Server, exchange, invite, request, status, wait_for

HOSTILE = '"\' or 1=1--" <sip:mallory@example.com>;tag=1'
TRUSTED = "127.14.0.1"

#: Dear to look at, so that a flood of the test's size takes its share of a second on any machine.
DEAR = tuple(f"X-Note-{number}: ' or 1=1-- {number}; $(reboot) <script>{number}</script>" for number in range(60))

#: As little as one hundredth of a second, so that a flood of the test's size is one on any machine.
POLICY = f"""[log]
summary_seconds = 1
[bans]
enabled = false
[limits]
enabled = false
[network]
trusted = ["{TRUSTED}"]
[shedding]
fold_percent = 1
silent_percent = 2
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("shedding"), POLICY, workers=1) as running:
        yield running


def flood(server: Server, messages: int, first: int = 0) -> None:
    """That many hostile messages, each from another address, counted from the first one."""
    for number in range(first, first + messages):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((f"127.15.{number // 250}.{number % 250 + 1}", 0))
            sock.sendto(invite(from_=HOSTILE, headers=DEAR), ("127.0.0.1", server.port))
        # One worker reads them in order: when a trusted one behind them is answered, they were read.
        if number % 50 == 49:
            assert status(exchange(server, request("OPTIONS"), source=TRUSTED)) == 200


def shed(server: Server) -> list[dict[str, Any]]:
    return [record for record in server.records("state") if record["event"]["action"] == "shed"]


def test_strangers_are_counted_only_and_at_last_not_answered_and_it_ends_with_the_flood(server: Server) -> None:
    def accounted() -> int:
        records = [*server.records("event"), *server.records("metric")]
        from_them = [r for r in records if r.get("source", {}).get("ip", "") != TRUSTED]
        return sum(record["event"].get("count", 1) for record in from_them)

    def silent() -> bool:
        return any("not answered" in record["event"]["reason"] for record in shed(server))

    sent = 1000
    flood(server, sent)
    # How much of a second that took is the machine's: a quick one is flooded for longer.
    while not silent() and sent < 20_000:
        flood(server, 500, sent)
        sent += 500
    # A trusted source's attack is refused with an answer and a record, whatever strangers do.
    answer = exchange(server, invite(from_=HOSTILE, call_id="trusted-in-a-flood"), source=TRUSTED)
    assert status(answer) == 403
    assert server.record_of("trusted-in-a-flood")["event"]["action"] == "reject"
    wait_for(silent, "the silent step is said")
    wait_for(lambda: accounted() >= sent, "each message is accounted for")
    assert accounted() == sent
    own = [r for r in server.records("event") if r["source"]["ip"].startswith("127.15.")]
    assert len(own) < sent / 2, "most have no record of their own"
    counted = [r for r in server.records("metric") if r.get("source", {}).get("ip", "") != TRUSTED]
    assert {r["event"]["action"] for r in counted} == {"reject", "drop"}

    wait_for(lambda: shed(server)[-1]["event"]["reason"].startswith("over"), "its end is said")
    answer = exchange(server, invite(from_=HOSTILE, call_id="after-the-flood"), source="127.15.9.9")
    assert status(answer) == 403
    assert server.record_of("after-the-flood")["event"]["action"] == "reject"


def test_clean_calls_of_strangers_pass_all_along(server: Server) -> None:
    for number in range(20):
        flood(server, 20)
        assert status(exchange(server, invite(), source=f"127.16.0.{number + 1}")) == 200
