"""What lists from outside and files of countries cost: memory, look-ups, and messages while a million prefixes are replaced."""

from __future__ import annotations

import argparse
import functools
import ipaddress
import json
import mmap
import os
import random
import select
import socket
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import meter

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from harness import Server, wait_for
from mmdb import written
from sipsieve import _core
from sipsieve.abuse.sources import Networks
from sipsieve.config import policy
from sipsieve.decision.engine import Engine
from sipsieve.decision.explain import NoCounters
from sipsieve.detection import ruleset
from sipsieve_analysis.operate.running import Running

#: Of all prefixes, one in so many is IPv6.
_SIX: Final = 5

#: Where messages come from, all on no list.
_SOURCES: Final = tuple(f"127.0.20.{last}" for last in range(1, 33))

#: Messages sent in one go by a sender that fell behind: the kernel's queue holds not many more.
_BURST: Final = 40

_MESSAGE: Final = (
    "OPTIONS sip:bench@example.com SIP/2.0\r\nVia: SIP/2.0/UDP {ip}:{port};branch=z9hG4bK{number:08d};rport\r\nMax-Forwards: 70\r\n"
    "From: <sip:a@example.com>;tag={number}\r\nTo: <sip:bench@example.com>\r\nCall-ID: {number:08d}@{ip}\r\nCSeq: 1 OPTIONS\r\n"
    "Content-Length: 0\r\n\r\n"
)
_CALL_ID: Final = b"Call-ID: "

POLICY: Final = """
[log]
allow = "summary"
[limits]
enabled = false
[feeds]
folder = "{folder}/kept"
capacity = {capacity}
[[feed]]
name = "bench"
source = "{folder}/list"
action = "drop"
private = true
"""


def prefixes(count: int, salt: int = 0) -> str:
    """Prefixes that don't touch, a line each, IPv4 /25 and IPv6 /48. `salt` moves all of them."""
    lines = []
    for number in range(count):
        if number % _SIX:
            first = (20 << 24) + (2 * number + salt) * 128
            lines.append(f"{ipaddress.IPv4Address(first)}/25")
        else:
            lines.append(f"2001:{number >> 15 & 0xFFFF:x}:{(number << 1 & 0xFFFF) + salt:x}::/48")
    return "\n".join(lines) + "\n"


def shared() -> int:
    """Bytes of shared memory that this process has touched."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssShmem:"):
            return int(line.split()[1]) * 1024
    raise ValueError("/proc/self/status has no RssShmem")


def nanoseconds(find: Callable[[str], object], asked: Sequence[str]) -> float:
    """Processor time of a look-up, the best of five runs."""
    best = float("inf")
    for _ in range(5):
        began = time.process_time_ns()
        for ip in asked:
            find(ip)
        best = min(best, (time.process_time_ns() - began) / len(asked))
    return best


def tables(count: int, networks: int) -> dict[str, float]:
    """Memory and look-ups of one table of prefixes, and of one of countries; the border to Python is in the times of all."""
    dice = random.Random(7)
    asked = {
        "ipv4": [
            str(ipaddress.IPv4Address(dice.randrange((20 << 24), (20 << 24) + 256 * count))) for _ in range(50_000)
        ],
        "ipv6": [f"2001:{dice.randrange(max(1, count >> 15)):x}:{dice.randrange(1 << 16):x}::1" for _ in range(50_000)],
    }
    found: dict[str, float] = {}
    empty = _core.Feeds(count)
    empty.publish([("none", "drop", True, "")], 0)
    before, text = shared(), prefixes(count)
    table = _core.Feeds(count)
    began = time.process_time()
    (report,) = table.publish([("bench", "drop", True, text)], 0)
    found["feed seconds"] = time.process_time() - began
    found["feed entries"] = report[0]
    found["feed bytes"] = shared() - before
    table.publish([("bench", "drop", True, text)], 0)
    found["feed bytes once replaced"] = shared() - before
    for family, ips in asked.items():
        found[f"no list ns {family}"] = nanoseconds(empty.find, ips)
        found[f"feed ns {family}"] = nanoseconds(table.find, ips)
    homes: dict[str, dict[str, Any]] = {}
    for number in range(networks):
        code = f"{chr(65 + number % 26)}{chr(65 + number // 26 % 26)}"
        if number % _SIX:
            homes[f"{ipaddress.IPv4Address((20 << 24) + number * 256)}/24"] = {"country": {"iso_code": code}}
        else:
            homes[f"2001:{number >> 16:x}:{number & 0xFFFF:x}::/48"] = {"country": {"iso_code": code}}
    content = written(homes, time.time())
    before = shared()
    began = time.process_time()
    file = _core.GeoFile(content, "country")
    geo = _core.Geo(8_000_000)
    geo.publish(file, None)
    found["geo seconds"] = time.process_time() - began
    found["geo ranges"] = sum(file.sizes[:2])
    found["geo file bytes"] = len(content)
    found["geo bytes"] = shared() - before
    for family, ips in asked.items():
        found[f"geo ns {family}"] = nanoseconds(geo.find, ips)
    # Where a sender is first met: what it is known by, without and with a country.
    for name, knows in (("off", None), ("on", geo)):
        networks = _core.Networks([], 32, 64, [], knows)
        found[f"a new sender ns, geo {name}"] = nanoseconds(
            lambda ip, met=networks: met.source(ip, 5060, "udp"), asked["ipv4"]
        )
    found["a known sender's message, geo on to off"] = ratio(geo)
    return found


def ratio(geo: _core.Geo, rounds: int = 40, each: int = 250) -> float:
    """Processor time of a clean message from a sender that is known, with countries looked up against without: the median of
    rounds in turn."""
    loaded = policy.loads("[limits]\nenabled = false\n")
    rules = ruleset.load()
    raw = _MESSAGE.format(ip="20.0.0.7", port=5060, number=1).encode()
    sides = []
    for knows in (None, geo):
        engine = Engine(loaded, rules, Networks(loaded, knows))
        sides.append((engine, engine.networks.source("20.0.0.7", 5060, "udp")))
    counters = NoCounters()
    found = []
    for number in range(rounds):
        spent = [0, 0]
        for side in (0, 1) if number % 2 else (1, 0):
            engine, source = sides[side]
            began = time.process_time_ns()
            for _ in range(each):
                engine.decide(raw, source, 0.0, counters)
            spent[side] = time.process_time_ns() - began
        found.append(spent[1] / spent[0])
    return statistics.median(found)


class Passed(NamedTuple):
    """What became of the messages of one run: how many, and how late their answers were, in milliseconds."""

    sent: int
    answered: int
    dropped: int
    seconds: float
    median: float
    p99: float
    most: float

    @property
    def lost(self) -> int:
        """Neither answered nor dropped by the kernel before anybody could look at them."""
        return self.sent - self.answered - self.dropped


def _send(
    port: int, sockets: Sequence[socket.socket], times: mmap.mmap, rate: int, stop: mmap.mmap, slots: int
) -> None:
    """Sends at that rate until it is told to stop, with the time of each in shared memory. Runs in a process of its own."""
    began = time.monotonic()
    number = 0
    ports = [one.getsockname()[1] for one in sockets]
    while number < slots and not stop[0]:
        due = min(slots, int((time.monotonic() - began) * rate), number + _BURST)
        while number < due:
            place = number % len(sockets)
            raw = _MESSAGE.format(ip=_SOURCES[place], port=ports[place], number=number).encode()
            struct.pack_into("d", times, 8 + number * 8, time.monotonic())
            sockets[place].sendto(raw, ("127.0.0.1", port))
            number += 1
        time.sleep(0.0005)
    struct.pack_into("q", times, 0, number)


def passed(port: int, rate: int, seconds: float, meanwhile: Callable[[], None]) -> Passed:
    """Messages at that rate while `meanwhile` runs, for `seconds` at least."""
    slots = int(rate * (seconds + 120))
    times = mmap.mmap(-1, 8 + 8 * slots)
    sockets = []
    for ip in _SOURCES:
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        one.bind((ip, 0))
        one.setblocking(False)
        sockets.append(one)
    own = [one.getsockname()[1] for one in sockets]
    before = meter.queue(port).dropped
    # The end is put off as long as `meanwhile` takes.
    stop = mmap.mmap(-1, 8)
    sender = os.fork()
    if not sender:
        try:
            _send(port, sockets, times, rate, stop, slots)
        finally:
            os._exit(0)
    worker = os.fork()
    if not worker:
        code = 1
        try:
            end = time.monotonic() + seconds
            meanwhile()
            time.sleep(max(0.0, end - time.monotonic()))
            code = 0
        finally:
            stop[0] = 1
            os._exit(code)
    late: list[float] = []
    ended = 0.0
    began = time.monotonic()
    poll = select.poll()
    by_number = {one.fileno(): one for one in sockets}
    for one in sockets:
        poll.register(one, select.POLLIN)
    while not ended or (time.monotonic() - ended < 2 and len(late) < struct.unpack_from("q", times, 0)[0]):
        for descriptor, _ in poll.poll(100):
            while True:
                try:
                    answer = by_number[descriptor].recv(4096)
                except BlockingIOError:
                    break
                now = time.monotonic()
                at = answer.find(_CALL_ID) + len(_CALL_ID)
                number = int(answer[at : at + 8])
                assert answer.startswith(b"SIP/2.0 200"), answer
                late.append(now - struct.unpack_from("d", times, 8 + number * 8)[0])
                if ended:
                    ended = now
        if not ended and stop[0] and struct.unpack_from("q", times, 0)[0]:
            ended = time.monotonic()
    os.waitpid(sender, 0)
    _, status = os.waitpid(worker, 0)
    if status:
        raise RuntimeError("the lists could not be replaced")
    dropped = meter.queue(port).dropped - before + sum(meter.queue(number).dropped for number in own)
    for one in sockets:
        one.close()
    late.sort()
    (sent,) = struct.unpack_from("q", times, 0)
    at = [1000 * late[min(len(late) - 1, int(len(late) * share))] for share in (0.5, 0.99, 1.0)] if late else [0.0] * 3
    return Passed(sent, len(late), dropped, round(ended - began, 1), *(round(value, 2) for value in at))


def live(folder: Path, count: int, rate: int, seconds: float, times: int) -> dict[str, Passed]:
    """A real Kamailio under load, with the list in force as it is and with it replaced `times` times."""
    texts = [prefixes(count - 1, salt) + f"127.0.21.{salt + 1}\n" for salt in (0, 1)]
    source = folder / "list"
    source.write_text(texts[0])
    with Server(folder, POLICY.format(folder=folder, capacity=max(1024, 2 * count)), workers=2) as server:
        asked = Running(str(folder / "sipsieve_rpc.fifo"))

        def row() -> dict[str, Any]:
            found: dict[str, Any] = asked.ask("feeds")["feeds"][0]
            return found

        def listed(salt: int) -> bool:
            return asked.ask("source", ip=f"127.0.21.{salt + 1}")["feed"] is not None

        wait_for(lambda: row()["entries"] == count, "the list", 120)

        def replace() -> None:
            for number in range(1, times + 1):
                salt = number % 2
                (folder / "new").write_text(texts[salt])
                os.replace(folder / "new", source)
                asked.ask("refresh", name="bench")
                wait_for(functools.partial(listed, salt), "the new list", 120)
                assert row()["entries"] == count and not listed(1 - salt), row()

        passed(server.port, rate, min(1.0, seconds), lambda: None)
        found = {"as it is": passed(server.port, rate, seconds, lambda: None)}
        found[f"replaced {times} times"] = passed(server.port, rate, seconds, replace)
        return found


def main() -> int:
    """Measures and prints; 1 where a message was lost by anybody but the kernel."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prefixes", type=int, default=1_000_000)
    parser.add_argument("--rate", type=int, default=20_000, help="messages a second")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--replaced", type=int, default=5, help="how often the list is replaced meanwhile")
    parser.add_argument("--networks", type=int, default=200_000, help="networks of the file of countries")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = tables(arguments.prefixes, arguments.networks)
    for name, value in found.items():
        print(f"{name:<42} {value:,.0f}" if value >= 10 else f"{name:<42} {value:.3f}", flush=True)
    with tempfile.TemporaryDirectory(prefix="sipsieve-lists-") as folder:
        runs = live(Path(folder), arguments.prefixes, arguments.rate, arguments.seconds, arguments.replaced)
    print(f"{'list':<20} {'sent':>9} {'a second':>9} {'lost':>6} {'kernel':>7} {'median':>8} {'p99':>8} {'most ms':>8}")
    for name, run in runs.items():
        print(
            f"{name:<20} {run.sent:>9,} {run.sent / max(run.seconds, 0.1):>9,.0f} {run.lost:>6} {run.dropped:>7} "
            f"{run.median:>8} {run.p99:>8} {run.most:>8}"
        )
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(
            json.dumps({"tables": found, "runs": {name: run._asdict() for name, run in runs.items()}})
        )
    return 1 if any(run.lost for run in runs.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
