"""What `make chaos` says of a late answer is what the machine did: each cause is made, and named."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

import chaos_watch
from harness import wait_for


@pytest.fixture
def watch() -> Iterator[chaos_watch.Watch]:
    with chaos_watch.watched() as watch:
        began = time.monotonic()
        wait_for(lambda: "ms" in watch.between(began, time.monotonic()), "two looks")
        yield watch


def test_a_machine_that_stands_still_is_told_apart(watch: chaos_watch.Watch) -> None:
    began = time.monotonic()
    os.kill(watch.pid, signal.SIGSTOP)
    wait_for(lambda: time.monotonic() - began > 0.6, "more than a retransmission")
    os.kill(watch.pid, signal.SIGCONT)
    seen = wait_for(
        lambda: next((s for s in [watch.between(began, time.monotonic())] if s.get("woken late, ms", 0) > 300), None),
        "that it was woken late",
    )
    assert "machine: woken late" in seen["cause"]


def test_datagrams_that_find_no_room_are_told_apart(watch: chaos_watch.Watch) -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as full,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out,
    ):
        full.bind(("127.0.0.1", 0))
        port = full.getsockname()[1]
        began = time.monotonic()
        wait_for(lambda: watch.between(began, time.monotonic()).get("ms", 0) > 100, "looks before")
        for _ in range(5000):
            out.sendto(b"x" * 1000, ("127.0.0.1", port))
        seen = wait_for(
            lambda: next((s for s in [watch.between(began, time.monotonic())] if s["dropped"].get(str(port))), None),
            "what found no room",
        )
    assert "socket: no room" in seen["cause"]


def test_a_time_that_nobody_watched_has_no_cause(watch: chaos_watch.Watch) -> None:
    assert watch.between(0.0, 1.0) == {"cause": "not seen"}
