"""A server that takes its time is waited for, with words; one that ends is told of at once."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from harness import free_port
from replayer import kamailio
from replayer.kamailio import Process, StartError

#: Binds its port after so many seconds, as a server does that has much to prepare.
SLOW = "import socket,sys,time; time.sleep({0}); s=socket.socket(type=socket.SOCK_DGRAM); s.bind(('127.0.0.1',{1})); time.sleep(60)"


def test_a_slow_start_is_waited_for_with_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kamailio, "PROGRESS", 0.2)
    monkeypatch.setattr(kamailio, "DEADLINE", 0.1)
    port = free_port()
    process = Process([sys.executable, "-c", SLOW.format(1, port)], tmp_path, {}, port, "edge")
    try:
        process.start()
        assert process.alive()
    finally:
        process.stop()
    assert "edge listens" in capsys.readouterr().err


def test_one_that_ends_is_told_of_at_once(tmp_path: Path) -> None:
    process = Process([sys.executable, "-c", "raise SystemExit('no such module')"], tmp_path, {}, free_port(), "edge")
    began = time.monotonic()
    with pytest.raises(StartError, match="no such module"):
        process.start()
    assert time.monotonic() - began < 10
    process.stop()
