"""Measures what checking realistic traffic costs, beside bare Kamailio and its own C modules, in one run.

All servers run side by side on the same memory manager (tlsf), one worker pinned to one core, default limits, and are
measured in turn with the same messages. CPU time is what /proc says that the server's processes ran; the number of messages is
what was sent, less what the kernel dropped. Needs root: sources are addresses of the loopback network, by raw sockets.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import meter
from mix import MAKES, METHODS, NAMES
from servers import KINDS, Measured, core_built

SETUPS: Final = tuple(KINDS)
#: Messages of a slot: with 3,000 subscribers each has so few in a minute that no limit is near.
COUNT: Final = 12_000


class Sender:
    """The process that sends, on a core of its own."""

    def __init__(self, cores: set[int]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("sender.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        meter.pin([self._process.pid], cores)

    def ask(self, *words: object) -> int:
        """What it answers."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(" ".join(map(str, words)) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


class Bench:
    """CPU microseconds a message, by what was sent and to whom."""

    def __init__(self) -> None:
        self.samples: dict[tuple[str, str], list[float]] = defaultdict(list)

    def median(self, what: str, setup: str) -> float:
        """The median of the rounds."""
        return statistics.median(self.samples[what, setup])

    def ratio(self, what: str, setup: str) -> float:
        """What this set-up adds to the bare server, over what the native chain adds."""
        bare = self.median(what, "bare")
        return (self.median(what, setup) - bare) / (self.median(what, "native") - bare)

    def row(self, what: str) -> str:
        """One line of the table."""
        figures = "".join(f"{self.median(what, setup):10.2f}" for setup in SETUPS)
        ratios = "".join(f"{self.ratio(what, setup):10.2f}" for setup in ("summary", "each", "replay"))
        return f"{what:28}{figures}{ratios}"


def slot(server: Measured, sender: Sender) -> float:
    """Sends what is prepared to one server; CPU microseconds a message."""
    before = meter.drained(server.port)
    busy = meter.cpu(server.pids)
    sent = sender.ask("send", server.port, 0)
    after = meter.drained(server.port)
    done = sent - (after.dropped - before.dropped)
    server.sent += sent
    return (meter.cpu(server.pids) - busy) / 1000 / done


def measure(
    bench: Bench, servers: list[Measured], sender: Sender, what: str, kind: str, rounds: int, first: int, count: int
) -> None:
    """The same messages through each server, round by round."""
    for number in range(rounds):
        sender.ask("prepare", kind, first + number, count)
        for place in range(len(servers)):
            server = servers[(place + number) % len(servers)]
            bench.samples[what, server.kind].append(slot(server, sender))
            server.settle()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="rounds of the mix; less of the rest (default 9)")
    parser.add_argument("--quick", action="store_true", help="two rounds of the mix and of hostile traffic")
    parser.add_argument("--parts", action="store_true", help="also each make, method and kind of name by itself")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options = parser.parse_args()
    rounds = 2 if options.quick else options.rounds
    cores = sorted(os.sched_getaffinity(0))
    mine, its = {cores[0]}, {cores[-1]}
    bench = Bench()
    with tempfile.TemporaryDirectory(prefix="sipsieve-bench-") as folder, ExitStack() as stack:
        servers = [stack.enter_context(Measured(Path(folder) / kind, kind, cores=its, limits="")) for kind in SETUPS]
        sender = Sender(mine)
        stack.callback(sender.close)

        def take(what: str, kind: str, rounds: int, first: int, count: int = COUNT) -> None:
            print(f"… {what}", file=sys.stderr, flush=True)
            measure(bench, servers, sender, what, kind, rounds, first, count)

        take("the first messages", "mix", 1, 900)
        take("mix", "mix", rounds, 0)
        take("hostile", "hostile", max(2, rounds // 2), 0, 3000)
        if options.parts:
            for name in METHODS:
                take(f"method {name}", f"mix:method={name}", 2, 1000, 1500)
            for make in MAKES:
                take(f"make {make.name}", f"mix:make={make.name}", 2, 2000, 1500)
            for name in NAMES:
                take(f"names {name}", f"mix:name={name}", 2, 3000, 1500)
        print(f"CPU microseconds a message, one pinned worker; medians of the rounds; {core_built()}")
        print(
            f"{'':28}" + "".join(f"{name:>10}" for name in SETUPS) + f"{'r summary':>10}{'r each':>10}{'r replay':>10}"
        )
        for what in dict.fromkeys(what for what, _ in bench.samples):
            print(bench.row(what))
        memory = {server.kind: meter.pss(server.worker) for server in servers}
        mains = {server.kind: meter.pss(server.pids[0]) for server in servers}
        for which, sizes in (
            ("the worker", memory),
            ("the main process, which alone holds what the start read", mains),
        ):
            print(
                f"memory of {which} (PSS, MB): " + ", ".join(f"{kind} {size / 1e6:.1f}" for kind, size in sizes.items())
            )
        if options.json:
            options.json.parent.mkdir(parents=True, exist_ok=True)
            figures = {f"{what}/{setup}": values for (what, setup), values in bench.samples.items()}
            options.json.write_text(json.dumps({"us": figures, "pss": memory}, indent=1))
        unanswered = [server.kind for server in servers if "ERROR" in server.text()]
        if unanswered:
            print(f"errors in the logs of: {', '.join(unanswered)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
