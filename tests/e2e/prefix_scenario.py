"""Played inside a network namespace by test_limits_prefix.py: one host of a network misbehaves, who is shut out?"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import Server, peer, request, status, wait_for
from sipsieve_analysis.operate.rpc import Rpc

SERVER6 = "fd00::1"
#: The offender, then neighbours ever further away.
HOSTS6 = ("2001:db8:0:1:a:b0:0:7", "2001:db8:0:1:ffff::1", "2001:db8:0:2::1", "2001:db8:9:1::1", "2001:dead:0:1::1")
HOSTS4 = ("127.77.5.6", "127.77.5.7", "127.77.6.6", "127.78.5.6")
GARBAGE = b"INVITE sip:x SIP/2.0\r\nVia: ?\r\nX\r\n\r\n" + b"." * 40


def main(folder: Path, v4: int, v6: int) -> None:
    """Prints the key of each ban, and who is answered afterwards."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in (SERVER6, *HOSTS6):
        subprocess.run(["ip", "-6", "address", "add", f"{address}/128", "dev", "lo", "nodad"], check=True)
    policy = f"[limits]\nipv4_prefix = {v4}\nipv6_prefix = {v6}\n[limits.malformed]\nper_minute = 2\n"
    environment = {f"SIPSIEVE_IPV4_{v4}": "1", f"SIPSIEVE_IPV6_{v6}": "1"}
    listen = f"udp:127.0.0.1:5060 udp:[{SERVER6}]:5060"
    with Server(folder, policy, port=5060, listen=listen, environment=environment):
        rpc = Rpc(str(folder / "sipsieve_rpc.fifo"))
        result: dict[str, object] = {}
        for name, to, hosts in (("6", SERVER6, HOSTS6), ("4", "127.0.0.1", HOSTS4)):
            with peer(to, 5060, source=hosts[0]) as sock:
                for _ in range(3):
                    sock.send(GARBAGE)
            wait_for(lambda to=to: [key for key in rpc.table("sipsieve_bans") if (":" in key) == (":" in to)], "a ban")
            answered = []
            for host in hosts:
                with peer(to, 5060, source=host) as sock:
                    sock.settimeout(0.3)
                    sock.send(request("OPTIONS"))
                    try:
                        answered.append(status(sock.recv(4096)) == 200)
                    except TimeoutError:
                        answered.append(False)
            result[name] = answered
        result["keys"] = sorted(rpc.table("sipsieve_bans"))
    print(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
