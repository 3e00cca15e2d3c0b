"""What stands beside the server that `make chaos` troubles: who keeps its bans, and another node of its cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from harness import Server
from sipsieve.abuse.bans import Entry
from sipsieve_analysis.operate import banlist
from sipsieve_analysis.operate.rpc import Rpc, RpcError

#: The two nodes' sockets for each other, the troubled server's first.
NODES = ("127.0.0.11", "127.0.0.12")
PORT = 5062

#: Both directions between the two nodes, and nothing else.
CUT = f"""table inet cut {{
  chain input {{
    type filter hook input priority 0;
    ip saddr {NODES[0]} ip daddr {NODES[1]} drop
    ip saddr {NODES[1]} ip daddr {NODES[0]} drop
  }}
}}
"""

#: Seconds that a ban may take to the other node, with half a minute's doubt about who is there.
HEARD = 60.0


class Tolerant(Server):
    """Its log may have half lines, where the disk was full in the middle of one: the record is then counted, not written."""

    def records(self, kind: str = "event", *more: Path, current: bool = True) -> list[dict[str, Any]]:
        """Whole lines that are JSON, of one `event.kind`, "" for all; of further logs, and of the current one."""
        found = []
        for path in (*more, *([self.log] if current else ())):
            for line in path.read_bytes().split(b"\n")[:-1] if path.is_file() else ():
                try:
                    record = json.loads(line)
                except ValueError:
                    continue
                if not kind or record["event"]["kind"] == kind:
                    found.append(record)
        return found


def rpc_of(server: Server) -> Rpc:
    """The way into that server."""
    return Rpc(str(server.folder / "sipsieve_rpc.fifo"))


@contextmanager
def kept_bans(server: Server, state: Path) -> Iterator[None]:
    """`sipsieve bans keep` beside the server; it must outlive whatever is done to that."""
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("sipsieve")), "bans", "keep", "--state", str(state)],
        env={**os.environ, "SIPSIEVE_RPC": str(server.folder / "sipsieve_rpc.fifo")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def membership(node: int) -> dict[str, str]:
    """The environment that makes a server one of the two nodes."""
    own, other = NODES[node], NODES[1 - node]
    return {
        "SIPSIEVE_DMQ": f"sip:{own}:{PORT}",
        "SIPSIEVE_DMQ_LISTEN": f"udp:{own}:{PORT}",
        "SIPSIEVE_DMQ_PORT": str(PORT),
        "SIPSIEVE_DMQ_PEER": f"sip:{other}:{PORT}",
        "SIPSIEVE_DMQ_NODES": f"{other}:{PORT}",
    }


@contextmanager
def severed() -> Iterator[None]:
    """The network between the two nodes is cut meanwhile."""
    subprocess.run(["nft", "-f", "-"], input=CUT, text=True, check=True)
    try:
        yield
    finally:
        subprocess.run(["nft", "delete", "table", "inet", "cut"], check=True)


def hears(speaker: Server, listener: Server, source: str) -> bool:
    """Whether a ban on one node is in force on the other before `HEARD` is over. It is made once more each few seconds,
    as the two may not have found each other yet after a start."""
    until = time.monotonic() + HEARD
    while time.monotonic() < until:
        now = int(time.time())
        entry = Entry(source, "manual", now, now + 4 * 3600, reason="chaos")
        with suppress(RpcError):
            rpc_of(speaker).call("htable.setxs", banlist.BANS, source, entry.value, 600)
            again = time.monotonic() + 5
            while time.monotonic() < again:
                if source in rpc_of(listener).table(banlist.BANS):
                    return True
                time.sleep(0.2)
    return False
