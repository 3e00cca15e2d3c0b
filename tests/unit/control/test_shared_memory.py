"""The memory that workers share, and the ledger's file in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sipsieve._core import remove_ledger
from sipsieve.control.shared_memory import Shared


@pytest.fixture(autouse=True)
def given_back(tmp_path: Path) -> Iterator[None]:
    """The memory outlives this process, as it should outlive a server."""
    yield
    remove_ledger(str(tmp_path / "log.ledger"))


def test_counts_outlive_the_server(tmp_path: Path) -> None:
    path = str(tmp_path / "log.ledger")
    child = os.fork()
    if not child:
        first = Shared(10, path)
        first.ledger.attach(1)
        first.ledger.tally("192.0.2.1", "INVITE", "allow", 100.0)
        os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    second = Shared(10, path)
    assert second.durable
    assert sum(entry.messages for entry in second.ledger.collect(101.0, everything=True)) == 1


def test_two_servers_do_not_share_a_file(tmp_path: Path) -> None:
    path = str(tmp_path / "log.ledger")
    first, second = Shared(10, path), Shared(10, path)
    assert (first.durable, second.durable) == (True, False)


def test_without_a_file_it_works_all_the_same(tmp_path: Path) -> None:
    made = Shared(10, str(tmp_path / "no" / "log.ledger"))
    assert not made.durable
    made.ledger.attach(1)
    made.ledger.tally("a", "INVITE", "allow", 100.0)
    assert len(made.ledger.collect(120.0)) == 1


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    (tmp_path / "log.ledger").symlink_to(target)
    assert not Shared(10, str(tmp_path / "log.ledger")).durable
    assert target.read_bytes() == b"precious"


def test_a_file_of_another_size_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "log.ledger"
    path.write_bytes(b"x" * 100)
    made = Shared(10, str(path))
    assert made.durable
    assert made.ledger.collect(100.0, everything=True) == []
