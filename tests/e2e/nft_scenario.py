"""Played inside a network namespace by test_bans_outside.py: bans reach the kernel, and are lifted there."""

from __future__ import annotations

import ipaddress
import json
import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import ROOT, Server, exchange, request, status, wait_for
from sipsieve_analysis.operate.rpc import Rpc

SIPSIEVE = str(Path(sys.executable).with_name("sipsieve"))


def elements(name: str) -> list[str]:
    """What stands in one of the sets."""
    out = subprocess.run(["nft", "-j", "list", "set", "inet", "sipsieve", name], capture_output=True, check=True).stdout
    for item in json.loads(out)["nftables"]:
        if "set" in item:
            found = []
            for element in item["set"].get("elem", []):
                value = element["elem"]["val"] if isinstance(element, dict) and "elem" in element else element
                if isinstance(value, dict) and "prefix" in value:
                    value = f"{value['prefix']['addr']}/{value['prefix']['len']}"
                found.append(str(value))
            return found
    return []


def main(folder: Path) -> None:
    """Prints what was measured, as JSON."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["nft", "-f", str(ROOT / "integrations" / "nftables" / "sipsieve.nft")], check=True)
    measured: dict[str, object] = {}
    with Server(folder, port=5060) as server:
        environment = {**os.environ, "SIPSIEVE_RPC": str(folder / "sipsieve_rpc.fifo")}

        def bans(*arguments: str) -> None:
            subprocess.run([SIPSIEVE, "bans", *arguments], env=environment, check=True, capture_output=True)

        # One capability and no other, as the systemd unit has it.
        only = ["setpriv", "--bounding-set", "-all,+net_admin", "--inh-caps", "-all,+net_admin", "--no-new-privs"]
        keeper = subprocess.Popen(
            [*only, SIPSIEVE, "bans", "keep", "--nft", "inet/sipsieve", "--state", str(folder / "bans.json")],
            env=environment,
        )
        try:
            rpc = Rpc(str(folder / "sipsieve_rpc.fifo"))
            wait_for(lambda: (folder / "bans.json").exists(), "the keeper runs")
            assert status(exchange(server, request("OPTIONS"), source="127.5.0.1")) == 200
            now = int(time.time())
            begun = time.monotonic()
            rpc.call("htable.setxs", "sipsieve_bans", "127.5.0.1", f"a|manual|{now}|{now + 600}|1|x", 600)
            wait_for(lambda: elements("banned4") == ["127.5.0.1"], "the ban is in the kernel")
            measured["to_kernel"] = time.monotonic() - begun
            before = int(rpc.table("sipsieve_banned").get("127.5.0.1", 0))
            assert exchange(server, request("OPTIONS"), source="127.5.0.1", seconds=0.3) is None
            measured["reached_kamailio"] = int(rpc.table("sipsieve_banned").get("127.5.0.1", 0)) - before
            bans("remove", "127.5.0.1")
            wait_for(lambda: elements("banned4") == [], "lifted in the kernel")
            assert status(exchange(server, request("OPTIONS"), source="127.5.0.1")) == 200

            rpc.call("htable.setxs", "sipsieve_bans", "127.5.0.2", f"u|limit-malformed|{now}|{now + 600}|1|x", 600)
            wait_for(lambda: elements("banned4_udp") == ["127.5.0.2"], "a ban on datagrams")
            assert exchange(server, request("OPTIONS"), source="127.5.0.2", seconds=0.3) is None
            answer = exchange(server, request("OPTIONS", transport="TCP"), source="127.5.0.2", transport="tcp")
            measured["connection_open"] = status(answer)
            bans("add", "2001:db8:0:1::7")
            wait_for(lambda: elements("banned6") != [], "an IPv6 ban")
            measured["ipv6"] = elements("banned6")
            assert ipaddress.ip_network(elements("banned6")[0]).prefixlen == 64

            # A ban that runs out goes by itself; one that others took from the sets comes back.
            end = int(time.time()) + 2
            rpc.call("htable.setxs", "sipsieve_bans", "127.5.0.3", f"a|manual|{now}|{end}|1|x", 2)
            wait_for(lambda: "127.5.0.3" in elements("banned4"), "a short ban")
            wait_for(lambda: "127.5.0.3" not in elements("banned4"), "its end")
            subprocess.run([SIPSIEVE, "bans", "flush"], env=environment, check=True, capture_output=True)
            wait_for(lambda: not elements("banned4_udp") and not elements("banned6"), "flushed in the kernel")
        finally:
            keeper.terminate()
            measured["keeper"] = keeper.wait(10)
    print(json.dumps(measured))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
