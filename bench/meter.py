"""Reads from /proc what a server's processes used: CPU time, memory, datagrams lost."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple


class Queue(NamedTuple):
    """A UDP socket's receive queue: bytes waiting, and datagrams dropped since it was opened."""

    waiting: int
    dropped: int


def processes(session: int) -> list[int]:
    """The processes of a session, its leader first."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                # The command's name may hold spaces and brackets: fields count from the last bracket.
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session:
                found.append(int(folder.name))
    return sorted(found)


def cpu(pids: list[int]) -> int:
    """Nanoseconds that these processes have run, in the kernel and outside.

    Exact for a process that waits; one that runs is up to date to the last tick.
    """
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids)


def waits(pids: list[int]) -> int:
    """How often these processes had nothing to do and slept."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                total += int(line.split()[1])
    return total


def pss(pid: int) -> int:
    """Bytes of memory of a process, shared pages counted by their share."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"/proc/{pid}/smaps_rollup has no Pss")


def queue(port: int) -> Queue:
    """The receive queue of the IPv4 UDP socket on that port."""
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(f":{port:04X}"):
            return Queue(int(fields[4].split(":")[1], 16), int(fields[-1]))
    raise ValueError(f"no UDP socket on port {port}")


def drained(port: int, seconds: float = 20.0) -> Queue:
    """Waits until the socket's queue is empty."""
    end = time.monotonic() + seconds
    while (state := queue(port)).waiting:
        if time.monotonic() > end:
            raise TimeoutError(f"port {port}: {state.waiting} bytes still wait after {seconds:g} s")
        time.sleep(0.001)
    return state


def backlog_dropped() -> int:
    """Packets that the kernel dropped before it looked for their socket, since the machine started: no socket counts them."""
    return sum(int(line.split()[1], 16) for line in Path("/proc/net/softnet_stat").read_text().splitlines())


@contextmanager
def stopped(pids: list[int], seconds: float = 20.0) -> Iterator[None]:
    """Nothing of these processes runs meanwhile."""
    end = time.monotonic() + seconds
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        for pid in pids:
            # It finishes what it does in the kernel first; one that has ended and was not waited for is a Z.
            while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "TZ":
                if time.monotonic() > end:
                    raise TimeoutError(f"process {pid} does not stop within {seconds:g} s")
                time.sleep(0.0005)
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def pin(pids: list[int], cores: set[int]) -> None:
    """Keeps processes on these cores."""
    for pid in pids:
        os.sched_setaffinity(pid, cores)
