"""The parts behind a live change and the metrics: handing revisions on, counting, asking."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipsieve.config import overrides
from sipsieve.config.policy import PolicyError, loads
from sipsieve.control import metrics, rpc_table, scoreboard, status
from sipsieve.control.broadcast import Broadcast, TooLarge


def _broadcast(slot: int = 1024) -> Broadcast:
    return Broadcast(memoryview(bytearray(Broadcast.bytes_for(slot))), slot)


def test_a_reader_gets_the_newest_whole_or_nothing() -> None:
    published = _broadcast()
    published.begin(1)
    assert published.newest() is None
    published.publish(2, b"two", 10.5)
    assert (published.head[0], published.newest(), published.since) == (2, b"two", 10.5)
    published.publish(3, b"three", 11.0)
    assert published.newest() == b"three"
    # A writer that is at work on the slot that a slow reader looks at.
    published._buffer[published._at(3) + 24] ^= 1
    assert published.newest() is None


def test_what_is_too_large_changes_nothing() -> None:
    published = _broadcast(64)
    published.publish(2, b"two", 1.0)
    with pytest.raises(TooLarge, match="restart"):
        published.publish(3, b"x" * 64, 2.0)
    assert published.newest() == b"two"


def test_the_scoreboard_adds_up_over_processes_and_bounds_what_strangers_name() -> None:
    board = scoreboard.Scoreboard(4)
    for place in range(3):
        board.attach(place + 1, 100 + place, 1, 5.0)
        board.count("INVITE", "allow", "udp", 2)
        board.count(f"MADE-UP-{place}", "reject", "carrier-pigeon")
        board.found(["sql", "sql", "unheard-of"])
        board.took(0.0)
        board.took(1.0)
        board.journal(10, place)
    board.attach(2, 101, 1, 5.0)
    board.failed()
    totals = board.totals()
    assert totals.messages == {("INVITE", "allow", "udp"): 6, ("other", "reject", "other"): 3}
    assert totals.families == {"sql": 3, "other": 3}
    assert (totals.latencies[0], totals.latencies[-1], sum(totals.latencies)) == (3, 3, 6)
    assert (totals.written, totals.lost, totals.errors) == (30, 3, 1)
    assert [worker.pid for worker in board.workers()] == [100, 101, 102]
    assert not any(key[0].startswith("MADE-UP") for key in board._at)
    assert status.facts(totals)["latency"]["p50"] == scoreboard.LATENCIES[0]
    assert status.facts(totals)["latency"]["p99"] == status.BEYOND


def test_counters_are_raised_by_what_came_since_and_never_lowered() -> None:
    board = scoreboard.Scoreboard(1)
    board.attach(0, 1, 1, 0.0)
    exporter = metrics.Exporter()
    versions = {"revision": 1, "policy": "a", "rules": "b", "mode": "enforce"}

    def raised() -> float:
        updates = exporter.updates(board.totals(), [], versions, {})
        return sum(u.value for u in updates if u.name == metrics.MESSAGES)

    board.count("BYE", "allow", "tcp", 5)
    assert raised() == 5
    assert raised() == 0
    board.count("BYE", "allow", "tcp", 2)
    assert raised() == 2
    exporter.overflowed(7, 3)
    exporter.overflowed(7, 5)
    exporter.overflowed(8, 1)
    assert exporter._overflow == 6
    versions["policy"] = "c"
    shown = [u for u in exporter.updates(board.totals(), [], versions, {}) if u.name == metrics.VERSION]
    assert [(u.value, u.labels[0]) for u in shown] == [(0, "a"), (1, "c")]
    assert shown[0].call == "gauge_set_l3"


class _Table(dict[str, str]):
    def entries(self) -> dict[str, str]:
        return dict(self)

    def put(self, key: str, value: str) -> None:
        self[key] = value

    def remove(self, key: str) -> None:
        del self[key]


def test_each_request_is_answered_once() -> None:
    table = _Table({"ask:1": rpc_table.encode({"do": "x"}), "ask:2": "no base64", "say:0": "old"})
    assert rpc_table.serve(table, lambda asked: {"got": asked}) == 2
    assert rpc_table.decode(table["say:1"]) == {"got": {"do": "x"}}
    assert rpc_table.decode(table["say:2"]) == {"got": {}}
    assert rpc_table.serve(table, lambda asked: {}) == 0


@given(st.text(max_size=200))
def test_any_text_in_the_table_is_a_request_or_none(text: str) -> None:
    assert isinstance(rpc_table.decode(text), dict)


@pytest.mark.parametrize(
    ("key", "text", "shown"),
    [("limits.invite.per_minute", "60", 60), ("mode", "observe", "observe"), ("mode", '"observe"', "observe")],
)
def test_values_are_typed_as_in_the_file_or_bare(key: str, text: str, shown: object) -> None:
    changed = overrides.changed(loads(""), {key: overrides.value_from(text)})
    assert overrides.value_of(changed, key) == shown
    assert changed.version != loads("").version


@pytest.mark.parametrize("key", ["", ".", "limits", "limits.invite", "limits.invite.per_minut", "a.b.c", "mode.x"])
def test_a_key_that_is_none_is_refused(key: str) -> None:
    with pytest.raises(PolicyError):
        overrides.changed(loads(""), {key: 1})
