"""What is done to the server that `make chaos` troubles: processes killed, disk and memory used up, files cut and damaged, the
clock set, the network cut."""

from __future__ import annotations

import math
import os
import random
import signal
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from chaos_logs import Logs
from chaos_surroundings import Tolerant, rpc_of, severed
from harness import request
from sipsieve_analysis.operate.rpc import RpcError
from sipsieve_analysis.operate.running import Running

#: The load is trusted, so that it is neither limited nor banned, and inspected like all other.
POLICY = """[log]
summary_seconds = 1
[network]
trusted = ["127.12.0.0/16"]
[limits]
capacity = 1024
"""
BROKEN = "[log]\nsumary_seconds = 1\n"

#: Who sends what uses up a worker's private memory: Kamailio keeps each of its header fields.
DEAR_CALLER = "127.12.0.3"
DEAR = request("OPTIONS", headers=("a:b",) * 12_900)

#: Who has calls open that nobody answers, until shared memory is used up, once in so many seconds. That troubles others until
#: so many bytes are free again: Kamailio gives such a call up after ten seconds (kamailio.cfg's `fr_timer`), and what it held
#: after five more.
HOARDER = "127.12.0.4"
HOARDED = tuple(f"X-Pad-{number}: {'x' * 400}" for number in range(100))
HOARDS_EVERY = 60.0
PLENTY = 16 << 20

#: Ever new sources: more in a minute than the policy's `capacity` has places for.
CROWD = "127.{}.{}.{}"
CROWDED = 3000

#: What is done to the server.
ACTIONS = ("kill", "fill", "rotate", "cut", "flip", "clock", "reload", "squeeze", "hoard", "crowd", "part")

#: Seconds by which the wall clock is set, at the most, either way.
STEP = 7200


@dataclass
class Troubles:
    """What was done and when, by the steady clock: what the load may suffer from."""

    restarts: list[float] = field(default_factory=list)
    #: From when to when there was no shared memory left.
    shortages: list[tuple[float, float]] = field(default_factory=list)
    #: When each action was last done, the latest last.
    last: dict[str, float] = field(default_factory=dict)
    #: Invariants that did not hold.
    broken: list[str] = field(default_factory=list)


class Faults:
    """Each method named in `ACTIONS` does one thing to the server, by chance from `chance`."""

    def __init__(
        self,
        folder: Path,
        server: Tolerant,
        logs: Logs,
        chance: random.Random,
        troubles: Troubles,
        over: threading.Event,
    ) -> None:
        self.folder = folder
        self.server = server
        self.logs = logs
        self.random = chance
        self.troubles = troubles
        self.over = over
        #: The least bytes of shared memory that were seen to be free.
        self.least = 1 << 40
        self.clock_file = folder / "clock"

    def restart(self) -> None:
        """What systemd does where a process was killed."""
        self.troubles.restarts.append(time.monotonic())
        self.server.stop(signal.SIGKILL)
        self.server.start()
        self.troubles.restarts.append(time.monotonic())

    def kill(self) -> None:
        os.kill(self.random.choice(self.server.started), signal.SIGKILL)
        self.restart()

    def fill(self) -> None:
        filler = self.folder / "filler"
        with suppress(OSError), filler.open("wb") as file:
            while True:
                file.write(b"\0" * 65536)
                file.flush()
        self.over.wait(self.random.uniform(0.5, 2))
        filler.unlink()

    def rotate(self) -> None:
        moved = self.logs.next()
        with suppress(FileNotFoundError):
            self.server.log.rename(moved)
            self.logs.moved(moved)
        self.logs.put_away()

    def flip(self) -> None:
        kept = self.folder / self.random.choice(("last-good.json", "decisions.jsonl.ledger", "bans.json"))
        with suppress(FileNotFoundError, ValueError, OSError):
            content = bytearray(kept.read_bytes())
            content[self.random.randrange(len(content))] ^= 1 << self.random.randrange(8)
            kept.write_bytes(content)

    def cut(self) -> None:
        """What `copytruncate` does, but while nobody writes: a record between copy and cut would be lost to this account."""
        log = self.server.log
        copy = self.logs.next()
        stopped = self.server.children()
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            with suppress(FileNotFoundError, OSError):
                content = log.read_bytes()
                os.truncate(log, 0)
                # The disk has room for it now, whatever fills it.
                copy.write_bytes(content)
                self.logs.moved(copy)
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)

    def clock(self) -> None:
        """Sets the wall clock of the server, and of nobody else."""
        new = self.clock_file.with_suffix(".new")
        with suppress(OSError):
            new.write_text(f"{self.random.randint(-STEP, STEP):+d}s\n")
            if new.stat().st_size:
                new.replace(self.clock_file)

    def reload(self) -> None:
        good = self.random.random() < 0.5
        self.server.policy.write_text(POLICY if good else BROKEN)
        try:
            Running(str(self.folder / "sipsieve_rpc.fifo")).ask("reload")
        except RpcError:
            pass
        except Exception as error:
            if good:
                self.troubles.broken.append(f"a good policy was not taken: {error}")
        # A start on the broken one needs a last good one, which may be damaged: that is another test's.
        self.server.policy.write_text(POLICY)

    def squeeze(self) -> None:
        """Uses up the workers' private memory for as long as such a message is looked at."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((DEAR_CALLER, 0))
            for _ in range(10):
                with suppress(OSError):
                    sock.sendto(DEAR, ("127.0.0.1", self.server.port))

    def hoard(self) -> None:
        """Uses up shared memory by calls that are left open; at most once in a while, so that it comes back between."""
        now = time.monotonic()
        if self.troubles.shortages and now - self.troubles.shortages[-1][0] < HOARDS_EVERY:
            return
        self.troubles.shortages.append((now, math.inf))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, suppress(RpcError, OSError):
            sock.bind((HOARDER, 0))
            sock.settimeout(0.2)
            for number in range(3000):
                sock.sendto(
                    request("MESSAGE", uri="sip:nobody@example.com", headers=HOARDED), ("127.0.0.1", self.server.port)
                )
                # Not more at once than a socket holds, and until one can't be taken: Kamailio refuses that itself.
                if not number % 20:
                    self.over.wait(0.01)
                    if self.free() < 1 << 20:
                        break

    def free(self) -> int:
        """Bytes of shared memory that are left. Kamailio 6.0 tells of a little less than nothing as of 2^64 less that."""
        told = int(rpc_of(self.server).call("core.shmmem")["free"])
        self.least = min(self.least, told if told < 1 << 63 else 0)
        return told if told < 1 << 63 else 0

    def look_at_memory(self) -> None:
        """Ends the shortage once there is plenty again: from then on every call counts."""
        if self.troubles.shortages and self.troubles.shortages[-1][1] == math.inf:
            with suppress(RpcError):
                if self.free() > PLENTY:
                    self.troubles.shortages[-1] = (self.troubles.shortages[-1][0], time.monotonic())

    def crowd(self) -> None:
        """More sources than there are places to count them in."""
        message = request("OPTIONS")
        first = self.random.randrange(20, 120)
        for number in range(CROWDED):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, suppress(OSError):
                sock.bind((CROWD.format(first, number // 250, number % 250 + 1), 0))
                sock.sendto(message, ("127.0.0.1", self.server.port))
            if not number % 100:
                self.over.wait(0.01)

    def part(self) -> None:
        """Cuts the network between the nodes, for less and for longer than what is sent again."""
        with severed():
            self.over.wait(self.random.uniform(0.5, 4))
