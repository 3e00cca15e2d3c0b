"""Forged sources fill neither the memory nor the log, and slow nobody down."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from harness import ROOT, Server, exchange, invite, request, status, wait_for

sys.path.insert(0, str(ROOT / "bench"))

import meter
from forged import forge, shape

POLICY = """
[log]
allow = "summary"
summary_seconds = 1
[limits]
capacity = 1024
[limits.invite]
per_minute = 5
[limits.malformed]
per_minute = 1
[bans]
capacity = 50
"""


@pytest.fixture(autouse=True)
def within_a_window() -> None:
    """What is counted exactly must not cross the border of a minute, where the count before is only estimated."""
    wait_for(lambda: time.monotonic() % 60 < 55, "the next minute begins")


def test_forged_sources_share_counters_once_there_is_no_room(tmp_path: Path) -> None:
    with Server(tmp_path, POLICY) as server:
        for _ in range(3):
            assert status(exchange(server, invite(), source="127.20.0.1")) == 200
        before = shape(server)
        forge(server.port, 0, 3000)
        half = shape(server)
        forge(server.port, 3000, 3000)
        after = shape(server)
        # Two windows' worth, their workers' overshoot, and 256 shared counters for each class.
        assert half["counters"] <= after["counters"] <= 2 * (1024 + 256 + 64)
        assert after["without_own_counter"] > 2000
        assert after["shm_used"] - half["shm_used"] < 300_000
        assert half["shm_used"] - before["shm_used"] < 1_000_000

        def told() -> int:
            events = [record["event"] for record in server.records("state")]
            return sum(event["requests"] for event in events if event["action"] == "overflow")

        wait_for(lambda: told() == shape(server)["without_own_counter"], "the log says so")
        # Who was there before is counted exactly still: two more, and the sixth is refused.
        assert [status(exchange(server, invite(), source="127.20.0.1")) for _ in range(3)] == [200, 200, 503]


def test_forged_garbage_cannot_fill_the_table_of_bans(tmp_path: Path) -> None:
    with Server(tmp_path, POLICY) as server:
        garbage = b"INVITE sip:x SIP/2.0\r\nVia: ?\r\nX\r\n\r\n" + b"." * 40
        for _ in range(3):
            forge(server.port, 0, 150, garbage)
        wait_for(lambda: shape(server)["bans"] > 40, "bans")
        assert shape(server)["bans"] <= 55
        assert status(exchange(server, request("OPTIONS"), source="127.20.0.1")) == 200


def test_forged_attacks_take_no_more_of_the_log_than_their_budget_and_add_up(tmp_path: Path) -> None:
    budget = 30_000
    policy = f"[log]\nsummary_seconds = 1\nbytes_per_second = {budget}\n"
    with Server(tmp_path, policy) as server:
        attack = request(from_='"x\' UNION SELECT password FROM users --" <sip:a@example.com>;tag=1')
        forge(server.port, 0, 4000, attack)
        # On a busy machine some do not get as far as the server.
        arrived = 4000 - meter.drained(server.port).dropped
        assert arrived > 500

        def mine() -> list[dict[str, Any]]:
            """What is in the log of them; those that share a count have no address of their own."""
            return [r for r in server.records("") if r["event"].get("action") == "reject"]

        def accounted() -> int:
            return sum(r["event"].get("count", 1) for r in mine())

        wait_for(lambda: accounted() == arrived, "every message accounted for")
        of_second: Counter[str] = Counter()
        for line in server.log.read_bytes().splitlines():
            record = json.loads(line)
            if record["event"]["kind"] == "event" and record["event"]["action"] == "reject":
                of_second[record["@timestamp"][:19]] += len(line)
        # Each worker may begin one more record while the last of the budget is taken, and one of what is new.
        assert max(of_second.values()) <= budget + 8 * 2048
        assert sum(of_second.values()) >= budget // 2
        # A clean call is on record meanwhile.
        assert status(exchange(server, invite(call_id="clean"), source="127.20.0.1")) == 200
        assert server.record_of("clean")["event"]["action"] == "allow"


def test_a_log_that_is_full_takes_counts_only_until_it_is_rotated(tmp_path: Path) -> None:
    policy = "[limits]\nenabled = false\n[log]\nsummary_seconds = 1\nmax_bytes = 20000\n"
    with Server(tmp_path, policy) as server:

        def send(count: int) -> None:
            for _ in range(count):
                assert status(exchange(server, request("OPTIONS"), source="127.20.0.1")) == 200

        def accounted(*more: Path) -> int:
            return sum(r["event"].get("count", 1) for r in server.records("", *more) if r["event"]["kind"] != "state")

        send(200)
        wait_for(lambda: accounted() == 200, "every message accounted for")
        full = server.records()
        assert 20 < len(full) < 150
        assert server.log.stat().st_size < 20_000 + 200 * 1000
        moved = tmp_path / "decisions.jsonl.1"
        server.log.rename(moved)
        wait_for(lambda: send(1) or server.log.exists(), "the new log")
        send(5)
        wait_for(lambda: len(server.records()) > 3, "records again")


def test_a_flood_of_like_decisions_is_folded_and_adds_up(tmp_path: Path) -> None:
    # One worker, so that its budget of records is passed; the flood is refused, not banned.
    policy = "[bans]\nenabled = false\n[log]\nsummary_seconds = 1\n[limits.other]\nper_minute = 1\n"
    with Server(tmp_path, policy, workers=1) as server:
        sent = 3000
        refused = 0
        from harness import peer

        with peer("127.0.0.1", server.port, source="127.20.0.2") as sock:
            for _ in range(sent):
                sock.send(request("OPTIONS"))
                refused += status(sock.recv(4096)) == 503

        def logged() -> tuple[int, int]:
            mine = [r for r in server.records("") if r.get("source", {}).get("ip") == "127.20.0.2"]
            own = sum(r["event"]["kind"] == "event" for r in mine)
            return own, sum(r["event"]["count"] for r in mine if r["event"]["kind"] == "metric")

        wait_for(lambda: sum(logged()) == sent, "every message accounted for")
        own, counted = logged()
        assert counted > 0 and own < sent
        folded = [r for r in server.records("metric") if r["event"]["action"] == "reject"]
        assert {tuple(r["rule"]["id"]) for r in folded} == {("limit-other",)}
        # One passes in each minute, and the minute may turn meanwhile.
        assert refused in (sent - 1, sent - 2)
