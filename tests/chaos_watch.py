"""What the machine did while `make chaos` waited for an answer: a process beside it that watches how late it is woken itself, who waited
for a processor, and which datagrams found no room.

It runs in the namespaces of the servers, and looks at those alone. It answers a line `FROM TO`, moments of the steady clock in seconds,
with a line of JSON.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

#: Seconds between two looks, and how many of them are kept: two minutes.
EVERY = 0.05
KEPT = 2400

#: Milliseconds from which on something is named as the cause: most of the first retransmission's half second.
MUCH = 300.0


class Look(NamedTuple):
    """One look. Sums since the start of whatever is counted, but `late`: milliseconds that this process was woken too late."""

    at: float
    late: float
    #: Microseconds in which somebody waited for a processor, for the disk; the hypervisor's share in milliseconds.
    cpu: int
    disk: int
    steal: float
    #: Datagrams that found no room, by the socket's port.
    dropped: dict[int, int]
    #: By process: milliseconds on a processor, and waiting for one; its state, and where in the kernel it sleeps.
    processes: dict[int, tuple[float, float, str]]


def pressure(what: str) -> int:
    with suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/pressure/{what}").read_text().split("\n", 1)[0].rpartition("=")[2])
    return 0


def steal() -> float:
    return int(Path("/proc/stat").read_text().split("\n", 1)[0].split()[8]) * 1000.0 / os.sysconf("SC_CLK_TCK")


def dropped() -> dict[int, int]:
    found: Counter[int] = Counter()
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        fields = line.split()
        found[int(fields[1].rpartition(":")[2], 16)] += int(fields[-1])
    return dict(found)


def servers() -> list[int]:
    """Kamailio's processes in our network, and in no other."""
    own, found = os.readlink("/proc/self/ns/net"), []
    for entry in os.listdir("/proc"):
        with suppress(OSError):
            is_one = entry.isdigit() and Path(f"/proc/{entry}/comm").read_text() == "kamailio\n"
            if is_one and os.readlink(f"/proc/{entry}/ns/net") == own:
                found.append(int(entry))
    return found


def of_process(pid: int) -> tuple[float, float, str]:
    ran, waited, _ = Path(f"/proc/{pid}/schedstat").read_text().split()
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    place = ""
    with suppress(OSError):
        place = Path(f"/proc/{pid}/wchan").read_text()
    return int(ran) / 1e6, int(waited) / 1e6, f"{state} {place}".strip("0 ")


def look(late: float, pids: list[int]) -> Look:
    processes = {}
    for pid in pids:
        with suppress(OSError, ValueError):
            processes[pid] = of_process(pid)
    return Look(time.monotonic(), late, pressure("cpu"), pressure("io"), steal(), dropped(), processes)


def told(looks: list[Look]) -> dict[str, Any]:
    """What was seen from the first of these looks to the last."""
    if len(looks) < 2:
        return {"cause": "not seen"}
    first, last = looks[0], looks[-1]
    drops = {port: more for port, count in last.dropped.items() if (more := count - first.dropped.get(port, 0)) > 0}
    processes = {}
    for pid in first.processes.keys() & last.processes.keys():
        ran, waited = (last.processes[pid][at] - first.processes[pid][at] for at in (0, 1))
        states = Counter(one.processes[pid][2] for one in looks if pid in one.processes)
        processes[pid] = {"ran": round(ran), "waited": round(waited), "seen": dict(states.most_common(3))}
    late = sum(one.late for one in looks[1:])
    most_run = max((one["ran"] for one in processes.values()), default=0)
    most_wait = max((one["waited"] for one in processes.values()), default=0)
    causes = {
        "machine: woken late": late,
        "machine: no processor": most_wait,
        "server: works": most_run,
        "server: waits for the disk": stuck_for(looks),
    }
    named = [name for name, much in causes.items() if much >= MUCH]
    if drops:
        named.append("socket: no room")
    span = last.at - first.at
    busiest = sorted(processes.items(), key=lambda item: -(item[1]["ran"] + item[1]["waited"]))[:4]
    return {
        "cause": ", ".join(named) or "unknown",
        "ms": round(span * 1000),
        "woken late, ms": round(late),
        "cpu pressure, %": round((last.cpu - first.cpu) / span / 1e4),
        "disk pressure, %": round((last.disk - first.disk) / span / 1e4),
        "stolen, ms": round(last.steal - first.steal),
        "dropped": drops,
        "processes": dict(busiest),
    }


def stuck_for(looks: list[Look]) -> float:
    """Milliseconds that a process of the server was seen to wait for the disk."""
    seen = Counter(pid for one in looks for pid, (_, _, state) in one.processes.items() if state.startswith("D"))
    return max(seen.values(), default=0) * EVERY * 1000


def main() -> None:
    """Until its input ends."""
    looks: deque[Look] = deque(maxlen=KEPT)
    pids, listed, due = servers(), time.monotonic(), time.monotonic() + EVERY
    while True:
        readable, _, _ = select.select([sys.stdin], [], [], max(0.0, due - time.monotonic()))
        if readable:
            asked = sys.stdin.readline().split()
            if not asked:
                return
            began, ended = map(float, asked)
            inside = [one for one in looks if began - 5 * EVERY <= one.at <= ended + EVERY]
            print(json.dumps(told(inside)), flush=True)
        now = time.monotonic()
        if now < due:
            continue
        if now - listed > 0.5:
            pids, listed = servers(), now
        looks.append(look((now - due) * 1000, pids))
        due = time.monotonic() + EVERY


class Watch:
    """The process that watches, as the load asks it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid
        #: How many late answers had which cause.
        self.causes: Counter[str] = Counter()

    def between(self, began: float, ended: float) -> dict[str, Any]:
        """What was seen from one moment to the other; `cause` names it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{began} {ended}\n")
        self._process.stdin.flush()
        seen: dict[str, Any] = json.loads(self._process.stdout.readline())
        self.causes[seen["cause"]] += 1
        return seen


@contextmanager
def watched() -> Iterator[Watch]:
    """Somebody watches meanwhile."""
    command = [sys.executable, __file__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Watch(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(30)


if __name__ == "__main__":
    main()
