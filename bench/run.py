"""Measures what checking costs: the same messages through servers that differ in the check only.

All servers run side by side on the same memory manager (tlsf) and are measured in turn, round by
round, so that whatever else the machine does falls on all of them. CPU time is what /proc says that
the server's processes ran; the number of messages is what was sent, less what the kernel dropped.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import chart
import meter
from servers import KINDS, Measured, core_built, exchange, free_port, status
from traffic import message

MESSAGES: Final = ("register", "invite", "reply")
SETUPS: Final = tuple(kind for kind in KINDS if kind != "replay")
BANNED: Final = "127.2.0.1"
HERE: Final = Path(__file__).resolve().parent

#: Times that calls through a server are tried before the bench gives up on it.
ATTEMPTS: Final = 3

#: A slot in which the server slept more often than this, for each message, did not measure it at work.
IDLE: Final = 0.02


class Generator:
    """A process that sends, on a core of its own where there is one."""

    def __init__(self, cores: set[int]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("traffic.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        meter.pin([self._process.pid], cores)

    def send(self, port: int, kind: str, seconds: float, count: int = 0, address: str = "") -> int:
        """Messages sent, once they are."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{port} {kind} {seconds} {count} {address}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


class Sample(dict[str, float]):
    """One slot: CPU microseconds a message, messages a second, times slept for each message."""


def slot(server: Measured, generator: Generator, kind: str, seconds: float, address: str = "") -> Sample:
    """Loads one server for some seconds and takes its CPU time."""
    before = meter.drained(server.port)
    busy, slept, began = meter.cpu(server.pids), meter.waits(server.pids), time.monotonic()
    sent = generator.send(server.port, kind, seconds, 0, address)
    after = meter.drained(server.port)
    taken = time.monotonic() - began
    done = sent - (after.dropped - before.dropped)
    server.sent += sent
    return Sample(
        us=(meter.cpu(server.pids) - busy) / 1000 / done,
        rate=done / taken,
        slept=(meter.waits(server.pids) - slept) / done,
        messages=done,
    )


class Bench:
    """All samples by set-up and message, and what they say."""

    def __init__(self) -> None:
        self.samples: dict[tuple[str, str], list[Sample]] = defaultdict(list)
        self.idle = 0
        #: Rounds of relayed calls that were made again, since a call failed.
        self.failed = 0
        self.accounted = 0
        self.memory: dict[str, int] = {}

    def take(self, setup: str, kind: str, sample: Sample) -> None:
        """Keeps a sample, unless the server had too little to do in it."""
        if sample["slept"] > IDLE:
            self.idle += 1
        else:
            self.samples[setup, kind].append(sample)

    def median(self, setup: str, kind: str, what: str = "us") -> float:
        """The median of all samples; nan without one."""
        values = [sample[what] for sample in self.samples[setup, kind]]
        return statistics.median(values) if values else float("nan")

    def spread(self, setup: str, kind: str, what: str = "us") -> float:
        """Half the distance between the quartiles."""
        values = [sample[what] for sample in self.samples[setup, kind]]
        if len(values) < 2:
            return 0.0
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
        return (high - low) / 2

    def ratio(self, setup: str, kind: str) -> float:
        """What this set-up adds to the bare server, over what the native chain adds."""
        bare = self.median("bare", kind)
        return (self.median(setup, kind) - bare) / (self.median("native", kind) - bare)


def clean(
    bench: Bench, servers: list[Measured], generator: Generator, rounds: int, seconds: float, say: Callable[[str], None]
) -> None:
    """(a), (b), (c): each kind of message through each server; (d): a banned source."""
    for number in range(rounds):
        say(f"clean and banned messages, round {number + 1} of {rounds}")
        for server in servers:
            server.ban(BANNED)
        for kind in MESSAGES:
            # The order turns with the rounds: what follows on what must not matter.
            for place in range(len(servers)):
                server = servers[(place + number) % len(servers)]
                bench.take(server.kind, kind, slot(server, generator, kind, seconds))
                server.settle()
        for server in servers[:: 1 if number % 2 else -1]:
            if server.kind in ("native", "summary"):
                bench.take(server.kind, "banned", slot(server, generator, "register", seconds, BANNED))


def scaling(
    bench: Bench, folder: Path, generator: Generator, rounds: int, seconds: float, say: Callable[[str], None]
) -> None:
    """One, two and four workers on whatever cores there are; the load takes its share of them."""
    with ExitStack() as stack:
        servers = {
            (kind, workers): stack.enter_context(Measured(folder / f"{kind}{workers}", kind, workers=workers))
            for workers in (1, 2, 4)
            for kind in ("bare", "native", "summary")
        }
        for number in range(rounds):
            say(f"1, 2 and 4 workers, round {number + 1} of {rounds}")
            for (kind, workers), server in servers.items():
                # A server that waits for the load tells its rate all the same.
                bench.samples[kind, f"workers-{workers}"].append(slot(server, generator, "register", seconds))
        for server in servers.values():
            account(bench, server)


def calls_through(server: Measured, callers: int, calls: int, rate: int) -> str:
    """Makes calls through a server; "" where each of them succeeded, else what SIPp says."""
    done = subprocess.run(
        ["sipp", "-sf", str(HERE / "call.xml"), "-i", "127.0.0.1", "-p", str(callers), "-nostdin", "-r", str(rate),
         "-m", str(calls), "-trace_stat", "-stf", f"{server.folder}/sipp.csv", "-timeout", "60", "-timeout_error",
         "-trace_err", "-error_file", f"{server.folder}/sipp.err", f"127.0.0.1:{server.port}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=server.folder,
    )  # fmt: skip
    names, *_, last = (server.folder / "sipp.csv").read_text().splitlines()
    facts = dict(zip(names.split(";"), last.split(";"), strict=True))
    succeeded = int(facts["SuccessfulCall(C)"])
    if done.returncode == 0 and succeeded == calls:
        return ""
    return f"{succeeded} of {calls} calls succeeded, SIPp ended with {done.returncode}"


def relay(bench: Bench, folder: Path, rounds: int, calls: int, rate: int, say: Callable[[str], None]) -> None:
    """(e): whole calls relayed by tm with four workers: INVITE, 180, 200, ACK, BYE, 200."""
    callers, callee = free_port(), free_port()
    with ExitStack() as stack:
        uas = subprocess.Popen(
            ["sipp", "-sf", str(HERE.parent / "lab" / "sipp" / "uas.xml"), "-i", "127.0.0.1", "-p", str(callee), "-nostdin"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder,
        )  # fmt: skip
        stack.callback(uas.wait)
        stack.callback(uas.kill)
        servers = [
            stack.enter_context(Measured(folder / f"relay-{kind}", kind, workers=4, backend=f"sip:127.0.0.1:{callee}"))
            for kind in SETUPS
        ]
        for number in range(rounds + 1):
            # The first round is not counted: in it, each worker meets each kind of message for the first time.
            say(f"relayed calls, round {number} of {rounds}" if number else "relayed calls, warming up")
            for place in range(len(servers)):
                server = servers[(place + number) % len(servers)]
                sample = relayed(bench, server, callers, calls, rate)
                if number:
                    bench.samples[server.kind, "relay"].append(sample)


def relayed(bench: Bench, server: Measured, callers: int, calls: int, rate: int) -> Sample:
    """What a call costs, of some calls that all succeeded: on a crowded machine that may take a second attempt."""
    trouble = ""
    for _ in range(ATTEMPTS):
        busy, began = meter.cpu(server.pids), time.monotonic()
        trouble = calls_through(server, callers, calls, rate)
        if not trouble:
            used = (meter.cpu(server.pids) - busy) / 1000 / calls
            return Sample(us=used, rate=calls / (time.monotonic() - began))
        bench.failed += 1
    raise SystemExit(
        f"bench: {server.kind} does not relay the bench's calls, tried {ATTEMPTS} times: {trouble}. No figure is given. "
        f"Kamailio said: {server.text()[-2000:]}"
    )


def account(bench: Bench, server: Measured) -> None:
    """Fails where the decision log does not account for every message that reached a server."""
    if server.kind in ("bare", "native"):
        return
    bench.accounted += server.account()


def memory(bench: Bench, servers: list[Measured]) -> None:
    """The worker's memory, after all that it went through."""
    for server in servers:
        bench.memory[server.kind] = meter.pss(server.worker)


def check(server: Measured) -> None:
    """The server answers 200 before it is measured: no figure of a set-up that refuses the load."""
    for kind in ("register", "invite"):
        answer = exchange(server, message(kind, server.port, os.getpid()))
        if status(answer) != 200:
            raise SystemExit(f"bench: {server.kind} answers {answer!r} to {kind}; see {server.folder}")
        server.sent += 1


def table(bench: Bench) -> str:
    """The figures as text."""
    lines = [
        "CPU microseconds a message, one pinned worker; median (half the interquartile range) of the rounds",
        f"{'':10}{'bare':>14}{'native':>14}{'summary':>14}{'each':>14}   {'ratio summary':>14}{'ratio each':>12}",
    ]
    for kind in MESSAGES:
        cells = "".join(
            f"{bench.median(setup, kind):>8.2f} ({bench.spread(setup, kind):.2f})".rjust(14) for setup in SETUPS
        )
        lines.append(f"{kind:10}{cells}   {bench.ratio('summary', kind):>14.2f}{bench.ratio('each', kind):>12.2f}")
    lines.append(
        f"{'msg/s':10}"
        + "".join(f"{bench.median(setup, 'register', 'rate'):>14,.0f}" for setup in SETUPS)
        + "   (register)"
    )
    native, ours = bench.median("native", "banned"), bench.median("summary", "banned")
    lines += [
        "",
        f"a banned source's packet: native {native:.2f} ({bench.spread('native', 'banned'):.2f}), "
        f"sipsieve {ours:.2f} ({bench.spread('summary', 'banned'):.2f}), ratio {ours / native:.2f}",
    ]
    if ("bare", "relay") in bench.samples:
        lines += [
            "",
            "a call relayed by tm, 4 workers, CPU microseconds (6 messages at the server), every call completed:",
        ]
        lines.append(
            "  "
            + ", ".join(
                f"{setup} {bench.median(setup, 'relay'):.0f} ({bench.spread(setup, 'relay'):.0f})" for setup in SETUPS
            )
        )
    if ("bare", "workers-1") in bench.samples:
        lines += ["", f"messages a second on {os.cpu_count()} cores, which the load shares (register):"]
        lines += [
            f"  {workers} worker{'s' if workers > 1 else ' '}"
            + "".join(
                f"   {kind} {bench.median(kind, f'workers-{workers}', 'rate'):>8,.0f} "
                f"({bench.median(kind, f'workers-{workers}'):.1f} us)"
                for kind in ("bare", "native", "summary")
            )
            for workers in (1, 2, 4)
        ]
    lines += [
        "",
        "memory of a worker (PSS, MB): " + ", ".join(f"{kind} {size / 1e6:.1f}" for kind, size in bench.memory.items()),
        f"every message accounted for in the decision logs: {bench.accounted:,}",
    ]
    if bench.idle:
        lines.append(f"{bench.idle} slots left out: the load did not keep the server busy (a crowded machine)")
    if bench.failed:
        lines.append(
            f"{bench.failed} rounds of relayed calls left out and made again: a call failed (a crowded machine)"
        )
    return "\n".join(lines)


def result(bench: Bench) -> dict[str, Any]:
    """The figures as data."""
    return {
        "machine": {"cores": os.cpu_count(), "processor": platform.processor() or platform.machine()},
        "samples": {f"{setup} {kind}": samples for (setup, kind), samples in bench.samples.items()},
        "median_us": {f"{setup} {kind}": bench.median(setup, kind) for setup, kind in bench.samples},
        "ratio": {f"{setup} {kind}": bench.ratio(setup, kind) for setup in ("summary", "each") for kind in MESSAGES},
        "memory_pss": bench.memory,
        "accounted": bench.accounted,
    }


def groups(bench: Bench) -> list[tuple[str, list[chart.Bar]]]:
    """The chart's bars: CPU time a message, by message and set-up."""
    found = []
    for kind in MESSAGES:
        bars = [
            chart.Bar(
                setup,
                setup,
                bench.median(setup, kind),
                bench.spread(setup, kind),
                f"ratio {bench.ratio(setup, kind):.2f}" if setup in ("summary", "each") else "",
            )
            for setup in SETUPS
        ]
        found.append((kind.upper() if kind != "reply" else "200 to an INVITE", bars))
    banned = [
        chart.Bar(setup, setup, bench.median(setup, "banned"), bench.spread(setup, "banned"))
        for setup in ("native", "summary")
    ]
    return [*found, ("A banned source's packet", banned)]


def main() -> None:
    """Runs the bench."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="times that each set-up is measured (%(default)s)")
    parser.add_argument("--seconds", type=float, default=0.7, help="of load in each slot (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="two short rounds: shows that it works, not what it costs")
    parser.add_argument("--only", choices=("clean", "relay", "scaling"), help="leave the rest out")
    parser.add_argument("--json", type=Path, help="write all samples to this file")
    parser.add_argument("--chart", type=Path, help="write the chart to this SVG file")
    arguments = parser.parse_args()
    rounds, seconds = (2, 0.1) if arguments.quick else (arguments.rounds, arguments.seconds)
    cores = sorted(os.sched_getaffinity(0))
    worker, sender = {cores[-1]}, {cores[0]}
    shown = sys.stderr.isatty()

    def say(text: str) -> None:
        print(f"\r\x1b[K{text}" if shown else text, end="" if shown else "\n", file=sys.stderr, flush=True)

    bench = Bench()
    with tempfile.TemporaryDirectory(prefix="sipsieve-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        generator = Generator(sender)
        stack.callback(generator.close)
        if arguments.only in (None, "clean"):
            with ExitStack() as running:
                servers = [running.enter_context(Measured(folder / kind, kind, cores=worker)) for kind in SETUPS]
                for server in servers:
                    check(server)
                    slot(server, generator, "register", 0.2)
                    server.settle()
                clean(bench, servers, generator, rounds, seconds, say)
                memory(bench, servers)
                for server in servers:
                    account(bench, server)
        if arguments.only in (None, "relay"):
            relay(bench, folder, *((1, 50, 100) if arguments.quick else (5, 600, 100)), say)
        if arguments.only in (None, "scaling"):
            scaling(bench, folder, generator, *((1, 0.1) if arguments.quick else (3, 0.5)), say)
        if shown:
            say("")
    print(core_built())
    print(table(bench))
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(result(bench), indent=1))
    if arguments.chart:
        arguments.chart.parent.mkdir(parents=True, exist_ok=True)
        arguments.chart.write_text(chart.draw("CPU time a message, one worker", groups(bench), "µs"))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
