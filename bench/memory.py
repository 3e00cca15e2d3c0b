"""Measures what a worker's memory is made of: at its start, after ordinary and after hostile traffic, beside a bare server.

One worker, default limits, what `bench/realistic.py` sends. Figures are the worker's PSS by mapping: what shared memory takes is
counted whole where one worker alone touched it. Needs root, since sources are addresses of the loopback network.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from realistic import Sender, slot
from servers import Measured

#: What is sent, in order: a name for people, the kind, rounds and messages of a round.
STEPS: Final = (("ordinary", "mix", 9, 12_000), ("hostile", "hostile", 4, 3_000))

#: By the name of a mapping: what it is, for people; the first that its name begins with.
_GROUPS: Final = (
    ("[heap]", "heap"),
    ("/dev/zero", "tables that all share"),
    ("/SYSV", "tables that all share"),
    ("/memfd", "tables that all share"),
    ("[stack", "stack"),
)


def group(name: str) -> str:
    """What a mapping is, for people."""
    for begin, group in _GROUPS:
        if name.startswith(begin):
            return group
    if not name:
        return "anonymous"
    if "_core.abi3" in name:
        return "the core's code and data"
    return "Python's code and data" if "python" in name else "other code and data"


def sizes(pid: int) -> tuple[Counter[str], int]:
    """Bytes of a process's PSS by what they are; and those that no other process has."""
    found: Counter[str] = Counter()
    own, name = 0, ""
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        words = line.split(maxsplit=5)
        if not words[0].endswith(":"):
            name = words[5] if len(words) > 5 else ""
        elif words[0] == "Pss:":
            found[group(name)] += int(words[1]) * 1024
        elif words[0] == "Private_Dirty:":
            own += int(words[1]) * 1024
    return found, own


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=1, help="of each server (default 1)")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="sipsieve-memory-") as folder, ExitStack() as stack:
        servers = [
            stack.enter_context(
                Measured(Path(folder) / kind, kind, workers=options.workers, cores={cores[-1]}, limits="")
            )
            for kind in ("bare", "summary")
        ]
        sender = Sender({cores[0]})
        stack.callback(sender.close)
        seen: dict[tuple[str, str], tuple[Counter[str], int]] = {}

        def note(when: str) -> None:
            for server in servers:
                seen[server.kind, when] = sizes(server.worker)

        for number, server in enumerate(servers):
            # The one message tells which of the processes is the worker.
            sender.ask("prepare", "mix", 900 + number, 1)
            slot(server, sender)
        note("start")
        for when, kind, rounds, count in STEPS:
            for number in range(rounds):
                sender.ask("prepare", kind, number, count)
                for server in servers:
                    slot(server, sender)
                    server.settle()
            note(when)
        times = ("start", *(when for when, *_ in STEPS))
        print(f"{'PSS of a worker, MB':28}" + "".join(f"{when:>10}" for when in times))
        for server in servers:
            for name in sorted({name for when in times for name in seen[server.kind, when][0]}):
                print(f"{name:28}" + "".join(f"{seen[server.kind, when][0][name] / 1e6:10.2f}" for when in times))
            for name, of in (
                ("in all", lambda one: one[0].total()),
                ("of it, written by it alone", lambda one: one[1]),
            ):
                print(
                    f"{server.kind + ': ' + name:28}"
                    + "".join(f"{of(seen[server.kind, when]) / 1e6:10.2f}" for when in times)
                )
            print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
