"""The compiled part's tables in shared memory: exact across processes, bounded, and free when their time is over."""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path

from sipsieve import native


def test_counters_are_exact_across_processes() -> None:
    memory = mmap.mmap(-1, 64 * 64)
    counts = native.module.Counts(memory)
    children = []
    for _ in range(4):
        pid = os.fork()
        if not pid:
            for number in range(40_000):
                counts.increase(f"cell:{number % 40}", 7)
            os._exit(0)
        children.append(pid)
    for pid in children:
        assert os.waitpid(pid, 0)[1] == 0
    assert [counts.get(f"cell:{number}", 7) for number in range(40)] == [4000] * 40


def test_of_copies_that_all_workers_see_at_once_one_is_the_first() -> None:
    # Each has a place of its own.
    messages = 50_000
    table = memoryview(mmap.mmap(-1, 16 * 65536)).cast("Q")
    ends = [os.pipe() for _ in range(4)]
    for _, write in ends:
        if not os.fork():
            firsts = sum(native.module.copies(table, number + 1, 5) == 1 for number in range(messages))
            os.write(write, struct.pack("=Q", firsts))
            os._exit(0)
    firsts = sum(struct.unpack("=Q", os.read(read, 8))[0] for read, _ in ends)
    for ends_of in ends:
        os.wait()
        os.close(ends_of[0])
        os.close(ends_of[1])
    assert firsts == messages
    assert [native.module.copies(table, 1, 5) for _ in range(2)] == [5, 6]


def test_a_copy_counts_anew_after_a_transaction_s_life() -> None:
    table = memoryview(mmap.mmap(-1, 16 * 64)).cast("Q")
    assert [native.module.copies(table, 9, now) for now in (5, 5, 37, 38, 4)] == [1, 2, 3, 1, 1]


def test_a_counter_lives_for_its_window_and_the_next() -> None:
    counts = native.module.Counts(mmap.mmap(-1, 4096))
    assert [counts.increase("a", 255) for _ in range(3)] == [1, 2, 3]
    assert counts.get("a", 256) == 3
    assert counts.get("a", 257) == 0
    assert counts.increase("a", 257) == 1
    assert counts.get("b", 257) == 0
    counts.forget()
    assert counts.get("a", 257) == 0


def test_where_no_place_is_left_a_counter_says_so() -> None:
    counts = native.module.Counts(mmap.mmap(-1, 64))
    given_out = [name for name in map(str, range(100)) if counts.increase(name, 1)]
    assert len(given_out) == 8
    assert counts.increase("one more", 1) == 0
    assert all(counts.increase(name, 1) == 2 for name in given_out)
    assert counts.increase("one more", 3) == 1, "places whose window is over are free"


def test_a_late_writer_leaves_the_next_window_alone() -> None:
    counts = native.module.Counts(mmap.mmap(-1, 64))
    assert [counts.increase("new", 11) for _ in range(5)][-1] == 5
    assert counts.increase("late", 10) == 1
    assert counts.get("new", 11) == 5


def test_layouts_go_with_their_last_shape() -> None:
    """Messages of ever other lengths once left a layout each behind."""
    table = native.module.KnownShapes(lambda *_: None, lambda *_: None, [], [], [], native.SECRET, 16, 8)

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")

    for number in range(60_000):
        if number == 2_000:
            before = resident()
        length = 400 + number % 20_000
        spans = [(at, at + 1) for at in range(1, 300, 2)]
        table.learn(b"x" * length, spans, [(310, 311)], [(310, 312)], False, None, None)
    assert len(table) == 16
    assert resident() - before < 4 << 20


def test_a_counter_stops_at_its_most() -> None:
    memory = mmap.mmap(-1, 64)
    counts = native.module.Counts(memory)
    counts.increase("a", 1)
    words = struct.unpack("=8Q", memory[:64])
    place = next(number for number, word in enumerate(words) if word)
    memory[place * 8 : place * 8 + 8] = struct.pack("=Q", words[place] + 0xFFFFFD)
    assert [counts.increase("a", 1) for _ in range(3)] == [0xFFFFFF, 0xFFFFFF, 0xFFFFFF]
