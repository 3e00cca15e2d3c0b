"""Dialogs are remembered for a time, and the table never grows."""

from __future__ import annotations

import pytest

from sipsieve.answered import LIFE, Answered


def test_a_dialog_is_known_from_its_answer_to_the_end_of_its_life() -> None:
    table = Answered(bytearray(Answered.bytes_for(64)))
    assert not table.knows(7, 100.0)
    table.remember(7, 100.0)
    assert table.knows(7, 100.0)
    assert table.knows(7, 100.0 + LIFE)
    assert not table.knows(7, 101.0 + LIFE)
    table.remember(7, 200.0 + LIFE)
    assert table.knows(7, 200.0 + LIFE)


def test_the_oldest_makes_room_and_no_other() -> None:
    buffer = bytearray(Answered.bytes_for(8))
    table = Answered(buffer)
    for number in range(1, 9):
        table.remember(number, float(number))
    table.remember(99, 9.0)
    assert not table.knows(1, 9.0)
    assert all(table.knows(number, 9.0) for number in (*range(2, 9), 99))
    assert len(buffer) == Answered.bytes_for(8)


def test_a_dialog_answered_again_takes_no_second_place() -> None:
    table = Answered(bytearray(Answered.bytes_for(8)))
    for _ in range(20):
        table.remember(5, 1.0)
    for number in range(10, 17):
        table.remember(number, 2.0)
    assert table.knows(5, 2.0)


def test_a_buffer_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="holds no"):
        Answered(bytearray(16))
