"""The wall clock is set while the server runs: bans keep their length, and nobody is refused for it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from harness import Server, exchange, request, status, wait_for
from sipsieve.abuse.bans import entry
from sipsieve_analysis.operate.rpc import Rpc

POLICY = "[limits.other]\nper_minute = 30\n"


@pytest.mark.parametrize("hours", [2, -2], ids=["forward", "backward"])
def test_bans_keep_their_length_when_the_clock_is_set(tmp_path: Path, hours: int) -> None:
    clock = tmp_path / "clock"
    clock.write_text("+0s\n")
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    environment = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with Server(tmp_path / "server", POLICY, environment=environment) as server:
        rpc = Rpc(str(server.folder / "sipsieve_rpc.fifo"))

        def answered(source: str) -> bool:
            return status(exchange(server, request("OPTIONS"), source=source, seconds=0.3)) == 200

        now = int(time.time())
        for key, length in (("127.10.0.1", 600), ("127.10.0.2", 6)):
            rpc.call("htable.setxs", "sipsieve_bans", key, f"a|manual|{now}|{now + length}|1|x", length)
        assert not answered("127.10.0.1")
        for _ in range(20):
            assert answered("127.10.0.9")
        # The guard looks once a second; what it holds must be what was put.
        wait_for(lambda: server.records("metric"), "a look at the tables")

        clock.write_text(f"{hours * 3600:+d}s\n")
        wait_for(lambda: any(r["event"]["action"] == "clock" for r in server.records("state")), "the step is seen")
        wait_for(lambda: not answered("127.10.0.1"), "the long ban stands")
        one = entry("127.10.0.1", rpc.table("sipsieve_bans")["127.10.0.1"])
        assert one is not None
        assert 560 < one.until - (time.time() + hours * 3600) <= 601
        wait_for(lambda: answered("127.10.0.2"), "the short ban ends when it should", 15)
        assert time.time() - now < 15
        assert all(answered("127.10.0.9") for _ in range(8)), "within the limit before and after"
