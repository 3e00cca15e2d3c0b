"""Counts in shared memory: none lost, none twice, whoever dies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipsieve.ledger import OVERFLOW, SLOTS, Ledger


def made(workers: int = 3, interval: int = 10) -> tuple[Ledger, bytearray]:
    buffer = bytearray(Ledger.bytes_for(workers))
    return Ledger(buffer, workers, interval), buffer


def test_a_finished_interval_is_handed_out_once() -> None:
    ledger, _ = made()
    ledger.attach(1)
    for second in range(5):
        assert ledger.tally("192.0.2.1", "INVITE", "allow", 100.0 + second) == []
    assert ledger.drain(105.0) == [], "the interval still runs"
    entries = ledger.drain(112.0)
    assert [(e.ip, e.method, e.verdict, e.messages, e.first, e.last) for e in entries] == [
        ("192.0.2.1", "INVITE", "allow", 5, 100.0, 104.0)
    ]
    assert ledger.drain(113.0) == []


def test_what_nobody_drained_in_time_comes_back_to_the_worker() -> None:
    ledger, _ = made()
    ledger.attach(1)
    ledger.tally("a", "INVITE", "allow", 100.0)
    ledger.tally("a", "INVITE", "allow", 110.0)
    left = ledger.tally("a", "INVITE", "allow", 120.0)
    assert sum(entry.messages for entry in left) == 1


def test_a_new_server_finds_what_a_killed_one_left() -> None:
    ledger, buffer = made()
    ledger.attach(2)
    for _ in range(7):
        ledger.tally("a", "INVITE", "drop", 100.0)
    again = Ledger(buffer, 3, 10)
    assert sum(entry.messages for entry in again.drain(100.5, everything=True)) == 7
    assert again.drain(200.0, everything=True) == []


def test_workers_write_apart() -> None:
    _, buffer = made()
    for worker in range(3):
        one = Ledger(buffer, 3, 10)
        one.attach(worker)
        one.tally("a", "BYE", "allow", 100.0)
    assert sum(entry.messages for entry in Ledger(buffer, 3, 10).drain(120.0)) == 3


def test_more_sources_than_fit_share_the_last_slots() -> None:
    ledger, _ = made()
    ledger.attach(0)
    total = SLOTS * 3
    for number in range(total):
        ledger.tally(f"192.0.{number // 256}.{number % 256}", "INVITE", ("allow", "drop", "reject")[number % 3], 100.0)
    entries = ledger.drain(120.0)
    assert len(entries) <= SLOTS
    assert sum(entry.messages for entry in entries) == total
    assert any(entry.ip == OVERFLOW[0] for entry in entries)


@given(st.lists(st.tuples(st.text(max_size=60), st.text(max_size=40), st.integers(0, 60)), max_size=60))
def test_hostile_methods_lose_no_count(messages: list[tuple[str, str, int]]) -> None:
    ledger, _ = made()
    ledger.attach(0)
    counted = sum(
        entry.messages
        for ip, method, at in sorted(messages, key=lambda m: m[2])
        for entry in ledger.tally(ip, method, "allow", 100.0 + at)
    )
    counted += sum(entry.messages for entry in ledger.drain(500.0))
    assert counted == len(messages)


def test_a_buffer_that_is_too_small_and_a_worker_too_many_are_refused() -> None:
    with pytest.raises(ValueError, match="3 workers need"):
        Ledger(bytearray(10), 3, 10)
    ledger, _ = made()
    with pytest.raises(ValueError, match="worker 3 of 3"):
        ledger.attach(3)
