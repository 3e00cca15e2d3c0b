"""Sends messages by the million through one server and watches its memory: it must not grow.

Three kinds of message from 64 sources, each message new; every few seconds a slice from addresses that were
not seen before. Memory is the worker's PSS: what it has for itself, and its share of what all share.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import meter
from run import Generator
from servers import Measured

#: Samples taken over a soak; the first third is left out of the judgement: caches fill in it.
SAMPLES = 30

#: Bytes that a worker may grow by after that: for each million messages, and once for caches that still fill.
#: A leak of one small object (64 bytes) a message would be 64 MB a million.
LEAK = 1_000_000
SLACK = 4_000_000


def main() -> None:
    """Runs the soak; exit code 1 where memory grew, or the server died."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--messages", type=int, default=5_000_000, help="to be processed (%(default)s)")
    arguments = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    generator = Generator({cores[0]})
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="sipsieve-soak-") as name,
        Measured(Path(name) / "s", "summary", cores={cores[-1]}) as server,
    ):
        generator.send(server.port, "register", 0.5)
        before = meter.drained(server.port)
        server.settle()
        worker = server.worker
        done, samples = 0, []
        step = max(1, arguments.messages // SAMPLES)
        while done < arguments.messages:
            target = min(done + step, arguments.messages)
            while done < target:
                turn = done // 1000
                kind = ("register", "invite", "reply")[turn % 3]
                fresh = f"127.{3 + turn // 250 % 200}.{turn % 250}.1" if turn % 7 == 0 else ""
                sent = generator.send(server.port, kind, 1.0, 20_000, fresh)
                after = meter.drained(server.port)
                done += sent - (after.dropped - before.dropped)
                before = after
            samples.append((done, meter.pss(worker)))
            server.settle()
            print(f"{done:>12,} messages   worker PSS {samples[-1][1] / 1e6:6.2f} MB", file=sys.stderr, flush=True)
        alive = server.alive()
    generator.close()
    first, last = samples[len(samples) // 3], samples[-1]
    growth = (last[1] - first[1]) / max(last[0] - first[0], 1) * 1e6
    print(
        f"{done:,} messages in {time.monotonic() - began:.0f} s; PSS of the worker {samples[0][1] / 1e6:.2f} MB at first, "
        f"{first[1] / 1e6:.2f} MB after a third, {last[1] / 1e6:.2f} MB at the end: {growth / 1e3:+.1f} kB a million messages"
    )
    if not alive or last[1] - first[1] > SLACK + LEAK * (last[0] - first[0]) / 1e6:
        raise SystemExit(1)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
