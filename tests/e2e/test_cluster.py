"""Three real nodes that share bans over DMQ, and strangers who try to speak with them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import Server, exchange, free_port, peer, request, status, wait_for
from proofs import calls, registrar
from sipsieve_analysis.operate.running import Running

POLICY = "[bans]\nseconds = [60]\nearned_minutes = 1\n"

#: Each node's own address, so that the list of nodes can tell them from strangers.
ADDRESSES = ("127.0.0.11", "127.0.0.12", "127.0.0.13")


class Node:
    """One server of the cluster: SIP on a port of loopback, DMQ on its own address."""

    def __init__(self, folder: Path, index: int, port: int, backend: str = "none") -> None:
        self.address = ADDRESSES[index]
        self.port = port
        others = [address for address in ADDRESSES if address != self.address]
        self.server = Server(
            folder / self.address,
            POLICY,
            backend=backend,
            workers=2,
            environment={
                "SIPSIEVE_DMQ": f"sip:{self.address}:{port}",
                "SIPSIEVE_DMQ_LISTEN": f"udp:{self.address}:{port}",
                "SIPSIEVE_DMQ_PORT": str(port),
                "SIPSIEVE_DMQ_PEER": f"sip:{others[0]}:{port}",
                "SIPSIEVE_DMQ_PEER2": f"sip:{others[1]}:{port}",
                "SIPSIEVE_DMQ_NODES": " ".join(f"{address}:{port}" for address in others),
            },
        )

    def bans(self, *arguments: str) -> str:
        """`sipsieve bans …` on this node."""
        done = subprocess.run(
            [str(Path(sys.executable).with_name("sipsieve")), "bans", *arguments],
            env={**os.environ, "SIPSIEVE_RPC": str(self.server.folder / "sipsieve_rpc.fifo")},
            capture_output=True, text=True, timeout=20, check=True,
        )  # fmt: skip
        return done.stdout

    def answers(self, source: str, seconds: float = 0.2) -> bool:
        return status(exchange(self.server, request("OPTIONS"), source=source, seconds=seconds)) == 200

    def refuses(self, message: bytes, source: str) -> bool:
        return status(exchange(self.server, message, source=source, seconds=2)) == 403

    def records(self, action: str) -> list[dict[str, Any]]:
        """What this node has on record of that, about itself."""
        return [one["event"] for one in self.server.records("state") if one["event"]["action"] == action]

    def listed(self) -> set[str]:
        return {ban["source"] for ban in json.loads(self.bans("list", "--json"))}


@pytest.fixture(scope="module")
def backend() -> Iterator[str]:
    with registrar() as running:
        yield running.uri


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory, backend: str) -> Iterator[list[Node]]:
    folder = tmp_path_factory.mktemp("cluster")
    port = free_port(ADDRESSES[0])
    started = [Node(folder, index, port, backend) for index in range(3)]
    try:
        for node in started:
            node.server.start()

        # A ban that reaches everybody shows that the nodes found each other.
        def joined() -> bool:
            started[0].bans("add", "127.4.0.1")
            return all("127.4.0.1" in node.listed() for node in started)

        wait_for(joined, "the nodes found each other", 40)
        started[0].bans("flush")
        yield started
    finally:
        for node in started:
            node.server.stop()


def everywhere(nodes: list[Node], source: str, banned: bool) -> float:
    """Seconds until all nodes drop, or answer, that source."""
    begun = time.monotonic()
    wait_for(lambda: all(node.answers(source) is not banned for node in nodes), f"{source} everywhere", 10)
    return time.monotonic() - begun


def test_a_ban_and_its_end_reach_all_nodes_within_two_seconds(nodes: list[Node]) -> None:
    nodes[1].bans("add", "127.4.1.1", "--for", "10m")
    assert everywhere(nodes, "127.4.1.1", True) < 2
    nodes[2].bans("remove", "127.4.1.1")
    assert everywhere(nodes, "127.4.1.1", False) < 2


def test_flush_on_one_node_frees_on_all(nodes: list[Node]) -> None:
    sources = [f"127.4.2.{n}" for n in range(1, 6)]
    for source in sources:
        nodes[0].bans("add", source)
    everywhere(nodes, sources[-1], True)
    nodes[1].bans("flush")
    for source in sources:
        everywhere(nodes, source, False)


def test_a_ban_for_an_offence_spreads(nodes: list[Node]) -> None:
    for _ in range(30):
        exchange(nodes[0].server, b"INVITE sip:x SIP/2.0\r\nVia: ?\r\nX\r\n\r\n" + b"." * 40, source="127.4.3.1", seconds=0.01)  # fmt: skip
    assert everywhere(nodes, "127.4.3.1", True) < 2


def test_standing_that_is_earned_or_lost_at_one_node_is_so_at_all(nodes: list[Node]) -> None:
    def credit(node: Node, source: str) -> int:
        answered = Running(str(node.server.folder / "sipsieve_rpc.fifo")).ask("source", ip=source)
        return int(answered["standing"]["credit"])

    calls(nodes[0].server, "127.4.8.1")
    wait_for(lambda: all(credit(node, "127.4.8.1") for node in nodes), "the others heard of it", 15)
    # Datagrams in its name ban it nowhere; over connections nobody else can have sent them.
    garbage = b"INVITE sip:x SIP/2.0\r\nVia: ?\r\nContent-Length: 0\r\n\r\n" + b"." * 40
    for _ in range(30):
        exchange(nodes[1].server, garbage, source="127.4.8.1", seconds=0.01)
    assert all(node.answers("127.4.8.1") for node in nodes)
    for _ in range(30):
        exchange(nodes[2].server, garbage, source="127.4.8.1", transport="tcp", seconds=0.01)
    wait_for(lambda: not any(credit(node, "127.4.8.1") for node in nodes), "the others heard that it is lost", 15)


def kdmq(node: Node, body: bytes, source: str, source_port: int = 0) -> None:
    """Speaks to a node's DMQ socket as a stranger."""
    message = request(
        "KDMQ", uri=f"sip:htable@{node.address}:{node.port}", from_=f"<sip:htable@{source}>;tag=1",
        to=f"<sip:htable@{node.address}:{node.port}>", headers=("Content-Type: application/json",), body=body,
        via=f"Via: SIP/2.0/UDP {source}:5060;branch=z9hG4bKx",
    )  # fmt: skip
    with peer(node.address, node.port, source=source, source_port=source_port) as sock:
        sock.send(message)


#: As nodes write it to each other: set a cell.
FORGED = (
    b'{"action":2,"htname":"sipsieve_bans","cname":"127.4.4.1","type":2,"strval":"a|manual|1|4000000000|1|x","mode":1}'
)


@pytest.mark.parametrize("body", [
    FORGED,
    b"{}", b"", b"[]", b"{", b'{"cells":1}', b'{"action":"x"}',
])  # fmt: skip
def test_a_stranger_changes_and_crashes_nothing(nodes: list[Node], body: bytes) -> None:
    # From a foreign address, from a node's address with another port, and to the socket for everybody.
    kdmq(nodes[0], body, "127.4.4.9")
    kdmq(nodes[0], body, nodes[1].address)
    exchange(nodes[0].server, request("KDMQ", uri="sip:htable@127.0.0.1", body=body), source="127.4.4.9", seconds=0.1)
    # A ban would last for longer than this waits.
    everywhere(nodes[:1], "127.4.4.1", False)
    assert nodes[0].server.alive()
    everywhere(nodes, "127.4.4.2", False)


def test_the_same_words_from_a_listed_node_would_have_banned(nodes: list[Node]) -> None:
    # The control for the test above: the forged ban is well made, and only its sender was wrong.
    nodes[1].server.stop()
    kdmq(nodes[0], FORGED, nodes[1].address, nodes[1].port)
    wait_for(lambda: not nodes[0].answers("127.4.4.1"), "the ban")
    nodes[1].server.start()
    nodes[0].bans("remove", "127.4.4.1")


def test_what_strangers_sent_is_counted(nodes: list[Node]) -> None:
    def total() -> int:
        records = [r for r in nodes[0].server.records("metric") if r["source"]["ip"] == "0.0.0.0"]
        return sum(r["event"]["count"] for r in records if r["event"]["action"] == "banned")

    def dropped() -> int:
        return int(nodes[0].server.rpc("htable.get", "sipsieve_banned", "0.0.0.0")["item"]["value"])

    # What the tests above sent may still be on its way into the log, and comes in one record with this one.
    before = dropped()
    kdmq(nodes[0], b"{}", "127.4.5.9")
    wait_for(lambda: dropped() == before + 1, "the dropped KDMQ")
    wait_for(lambda: total() == before + 1, "all dropped KDMQs in the log")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["stop", "kill-9"])
def test_a_node_that_was_down_catches_up(nodes: list[Node], how: signal.Signals) -> None:
    source = f"127.4.6.{int(how)}"
    nodes[2].server.stop(how)
    nodes[0].bans("add", source, "--for", "10m")
    nodes[2].server.start()
    everywhere(nodes, source, True)
    nodes[2].bans("remove", source)
    everywhere(nodes, source, False)
