"""Retransmissions are told from new messages, in fixed memory."""

from __future__ import annotations

import pytest

from sipsieve.retransmission import TRANSACTION, RetransmissionFilter


def test_copies_count_up_within_a_transaction() -> None:
    table = RetransmissionFilter(bytearray(RetransmissionFilter.bytes_for(64)))
    assert [table.copies(7, 100.0 + n) for n in range(4)] == [1, 2, 3, 4]
    assert table.copies(8, 100.0) == 1
    assert table.copies(7, 100.0 + TRANSACTION + 1) == 1, "a transaction later it is a new message"


def test_workers_share_the_table() -> None:
    buffer = bytearray(RetransmissionFilter.bytes_for(64))
    assert RetransmissionFilter(buffer).copies(7, 1.0) == 1
    assert RetransmissionFilter(buffer).copies(7, 1.0) == 2


def test_of_two_on_one_slot_the_later_wins() -> None:
    table = RetransmissionFilter(bytearray(RetransmissionFilter.bytes_for(1)))
    assert [table.copies(n, 1.0) for n in (1, 2, 1)] == [1, 1, 1]


@pytest.mark.parametrize("identity", [0, -1, 2**70, -(2**63)])
def test_any_hash_fits(identity: int) -> None:
    table = RetransmissionFilter(bytearray(RetransmissionFilter.bytes_for(8)))
    assert table.copies(identity, 1.0) in (1, 2)
    assert table.copies(identity, 2.0) >= 2


def test_a_clock_that_is_set_back_makes_no_retransmission() -> None:
    table = RetransmissionFilter(bytearray(RetransmissionFilter.bytes_for(8)))
    table.copies(7, 1000.0)
    assert table.copies(7, 10.0) == 1


def test_a_buffer_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="holds no slot"):
        RetransmissionFilter(bytearray(3))
