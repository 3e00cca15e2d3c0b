"""The core's tables in shared memory: as their models, exact across processes, bounded, and safe from damaged files."""

from __future__ import annotations

import os
import random
import signal
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipsieve import _core as core

TRANSACTION = 32
LIFE = 43200


def in_children(work: Callable[[int], None], count: int = 4) -> None:
    """Does work in that many processes at once, and waits for them."""
    children = []
    for number in range(count):
        pid = os.fork()
        if not pid:
            try:
                work(number)
                os._exit(0)
            finally:
                os._exit(1)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * count


# Retransmissions


def test_copies_count_up_within_a_transaction() -> None:
    table = core.RetransmissionFilter(64)
    assert [table.copies(7, 100.0 + n) for n in range(4)] == [1, 2, 3, 4]
    assert table.copies(8, 100.0) == 1
    assert table.copies(7, 100.0 + TRANSACTION + 1) == 1, "a transaction later it is a new message"


def test_a_copy_counts_anew_after_a_transaction_s_life() -> None:
    table = core.RetransmissionFilter(64)
    assert [table.copies(9, now) for now in (5, 5, 37, 38, 4)] == [1, 2, 3, 1, 1]


def test_of_two_on_one_slot_the_later_wins() -> None:
    table = core.RetransmissionFilter(1)
    assert [table.copies(n, 1.0) for n in (1, 2, 1)] == [1, 1, 1]


@pytest.mark.parametrize("identity", [0, -1, 2**70, -(2**63)])
def test_any_hash_fits(identity: int) -> None:
    table = core.RetransmissionFilter(8)
    assert [table.copies(identity, now) for now in (1.0, 2.0)] == [1, 2]


def test_a_clock_that_is_set_back_makes_no_retransmission() -> None:
    table = core.RetransmissionFilter(8)
    table.copies(7, 1000.0)
    assert table.copies(7, 10.0) == 1


def test_of_copies_that_all_workers_see_at_once_one_is_the_first() -> None:
    messages = 50_000
    table = core.RetransmissionFilter(1 << 20)
    read, write = os.pipe()

    def work(_: int) -> None:
        firsts = sum(table.copies(number, 5) == 1 for number in range(messages))
        os.write(write, struct.pack("=Q", firsts))

    in_children(work)
    assert sum(struct.unpack("=4Q", os.read(read, 32))) == messages
    assert [table.copies(1, 5) for _ in range(2)] == [5, 6]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 9)), max_size=120))
def test_retransmissions_as_their_model(steps: list[tuple[int, int]]) -> None:
    table = core.RetransmissionFilter(4096)
    model: dict[int, tuple[int, int]] = {}
    now = 0
    for identity, passed in steps:
        now += passed
        since, copies = model.get(identity, (now, 0))
        model[identity] = (since, copies + 1) if now - since <= TRANSACTION else (now, 1)
        assert table.copies(identity, now) == model[identity][1]


# Dialogs


def test_a_dialog_is_known_from_its_answer_to_the_end_of_its_life() -> None:
    table = core.Answered(64)
    assert not table.knows(7, 100.0)
    table.remember(7, 100.0)
    assert table.knows(7, 100.0)
    assert table.knows(7, 100.0 + LIFE)
    assert not table.knows(7, 101.0 + LIFE)
    table.remember(7, 200.0 + LIFE)
    assert table.knows(7, 200.0 + LIFE)


def test_the_oldest_makes_room_and_no_other() -> None:
    table = core.Answered(8)
    for number in range(1, 9):
        table.remember(number, float(number))
    table.remember(99, 9.0)
    assert not table.knows(1, 9.0)
    assert all(table.knows(number, 9.0) for number in (*range(2, 9), 99))


def test_a_dialog_answered_again_takes_no_second_place() -> None:
    table = core.Answered(8)
    for _ in range(20):
        table.remember(5, 1.0)
    for number in range(10, 17):
        table.remember(number, 2.0)
    assert table.knows(5, 2.0)


# Marks


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 2**32 - 1), st.integers(0, 9)), max_size=100))
def test_marks_as_their_model(steps: list[tuple[int, int, int]]) -> None:
    table = core.Marks(4)
    known: dict[int, tuple[int, int]] = {}
    # A second at least between two marks, so that there is one oldest.
    now = 0
    for identity, value, passed in steps:
        now += 1 + passed
        # One set of four: who is not in it takes the place of the oldest.
        if identity not in known and len(known) == 4:
            del known[min(known, key=lambda name: known[name][1])]
        known[identity] = (value, now)
        table.mark(identity, value, float(now))
        for name in range(31):
            there = known.get(name, (0, 0))
            assert table.marked(name, now, 5) == (there[0] if now - there[1] <= 5 else 0)


def test_a_mark_is_seen_by_all_and_never_another_s() -> None:
    table = core.Marks(1)

    def work(number: int) -> None:
        for _ in range(20_000):
            table.mark(number, number + 1, 5.0)
            for name in range(4):
                assert table.marked(name, 5.0, 9) in (0, name + 1)

    in_children(work)


# Counters


def test_counters_are_exact_across_processes_and_survive_a_killed_one() -> None:
    counts = core.Counts(64)
    victim = os.fork()
    if not victim:
        while True:
            counts.increase("victim", 7)
    in_children(lambda _: [counts.increase(f"cell:{number % 40}", 7) for number in range(40_000)] and None)
    os.kill(victim, signal.SIGKILL)
    os.waitpid(victim, 0)
    assert [counts.get(f"cell:{number}", 7) for number in range(40)] == [4000] * 40
    assert counts.increase("victim", 7) == min(counts.get("victim", 7), 0xFFFFFF)


def test_a_counter_lives_for_its_window_and_the_next() -> None:
    counts = core.Counts(64)
    assert [counts.increase("a", 255) for _ in range(3)] == [1, 2, 3]
    assert counts.get("a", 256) == 3
    assert counts.get("a", 257) == 0
    assert counts.increase("a", 257) == 1
    assert counts.get("b", 257) == 0
    counts.forget()
    assert counts.get("a", 257) == 0


def test_where_no_place_is_left_a_counter_says_so() -> None:
    counts = core.Counts(1)
    given_out = [name for name in map(str, range(100)) if counts.increase(name, 1)]
    assert len(given_out) == 8
    assert counts.increase("one more", 1) == 0
    assert all(counts.increase(name, 1) == 2 for name in given_out)
    assert counts.increase("one more", 3) == 1, "places whose window is over are free"


def test_a_late_writer_leaves_the_next_window_alone() -> None:
    counts = core.Counts(1)
    assert [counts.increase("new", 11) for _ in range(5)][-1] == 5
    assert counts.increase("late", 10) == 1
    assert counts.get("new", 11) == 5


def test_a_counter_stops_at_its_most() -> None:
    counts = core.Counts(1)
    assert counts.increase("a", 1, 0xFFFFFE) == 0xFFFFFE
    assert [counts.increase("a", 1) for _ in range(3)] == [0xFFFFFF] * 3


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.text(max_size=3), st.integers(1, 5), st.booleans()), max_size=60))
def test_counters_as_their_model(steps: list[tuple[str, int, bool]]) -> None:
    counts = core.Counts(1024)
    model: dict[str, int] = {}
    window = 4090
    for name, amount, turns in steps:
        window += turns
        key = f"{name}:{window}"
        model[key] = model.get(key, 0) + amount
        assert counts.increase(key, window, amount) == model[key]
        before = f"{name}:{window - 1}"
        assert counts.get(before, window) == model.get(before, 0)


# Tallies


def test_a_finished_interval_is_handed_out_once() -> None:
    ledger = core.Ledger("", 3, 10)
    ledger.attach(1)
    for second in range(5):
        ledger.tally("192.0.2.1", "INVITE", "allow", 100.0 + second)
    assert ledger.collect(105.0) == [], "the interval still runs"
    entries = ledger.collect(112.0)
    assert entries == [core.Entry("192.0.2.1", "INVITE", "allow", 5, 100.0, 104.0)]
    assert ledger.collect(113.0) == []


def test_what_nobody_fetched_is_not_lost() -> None:
    ledger = core.Ledger("", 3, 10)
    ledger.attach(1)
    for number in range(50):
        ledger.tally("a", "INVITE", "allow", 100.0 + 7 * number)
    assert sum(entry.messages for entry in ledger.collect(1000.0)) == 50


def test_a_count_waits_until_it_is_written() -> None:
    ledger = core.Ledger("", 3, 10)
    ledger.attach(1)
    ledger.tally("a", "INVITE", "allow", 100.0)
    ledger.collect(200.0)
    assert ledger.put(core.Entry("a", "INVITE", "allow", 4, 90.0, 95.0))
    [(place, entry)] = ledger.waiting()
    assert (entry.messages, entry.first, entry.last) == (5, 90.0, 100.0)
    ledger.written(place, 3)
    assert [entry.messages for _, entry in ledger.waiting()] == [2]
    ledger.written(place, 2)
    assert ledger.waiting() == []


def test_workers_write_apart_and_a_killed_one_loses_nothing() -> None:
    ledger = core.Ledger("", 4, 10)

    def work(worker: int) -> None:
        ledger.attach(worker)
        for number in range(1000):
            ledger.tally(f"192.0.2.{number % 9}", "BYE", "allow", 100.0, "udp", "some-rule")
        if worker == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(AssertionError):
        in_children(work)
    entries = ledger.collect(120.0)
    assert sum(entry.messages for entry in entries) == 4000
    assert {(entry.transport, entry.rule) for entry in entries} == {("udp", "some-rule")}


def test_more_sources_than_fit_share_the_last_slots() -> None:
    ledger = core.Ledger("", 1, 10)
    ledger.attach(0)
    total = core.SLOTS * 3
    for number in range(total):
        ledger.tally(f"192.0.{number // 256}.{number % 256}", "INVITE", ("allow", "drop", "reject")[number % 3], 100.0)
    entries = ledger.collect(120.0)
    assert len(entries) <= core.SLOTS
    assert sum(entry.messages for entry in entries) == total
    assert any(entry.ip == core.OVERFLOW[0] for entry in entries)


def test_bad_arguments_are_refused() -> None:
    ledger = core.Ledger("", 3, 10)
    with pytest.raises(ValueError, match="worker 3 of 3"):
        ledger.attach(3)
    with pytest.raises(ValueError, match="no worker"):
        ledger.tally("a", "b", "c", 1.0)
    for made in (core.Counts, core.Answered, core.Marks, core.RetransmissionFilter):
        with pytest.raises(ValueError, match="0 "):
            made(0)


# What outlives a server


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """The file of counts, whose memory is given back."""
    path = tmp_path / "ledger"
    yield path
    core.remove_ledger(str(path))


def left_behind(path: Path) -> None:
    """Counts as a killed server leaves them, in memory and in a file."""
    child = os.fork()
    if not child:
        ledger = core.Ledger(str(path), 2, 10)
        ledger.attach(1)
        for _ in range(7):
            ledger.tally("192.0.2.1", "INVITE", "drop", 100.0)
        ledger.save()
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)


def total(ledger: core.Ledger) -> int:
    ledger.collect(1e9, everything=True)
    return sum(entry.messages for _, entry in ledger.waiting())


def test_a_new_server_finds_what_a_killed_one_left(path: Path) -> None:
    left_behind(path)
    again = core.Ledger(str(path), 2, 10)
    assert (again.durable, again.damaged, total(again)) == (True, False, 7)


def test_a_new_server_finds_what_was_there_when_the_machine_stopped(path: Path) -> None:
    left_behind(path)
    assert core.remove_ledger(str(path))
    again = core.Ledger(str(path), 2, 10)
    assert (again.durable, again.damaged, total(again)) == (True, False, 7)
    again.attach(0)
    again.tally("a", "INVITE", "allow", 100.0)
    again.save()
    assert path.read_text().count("\n") == 3


@pytest.mark.parametrize("size", [0, 1, 40])
def test_a_file_that_somebody_cuts_costs_no_count_and_no_process(path: Path, size: int) -> None:
    ledger = core.Ledger(str(path), 2, 10)
    ledger.attach(1)
    ledger.tally("a", "INVITE", "allow", 100.0)
    ledger.save()
    os.truncate(path, size)
    ledger.tally("a", "INVITE", "allow", 100.0)
    assert total(ledger) == 2
    ledger.save()
    assert "\n2\t" in path.read_text()


def test_two_servers_do_not_share_counts(path: Path) -> None:
    first, second = core.Ledger(str(path), 2, 10), core.Ledger(str(path), 2, 10, 0.1)
    assert (first.durable, second.durable) == (True, False)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    (tmp_path / "ledger").symlink_to(target)
    assert not core.Ledger(str(tmp_path / "ledger"), 2, 10).durable
    assert target.read_bytes() == b"precious"


def test_without_a_file_it_works_all_the_same(tmp_path: Path) -> None:
    ledger = core.Ledger(str(tmp_path / "no" / "ledger"), 2, 10)
    assert not ledger.durable
    ledger.attach(1)
    ledger.tally("a", "INVITE", "allow", 100.0)
    assert len(ledger.collect(120.0)) == 1


@pytest.mark.parametrize("damage", ["cut", "garbage", "bit", "empty", "of the version before"])
def test_a_damaged_file_is_set_aside(path: Path, tmp_path: Path, damage: str) -> None:
    left_behind(path)
    core.remove_ledger(str(path))
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[:-5]
    elif damage == "garbage":
        content = bytearray(random.Random(1).randbytes(len(content)))
    elif damage == "bit":
        content[-9] ^= 1
    elif damage == "empty":
        content = bytearray()
    else:
        content = bytearray(b"sipsvTLY"[::-1].ljust(4096, b"\0"))
    path.write_bytes(content)
    ledger = core.Ledger(str(path), 2, 10)
    assert (ledger.durable, ledger.damaged, total(ledger)) == (True, True, 0)
    assert (tmp_path / "ledger.damaged").read_bytes() == content
    ledger.attach(0)
    ledger.tally("a", "INVITE", "allow", 100.0)
    assert total(ledger) == 1


def test_a_full_disk_keeps_the_file_that_was_there(path: Path) -> None:
    ledger = core.Ledger(str(path), 2, 10)
    ledger.attach(1)
    ledger.save()
    before = path.read_bytes()
    ledger.tally("a", "INVITE", "allow", 100.0)
    os.mkdir(f"{path}.new")
    with pytest.raises(OSError, match="directory"):
        ledger.save()
    os.rmdir(f"{path}.new")
    assert path.read_bytes() == before
    ledger.save()
    assert path.read_bytes() != before


# Together


def test_identities_tell_parts_apart() -> None:
    lists = [(), (b"",), (b"", b""), (b"ab", b"c"), (b"a", b"bc"), (b"abc",), (b"abc\0",), (b"c", b"ab")]
    assert len({core.identity(*parts) for parts in lists}) == len(lists)
    assert core.identity(b"a", b"b") == core.identity(b"a", b"b")
    with pytest.raises(TypeError):
        core.identity("text")


def test_memory_is_shared_with_children(path: Path) -> None:
    memory = core.Memory(1024, str(path), 4, 10)

    def work(number: int) -> None:
        memory.ledger.attach(number)
        memory.ledger.tally("a", "INVITE", "allow", 100.0)
        memory.counts.increase("a", 1)
        memory.retransmissions.copies(core.identity(b"a"), 1.0)
        memory.answered.remember(core.identity(b"a"), 1.0)
        memory.marks.mark(core.identity(b"a"), 2, 1.0)

    in_children(work)
    name = core.identity(b"a")
    assert memory.ledger.durable
    assert memory.damaged == 0
    assert sum(entry.messages for entry in memory.ledger.collect(120.0)) == 4
    assert (memory.counts.get("a", 1), memory.retransmissions.copies(name, 1.0)) == (4, 5)
    assert memory.answered.knows(name, 1.0)
    assert memory.marks.marked(name, 1.0, 9) == 2
