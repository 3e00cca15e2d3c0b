"""Played inside a network namespace by test_partition.py: the network between two nodes of a cluster is cut and mended."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from test_cluster import ADDRESSES, Node

from harness import invite, wait_for

#: Both directions between the two nodes, and nothing else.
CUT = f"""table inet cut {{
  chain input {{
    type filter hook input priority 0;
    ip saddr {ADDRESSES[0]} ip daddr {ADDRESSES[1]} drop
    ip saddr {ADDRESSES[1]} ip daddr {ADDRESSES[0]} drop
  }}
}}
"""

#: Seconds for which the network is cut: within the life of a transaction (RFC 3261 17.1.2.2), so that what was sent is sent again.
APART = 6.0


def nft(*arguments: str, said: str = "") -> None:
    subprocess.run(["nft", *arguments], input=said, text=True, check=True)


def main(folder: Path) -> None:
    """Prints what was measured, as JSON."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    nodes = [Node(folder, index, 5060) for index in range(2)]
    measured: dict[str, object] = {}
    hostile = invite(from_='"\' or 1=1--" <sip:mallory@example.com>;tag=1')
    try:
        for node in nodes:
            node.server.start()

        def joined() -> bool:
            nodes[0].bans("add", "127.4.0.1")
            return "127.4.0.1" in nodes[1].listed()

        wait_for(joined, "the nodes found each other", 40)

        nft("-f", "-", said=CUT)
        began = time.monotonic()
        nodes[0].bans("add", "127.4.7.1", "--for", "10m")
        nodes[1].bans("add", "127.4.7.2", "--for", "10m")
        served, refused, asked = 0, 0, 0
        while time.monotonic() - began < APART:
            for node in nodes:
                asked += 1
                served += node.answers(f"127.4.8.{asked % 200 + 1}", 2)
                # From ever new addresses: none is banned for it, whatever the machine's speed.
                refused += node.refuses(hostile, f"127.4.{9 + asked // 200}.{asked % 200 + 1}")
        measured |= {"asked": asked, "served": served, "refused": refused}
        # Each node knows its own ban and what was banned before, and not the other's.
        measured["apart"] = [sorted(node.listed()) for node in nodes]
        measured["alive_apart"] = [node.server.alive() for node in nodes]

        nft("delete", "table", "inet", "cut")
        mended = time.monotonic()
        wait_for(
            lambda: all({"127.4.7.1", "127.4.7.2"} <= node.listed() for node in nodes), "both bans on both nodes", 40
        )
        measured["caught_up"] = time.monotonic() - mended
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
