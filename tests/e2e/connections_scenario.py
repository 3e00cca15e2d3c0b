"""Played inside a network namespace by test_bans_outside.py: one address that opens connections does not shut the others out."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import ROOT, Server, exchange, request, status

#: Fewer than Kamailio's 2,048, so that the scenario takes seconds; more than one address may have.
MOST = 200


def main(folder: Path) -> None:
    """Prints how many connections each address got, and whether a customer was answered, as JSON."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    config = folder / "kamailio.cfg"
    text = (ROOT / "kamailio.cfg").read_text().replace("kemi/sipsieve.cfg", str(ROOT / "kemi" / "sipsieve.cfg"))
    config.write_text(text.replace("auto_aliases=no", f"auto_aliases=no\ntcp_max_connections={MOST}", 1))
    measured: dict[str, object] = {}
    with Server(folder / "server", config=config, port=5060) as server:
        # Each round has an address of its own: connections of the first one that are still being closed count as its own.
        for name, address in (("without", "127.8.0.1"), ("with", "127.8.0.3")):
            if name == "with":
                subprocess.run(["nft", "-f", str(ROOT / "integrations" / "nftables" / "sipsieve.nft")], check=True)
            with ExitStack() as held:
                opened = 0
                for _ in range(MOST + 20):
                    try:
                        idle = socket.create_connection(("127.0.0.1", 5060), 1, source_address=(address, 0))
                    except OSError:
                        continue
                    opened += 1
                    held.enter_context(idle)
                answer = exchange(
                    server, request("OPTIONS", transport="TCP"), source="127.8.0.2", transport="tcp", seconds=2
                )
                measured[name] = {"opened": opened, "customer": status(answer)}
    print(json.dumps(measured))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
