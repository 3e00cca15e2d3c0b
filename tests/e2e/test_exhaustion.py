"""A real server whose shared or private memory is used up: it goes on, decides as ever, and recovers by itself."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend import Backend, answer
from harness import Server, exchange, invite, peer, request, status, wait_for

CALLER, STRANGER = "127.18.0.1", "127.18.0.2"

POLICY = f"""[log]
summary_seconds = 1
[network]
trusted = ["{CALLER}"]
[bans]
enabled = false
"""
HOSTILE = '"\' or 1=1--" <sip:mallory@example.com>;tag=1'

#: Megabytes of shared and of private memory: little more than the server needs to start.
SHARED, PRIVATE = "16", "4"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """What stands behind answers OPTIONS and no INVITE, so that each call holds its memory until the server gives it up."""

    def script(message: bytes) -> list[bytes]:
        return [answer(message)] if message.startswith(b"OPTIONS ") else []

    with (
        Backend(script) as backend,
        Server(
            tmp_path_factory.mktemp("exhaustion"), POLICY, backend=backend.uri, workers=2,
            arguments=("-m", SHARED, "-M", PRIVATE),
        ) as running,
    ):  # fmt: skip
        yield running


def free(server: Server) -> int:
    """Bytes of shared memory that are left. Kamailio 6.0 tells of a little less than nothing as of 2^64 less that."""
    told = int(server.rpc("core.shmmem")["free"])
    return told if told < 1 << 63 else 0


def attacked(server: Server, number: int) -> int:
    return status(exchange(server, invite(from_=HOSTILE, call_id=f"hostile-{number}"), source=STRANGER, seconds=3))


def accounted(server: Server, source: str) -> int:
    """Messages of a source that records tell of."""
    found = [
        r for r in (*server.records("event"), *server.records("metric")) if r.get("source", {}).get("ip") == source
    ]
    return sum(record["event"].get("count", 1) for record in found)


def test_calls_that_use_up_shared_memory_stop_no_decision_and_it_comes_back(server: Server) -> None:
    assert status(exchange(server, request("OPTIONS"), source=CALLER)) == 200
    before = free(server)
    sent = 0
    padding = tuple(f"X-Pad-{number}: {'x' * 400}" for number in range(30))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((CALLER, 0))
        refused = False
        while not refused and sent < 5000:
            for _ in range(20):
                sock.sendto(invite(headers=padding), ("127.0.0.1", server.port))
                sent += 1
            # One that can't be taken care of for want of memory is refused by Kamailio itself.
            refused = status(exchange(server, request("OPTIONS"), source=CALLER, seconds=1)) != 200
    assert refused and sent > 100, "memory was used up"
    assert free(server) < before / 4
    answered = [attacked(server, number) for number in range(20)]
    assert set(answered) <= {0, 403} and answered.count(403) >= 18, "no attack passes, with or without memory"
    assert server.alive()
    wait_for(lambda: accounted(server, STRANGER) >= 20, "each attack is accounted for")
    assert accounted(server, STRANGER) == 20
    # Kamailio gives the calls up after half a minute, and their memory with them.
    wait_for(lambda: free(server) > before * 0.8, "the memory comes back", 90)
    assert status(exchange(server, request("OPTIONS"), source=CALLER)) == 200


def test_messages_that_use_up_private_memory_end_no_process(server: Server) -> None:
    workers = server.children()
    # Each header field takes a piece of a worker's memory while the message is looked at.
    big = request("OPTIONS", headers=("a:b",) * 12_900)
    assert 50_000 < len(big) < 65_507
    for number in range(20):
        with peer("127.0.0.1", server.port, source=CALLER) as phone:
            phone.send(big)
        assert attacked(server, 100 + number) == 403
    assert server.children() == workers
    # Kamailio 6.0 reads none that is longer than `msg_recv_max_size`, 32,767 bytes, and says so.
    said = server.text()
    assert "could not allocate private memory" in said or "read message too large" in said
    assert status(exchange(server, request("OPTIONS"), source=CALLER)) == 200


def test_too_little_memory_to_start_is_said(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        Server(tmp_path, POLICY, arguments=("-m", "2")).start()
