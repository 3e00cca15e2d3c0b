"""A flood with a new source address in each datagram: what it takes of shared memory, and whether it slows anybody."""

from __future__ import annotations

import argparse
import socket
import statistics
import struct
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from harness import Server, exchange, request, status
from sipsieve_analysis.operate.running import Running

#: Addresses in 127.64.0.0/10, all of them loopback's.
_FIRST: Final = 0x7F400000

#: ip(7); Python 3.11 has no name for it.
_IP_PKTINFO: Final = 8


def forge(port: int, first: int, count: int, message: bytes | None = None) -> None:
    """Sends one OPTIONS, or `message`, from each of `count` loopback addresses, at a pace that the server follows."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for number in range(first, first + count):
            address = struct.pack("!I", _FIRST + number)
            raw = message or request("OPTIONS", call_id=f"f{number}", branch=f"z9hG4bKf{number}")
            # in_pktinfo: the interface, then the local address that the datagram leaves from.
            info = struct.pack("@i4s4s", 0, address, address)
            sock.sendmsg([raw], [(socket.IPPROTO_IP, _IP_PKTINFO, info)], 0, ("127.0.0.1", port))
            if number % 20 == 0:
                time.sleep(0.001)


def shape(server: Server) -> dict[str, Any]:
    """Shared memory in use, counters, those among them that are shared by many sources, and bans."""
    running = Running(str(server.folder / "sipsieve_rpc.fifo"))
    rpc = running.rpc
    counters = running.ask("status")["counters"]
    return {
        "shm_used": rpc.call("core.shmmem")["used"],
        "counters": counters["begun"],
        "without_own_counter": counters["sharing"],
        "bans": len(rpc.table("sipsieve_bans")),
    }


def answer_time(server: Server, source: str, times: int = 50) -> float:
    """Median milliseconds until an OPTIONS from a source that was there before is answered."""
    took = []
    for _ in range(times):
        begun = time.perf_counter()
        assert status(exchange(server, request("OPTIONS"), source=source)) == 200
        took.append((time.perf_counter() - begun) * 1000)
    return statistics.median(took)


def main() -> None:
    """Prints a table while it sends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", type=int, default=1_000_000, help="forged addresses (1000000)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sipsieve-forged-") as folder:
        policy = '[log]\nallow = "summary"\n[limits.other]\nper_minute = 100000\n'
        with Server(Path(folder), policy) as server:
            print(f"{'sources':>9} {'shm bytes':>11} {'counters':>9} {'sharing':>9} {'bans':>5} {'answer ms':>9}")
            step = max(1, arguments.sources // 10)
            for sent in range(0, arguments.sources + 1, step):
                if sent:
                    forge(server.port, sent - step, step)
                now = shape(server)
                print(
                    f"{sent:>9} {now['shm_used']:>11} {now['counters']:>9} {now['without_own_counter']:>9} "
                    f"{now['bans']:>5} {answer_time(server, '127.20.0.1'):>9.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
