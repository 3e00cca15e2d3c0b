"""Standing that a source has earned is seen, fades, is lost for what the policy names, and outlives the server."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend import Backend
from harness import ROOT, Server, exchange, free_port, invite, request, status, wait_for
from proofs import calls, registers, registrar
from sipsieve.abuse import earned_standing
from sipsieve.posix import kept_text

POLICY = """
[limits.malformed]
per_minute = 3
[bans]
earned_minutes = 1
[standing]
lost_by = ["ban", "attack"]
[log]
summary_seconds = 1
"""

#: What anybody can send in anybody's name: just long enough for Kamailio to look at it.
FORGED = b"forged in a neighbour's name....."

HOSTILE = '"\' or 1=1--" <sip:mallory@example.com>;tag=1'


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    with registrar() as running:
        yield running


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory, backend: Backend) -> Iterator[Server]:
    metrics = str(free_port())
    with Server(
        tmp_path_factory.mktemp("edge"), POLICY, backend=backend.uri, workers=2,
        environment={"SIPSIEVE_METRICS_PORT": metrics},
    ) as running:  # fmt: skip
        yield running


def sipsieve(server: Server, *arguments: str) -> Any:
    """What a command says of that server, as JSON or as text."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("sipsieve")), *arguments],
        env={**os.environ, "SIPSIEVE_RPC": str(server.folder / "sipsieve_rpc.fifo"), "SIPSIEVE_POLICY": str(server.policy)},
        capture_output=True, text=True, timeout=20, check=True,
    )  # fmt: skip
    return json.loads(done.stdout) if "--json" in arguments else done.stdout


def standing(server: Server, source: str) -> dict[str, Any]:
    found: dict[str, Any] = sipsieve(server, "explain", source, "--json")["live"]["standing"]
    return found


def metric(server: Server, name: str) -> float:
    url = f"http://127.0.0.1:{server.environment['SIPSIEVE_METRICS_PORT']}/metrics"
    with urllib.request.urlopen(url, timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return next((float(line.split()[1]) for line in lines if line.split()[0].endswith(name)), -1.0)


def test_who_has_it_since_when_by_what_and_until_when(edge: Server) -> None:
    registers(edge, "127.21.0.1")
    known = standing(edge, "127.21.0.1")
    assert (known["credit"], known["enough"]) == (1, 1)
    assert known["known"]["proofs"] == ["registration"]
    assert known["known"]["until"] - known["known"]["last"] == 180 * 60
    text = sipsieve(edge, "explain", "127.21.0.1")
    assert "standing     yes: shown in 1 minutes" in text and "by registrations" in text and "not banned" in text
    assert "standing     none: shown in 0 minutes, 1 are enough" in sipsieve(edge, "explain", "127.21.0.2")
    assert "127.21.0.1 by registration for" in sipsieve(edge, "status")
    told = sipsieve(edge, "status", "--json")["standing"]
    assert told["sources"] >= 1 and "127.21.0.1" in {one["key"] for one in told["latest"]}
    wait_for(lambda: metric(edge, "sipsieve_standing_sources") >= 1, "the gauge has it", 15)


def test_the_record_says_that_it_kept_a_source_from_being_banned(edge: Server) -> None:
    calls(edge, "127.21.0.3")
    for _ in range(20):
        exchange(edge, FORGED, source="127.21.0.3", seconds=0.005)
    record = edge.wait_record(
        lambda r: r.get("source", {}).get("ip") == "127.21.0.3" and "not banned" in r["event"].get("reason", ""),
        "the reason",
    )
    assert "the source has standing" in record["event"]["reason"]
    assert status(exchange(edge, request("OPTIONS"), source="127.21.0.3")) == 200


def test_it_is_lost_for_what_nobody_can_have_forged_and_for_nothing_else(edge: Server) -> None:
    source = "127.21.0.4"
    calls(edge, source)
    # An attack in a datagram may be somebody else's.
    assert status(exchange(edge, invite(from_=HOSTILE), source=source)) == 403
    assert standing(edge, source)["credit"] == 1
    # So may a call that another address says was its own.
    exchange(edge, invite(from_=HOSTILE, transport="TCP"), source="127.21.0.5", transport="tcp")
    assert standing(edge, source)["credit"] == 1
    assert status(exchange(edge, invite(from_=HOSTILE, transport="TCP"), source=source, transport="tcp")) == 403
    known = wait_for(lambda: (k := standing(edge, source)["known"]) and k["lost"] and k, "it is lost")
    assert known["lost"].startswith("sql") and standing(edge, source)["credit"] == 0
    assert re.search(rf"standing     lost \d+s ago by {known['lost']}\n", sipsieve(edge, "explain", source))
    record = edge.wait_record(lambda r: r["event"]["action"] == "disgrace", "a record of it")
    assert record["event"]["source"] == source
    # It is not had again at once.
    calls(edge, "127.21.0.6")
    calls(edge, source)
    assert standing(edge, source)["known"]["lost"] and not standing(edge, "127.21.0.6")["known"]["lost"]


def test_it_outlives_a_server_that_is_killed(tmp_path: Path, backend: Backend) -> None:
    kept = tmp_path / "standing.json"
    server = Server(tmp_path, POLICY, backend=backend.uri, workers=2)
    try:
        server.start()
        calls(server, "127.21.1.1")
        before = standing(server, "127.21.1.1")
        wait_for(lambda: kept.exists() and "127.21.1.1" in kept.read_text(), "it is written down", 15)
        server.stop(signal.SIGKILL)
        server.start()
        assert standing(server, "127.21.1.1") == before
        for _ in range(20):
            exchange(server, FORGED, source="127.21.1.1", seconds=0.005)
        assert status(exchange(server, request("OPTIONS"), source="127.21.1.1")) == 200
    finally:
        server.stop()


def test_what_is_damaged_is_set_aside_and_stops_nothing(tmp_path: Path) -> None:
    kept = tmp_path / "standing.json"
    kept_text.keep(str(kept), earned_standing.dump({"127.21.2.1": "s|9|4000000000|4000000000|4000009000|call"}))
    # Of the address, so that another one would have it.
    content = kept.read_bytes().replace(b"127.21.2.1", b"127.21.2.0")
    kept.write_bytes(content)
    with Server(tmp_path / "s", POLICY, environment={"SIPSIEVE_STANDING": str(kept)}) as server:
        assert standing(server, "127.21.2.1")["credit"] == standing(server, "127.21.2.0")["credit"] == 0
        assert "standing could not be restored (its checksum is wrong)" in server.text()
    assert kept.with_name("standing.json.damaged").read_bytes() == content


def test_calls_of_who_has_standing_succeed_at_their_one_try_through_floods(tmp_path: Path) -> None:
    """The short form of `make bench-standing`: an office of 30 phones, a call centre and a carrier."""
    figures = tmp_path / "standing.json"
    done = subprocess.run(
        [sys.executable, "bench/standing.py", "--seconds", "3", "--rate", "3000", "--json", str(figures),
         "--only", "garbage", "--only", "forged", "--only", "in their name"],
        cwd=ROOT, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(figures.read_text())
    assert list(found) == ["none", "garbage", "forged", "in their name"]
    for kind, ends in found.items():
        assert {who: set(codes) for who, codes in ends.items()} == {who: {"200"} for who in ends}, kind
        assert len(ends) == 3 and sum(ends["office of 30 phones"].values()) >= 30
