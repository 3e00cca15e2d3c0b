"""Played inside a network namespace by test_partition.py: the network between two nodes of a cluster is cut and mended."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from test_cluster import Node

from chaos_surroundings import severed
from harness import invite, peer, wait_for

#: Seconds for which kamailio.cfg has a request sent again (tm's `fr_timer`), and with that a ban.
GIVEN_UP = 10.0

#: Seconds after which a node that Kamailio's DMQ took from its list for want of an answer is on it again: it asks every minute.
ASKED_AGAIN = 100.0

#: How often each node is asked during the cut, at most.
ROUNDS = 150

#: Who offends during the cut, on each side so many; and how often, more than a ban needs.
OFFENDERS, OFFENCES = 150, 12
FROM = '"\' or 1=1--" <sip:mallory@example.com>;tag=1'


def offend(nodes: list[Node]) -> set[str]:
    """Has that many addresses banned by each node, and returns all."""
    banned = set()
    for index, node in enumerate(nodes):
        sources = {f"127.4.{100 + index}.{number}" for number in range(1, OFFENDERS + 1)}
        until = time.monotonic() + 30
        while missing := sources - node.listed():
            assert time.monotonic() < until, f"{len(missing)} are not banned by {node.address}"
            with ExitStack() as stack:
                sockets = [
                    stack.enter_context(peer("127.0.0.1", node.server.port, source=source)) for source in missing
                ]
                for _ in range(OFFENCES):
                    for sock in sockets:
                        sock.send(invite(from_=FROM))
                    # The next round once this one was looked at: a server's socket holds a few hundred.
                    node.answers("127.4.99.1", 2)
        banned |= sources
    return banned


def main(folder: Path) -> None:
    """Prints what was measured, as JSON."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    nodes = [Node(folder, index, 5060) for index in range(2)]
    measured: dict[str, object] = {}
    try:
        for node in nodes:
            node.server.start()

        def joined() -> bool:
            nodes[0].bans("add", "127.4.0.1")
            return "127.4.0.1" in nodes[1].listed()

        wait_for(joined, "the nodes found each other", 40)

        # A cut so short that what was made during it is still sent again at its end.
        with severed():
            began = time.monotonic()
            late = offend(nodes)
            measured["short"] = [len(late & node.listed()) for node in nodes]
        mended = time.monotonic()
        assert mended - began < GIVEN_UP, "the short cut was too long for what it is to show"
        wait_for(lambda: all(late <= node.listed() for node in nodes), "the bans of a short cut on both nodes", 40)
        measured["caught_up"] = time.monotonic() - mended

        # One so long that it is not, and that the nodes may take each other from their lists.
        with severed():
            early = {"127.4.7.1", "127.4.7.2"}
            nodes[0].bans("add", "127.4.7.1", "--for", "10m")
            nodes[1].bans("add", "127.4.7.2", "--for", "10m")
            # From the last of them on: a command takes seconds on a busy machine.
            began = time.monotonic()
            served, refused, asked = 0, 0, 0
            while (passed := time.monotonic() - began) < GIVEN_UP:
                # Spread over the cut, so that a quick machine stays below `[limits] capacity`, above which addresses share counters
                # and nobody is banned.
                if asked > passed / GIVEN_UP * 2 * ROUNDS:
                    time.sleep(0.01)
                    continue
                for node in nodes:
                    asked += 1
                    served += node.answers(f"127.4.8.{asked % 200 + 1}", 2)
                    # From ever new addresses: none is banned for it, whatever the machine's speed.
                    refused += node.refuses(invite(from_=FROM), f"127.4.{9 + asked // 200}.{asked % 200 + 1}")
            measured |= {"asked": asked, "served": served, "refused": refused}
            # Each node knows its own ban and what was banned before, and not the other's.
            measured["apart"] = [sorted(node.listed() - late) for node in nodes]
            measured["alive_apart"] = [node.server.alive() for node in nodes]

        # What was made longer ago than it is sent again: nobody says a word, each node tells the other by itself.
        mended = time.monotonic()
        wait_for(lambda: all(early <= node.listed() for node in nodes), "what a long cut kept back", ASKED_AGAIN)
        measured["made_up"] = time.monotonic() - mended

        # The one may have heard all of the other before it noticed that the other had not heard it; and a node may have told what it
        # had after the short cut, too, which is not all.
        def told() -> list[list[int]]:
            return [[record["bans"] for record in node.records("announce")] for node in nodes]

        wait_for(
            lambda: all(max(counts, default=0) > 2 * OFFENDERS for counts in told()),
            "each tells its bans again",
            ASKED_AGAIN,
        )
        measured["told"] = told()

        again = time.monotonic()
        nodes[1].bans("add", "127.4.7.3")
        wait_for(lambda: "127.4.7.3" in nodes[0].listed(), "a new ban")
        measured["new_ban"] = time.monotonic() - again
        measured["alive"] = [node.server.alive() for node in nodes]
    finally:
        for node in nodes:
            node.server.stop()
    print(json.dumps(measured))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
