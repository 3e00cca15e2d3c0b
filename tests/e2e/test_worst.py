"""The dearest messages that anybody can send keep no worker of a real Kamailio from the next call."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import Server, exchange, final, invite, peer, request

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "bench"))

from worst_case import AFTER, HEAD, PIECES, TAIL, message

#: A call is answered in a millisecond; a busy machine may take longer. One message once took 19 seconds.
SECONDS = 2.0

WORST = {
    "spaces in a first line that is none": b"INVITE" + b" " * 2000 + b"x\r\n" + AFTER,
    "a long first line of spaces": b"INVITE" + b" " * 60000 + b"x SIP/2.0\r\n" + AFTER,
    "spaces before a status": b"SIP/2.0" + b" " * 2000 + b"2\r\n" + AFTER,
    "a run of spaces before a fold": HEAD + b"X: a" + b" " * 60000 + b"b\r\n c" + TAIL,
    "spaces within a Call-ID": HEAD.replace(b"x@y", b"x" + b" " * 50000 + b"y") + TAIL,
    "comments that never end": message("user-agent", b"/* ", 60000),
    "dashes round a boundary": HEAD + b"Content-Type: multipart/mixed" + b";boundary=" * 40 + b"-" * 210 + b"'" + TAIL,
    "thousands of text lines": message("sdp", PIECES["digits"], 60000),
    "empty lines of a body": message("many lines", b"\n", 60000),
    "a header name of 60,000 bytes": message("header name", PIECES["accents"], 60000),
    "parameters of From": message("from", PIECES["semicolons"], 60000),
    "many header fields": message("short fields", PIECES["or"], 60000),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("worst"), "[limits]\nenabled = false\n") as running:
        yield running


@pytest.mark.parametrize("name", WORST)
def test_the_next_call_is_answered(server: Server, name: str) -> None:
    # As many as there are workers, and more.
    with peer("127.0.0.1", server.port, source="127.8.0.1") as attacker:
        for _ in range(12):
            attacker.send(WORST[name])
        begun = time.monotonic()
        assert final(server, invite(), source="127.8.0.2").startswith(b"SIP/2.0 200 ")
        assert exchange(server, request("OPTIONS"), source="127.8.0.2") is not None
        assert time.monotonic() - begun < SECONDS
    server.assert_healthy()
