"""A watch looks at what is new and at whom it concerns, and tells what a look at everything would have told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner

from sipsieve_analysis.cli import main
from sipsieve_analysis.ranking import Tier
from sipsieve_analysis.watch import alerts
from sipsieve_analysis.watch.concern import Concern
from sipsieve_analysis.watch.memory import Memory
from sipsieve_analysis.watch.watcher import Watcher
from worlds.intruders import make
from worlds.world import START, World

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@cache
def network() -> list[bytes]:
    """The decision log of a network in the field with several intruders."""
    return list(make(3, 1, True, False).records("observe"))


class Watched:
    """A watcher over a log that grows."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "log"
        self.log.write_bytes(b"")
        self.told: list[dict[str, Any]] = []
        self.memory = Memory(folder / "state", "1000MB")
        self.watcher = Watcher(self.log, self.memory, [], None, Tier.MEDIUM, UTC, self.told.append, print)

    def add(self, lines: list[bytes], now: datetime = NOW) -> list[dict[str, Any]]:
        """What is told of these lines."""
        with self.log.open("ab") as log:
            log.writelines(lines)
        before = len(self.told)
        self.watcher.round(now)
        return self.told[before:]

    def total(self) -> int:
        return self.memory.bounds()[2]


@pytest.fixture
def watched(tmp_path: Path) -> Any:
    made = Watched(tmp_path)
    yield made
    made.memory.close()


def test_one_line_more_costs_no_look_at_everything(watched: Watched) -> None:
    lines = network()
    assert watched.add(lines[:-8]) and watched.watcher.looked_at == watched.total()
    for line in lines[-8:]:
        watched.add([line])
        assert 0 < watched.watcher.looked_at < watched.total()
    looked = []
    for line in lines[-8:]:
        watched.add([line])
        looked.append(watched.watcher.looked_at)
    assert sorted(looked)[4] * 4 < watched.total()


def test_looks_at_parts_tell_what_looks_at_everything_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = network()
    said: list[dict[str, str]] = []
    for everything in (True, False):
        if everything:
            monkeypatch.setattr(Concern, "suffices", lambda *_: False)
        else:
            monkeypatch.undo()
        one = Watched(tmp_path / str(everything))
        step = len(lines) // 5
        for at in range(0, len(lines), step):
            one.add(lines[at : at + step])
        said.append({ip: alert["tier"] for alert in one.told for ip in [*alert["addresses"], *alert["new_addresses"]]})
        one.memory.close()
    assert said[0] and said[1] == said[0]


def attack(world: World, ip: str, start: float, count: int = 40) -> None:
    for n in range(count):
        world.send(
            start + n, ip, "REGISTER", user=f"10{n % 2}", agent="evil-tool 7", call_id=f"{n}-{start}@{ip}", status=403, authorization="x"
        )  # fmt: skip


def people(world: World) -> None:
    for n in range(400):
        world.send(
            START + n * 30,
            f"198.51.100.{n % 90}",
            "REGISTER",
            user=f"2{n % 90:02d}",
            agent="Yealink T46",
            call_id=f"p{n % 90}",
            cseq=n,
            status=200,
        )


def test_a_known_actors_new_address_raises_an_alert_from_a_look_at_a_part(watched: Watched) -> None:
    world = World(1)
    people(world)
    attack(world, "203.0.113.7", START + 12000)
    # The same program goes on from an address of the same network.
    later = World(1)
    attack(later, "203.0.113.8", START + 12060)
    [first] = watched.add(list(world.records("observe")))
    assert first["kind"] == "actor" and first["addresses"] == ["203.0.113.7"]
    lines = list(later.records("observe"))
    told = watched.add(lines)
    assert watched.watcher.looked_at < watched.total()
    assert {"203.0.113.8"} <= {ip for alert in told for ip in alert["new_addresses"]}, told
    assert [alert["kind"] for alert in told] == ["address"]


def test_everything_is_looked_at_again_in_time(watched: Watched) -> None:
    world = World(1)
    people(world)
    lines = list(world.records("observe"))
    watched.add(lines[:-2])
    watched.add(lines[-2:-1], NOW + timedelta(seconds=30))
    assert watched.watcher.looked_at < watched.total()
    watched.add(lines[-1:], NOW + timedelta(hours=1))
    assert watched.watcher.looked_at == watched.total()


def test_lines_of_one_message_in_two_looks_keep_their_source(watched: Watched) -> None:
    at = "Nov 16 10:00:00 edge kamailio[41]: ERROR: {1 1 REGISTER c1} "
    quoted = b"<core> [core/parser/parse_from.c:74]: parse_from_header(): bad From header [\"UPDATE users SET password='1' WHERE 1=1\" <sip:1@x>]\n"
    watched.add([at.encode() + quoted])
    told = watched.add([at.encode() + b"<script>: Malformed SIP request from 198.51.100.9:5062\n"])
    told += watched.told[len(told) :]
    watched.watcher.finish(NOW)
    assert [alert["addresses"] for alert in watched.told] == [["198.51.100.9"]]


class Reader(alerts.DataSink):
    """Takes everything, reports too."""

    def __init__(self) -> None:
        super().__init__("reader")
        self.reports: list[dict[str, Any]] = []

    def wants(self, alert: dict[str, Any]) -> bool:
        return alert["kind"] == "report"

    def send(self, posted: Sequence[alerts.Posted]) -> str:
        self.reports += [alert for _, alert in posted]
        return ""


def test_days_and_weeks_without_an_event_have_no_report(tmp_path: Path) -> None:
    reader = Reader()
    watched = Watched(tmp_path)
    watched.watcher = Watcher(
        watched.log, watched.memory, [reader], tmp_path / "reports", Tier.MEDIUM, UTC, watched.told.append, print
    )
    first, later = World(1), World(2)
    attack(first, "203.0.113.7", START + 3600)
    attack(later, "203.0.113.7", START + 14 * 86400 + 3600)
    records = [*first.records("observe"), *later.records("observe")]
    watched.add(records, datetime.fromtimestamp(START, UTC) + timedelta(days=40))
    watched.memory.close()
    assert sorted(report["span"] for report in reader.reports) == ["daily", "daily", "weekly", "weekly"]
    assert len(list((tmp_path / "reports").glob("*.html"))) == 4


def test_a_written_report_is_told_with_whom_no_earlier_one_had(tmp_path: Path) -> None:
    reader = Reader()
    watched = Watched(tmp_path)
    watched.watcher = Watcher(
        watched.log, watched.memory, [reader], tmp_path / "reports", Tier.MEDIUM, UTC, watched.told.append, print
    )
    day = 86400
    first, second = World(1), World(2)
    attack(first, "203.0.113.7", START + 3600)
    attack(second, "203.0.113.7", START + day + 3600)
    for n in range(60):
        second.send(
            START + day + 9000 + n * 7,
            "198.51.100.44",
            "OPTIONS",
            user=f"{n}",
            agent="friendly-scanner",
            call_id=f"o{n}",
        )
    begin = datetime.fromtimestamp(START, UTC)
    watched.add(list(first.records("observe")), begin + timedelta(days=1, hours=2))
    watched.add(list(second.records("observe")), begin + timedelta(days=2, hours=2))
    watched.memory.close()
    one, two = [report for report in reader.reports if report["span"] == "daily"]
    assert [actor["addresses"] for actor in one["new"]] == [["203.0.113.7"]] and one["known_count"] == 0
    assert [actor["addresses"] for actor in two["new"]] == [["198.51.100.44"]], two
    assert [actor["addresses"] for actor in two["known"]] == [["203.0.113.7"]]
    assert Path(two["page"]).is_file()


def test_memory_that_becomes_too_little_is_told_in_a_line_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, state = tmp_path / "log", tmp_path / "state"
    log.write_bytes(b"".join(network()[:50]))
    call = ["watch", str(log), "--state", str(state), "--once"]

    def full(self: Watcher, now: datetime) -> None:
        raise duckdb.OutOfMemoryException("Out of Memory Error: could not allocate block")

    with monkeypatch.context() as patched:
        patched.setattr(Watcher, "round", full)
        ran = CliRunner().invoke(main, call)
    assert ran.exit_code == 2
    assert "--memory '700MB': too little for what is watched by now; start it with more" in ran.output
    assert "Traceback" not in ran.output
    assert CliRunner().invoke(main, call).exit_code == 0
    memory = Memory(state, "1000MB")
    assert memory.bounds()[2] == 50
    memory.close()
