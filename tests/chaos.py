"""A real server under mixed load while workers are killed, disk and memory fill up, the clock is set, files are cut and damaged,
and the network to the other node of its cluster is cut.

A seed replays a run.

Call it by `make chaos` (SECONDS, SEED). It mounts a small disk and cuts a network in namespaces of its own, so it needs root. Exit code 1, with what
was broken, where an invariant does not hold.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from backend import Backend, answer
from chaos_surroundings import Tolerant, hears, kept_bans, membership, rpc_of, severed
from harness import SDP, invite, request, status
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
HOSTILE = '"\' or 1=1--" <sip:mallory@example.com>;tag=1'

#: RFC 3261 17.1.1.2: an INVITE is sent again after 0.5, 1, 2, 4, 8, 16 s.
RETRANSMISSIONS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)

#: Seconds around a restart in which a call may need more than one retransmission.
AROUND = 5.0

CALLER = "127.12.0.1"
ATTACKER = "127.12.0.2"

#: Who sends what uses up a worker's private memory: Kamailio keeps each of its header fields.
DEAR_CALLER = "127.12.0.3"
DEAR = request("OPTIONS", headers=("a:b",) * 12_900)

#: Megabytes of private memory, half of what is usual.
PRIVATE = "4"

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

#: Who is banned, so that there are bans to keep and to restore: a new address with each look.
STRANGERS = "127.13.{}.{}"

#: Bytes of the disk that log and ledger stand on.
DISK = 40 * 1024 * 1024

#: Seconds after which a log that was moved is counted and removed.
PUT_AWAY = 10.0

#: What is done to the server.
ACTIONS = ("kill", "fill", "rotate", "cut", "flip", "clock", "reload", "squeeze", "hoard", "crowd", "part")

#: Seconds by which the wall clock is set, at the most, either way.
STEP = 7200

#: How much the processes may have grown at the end, in bytes each.
GROWTH = 16 * 1024 * 1024


#: Seconds between two calls: Kamailio keeps each transaction for half a minute, and its shared memory is small here.
PAUSE = 0.02


class Chaos:
    """One run: the server, its load, and what is done to it."""

    def __init__(self, folder: Path, seed: int, actions: tuple[str, ...] = ACTIONS) -> None:
        self.folder = folder
        self.actions = actions
        self.random = random.Random(seed)
        self.over = threading.Event()
        self.sent: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.restarts: list[float] = []
        #: From when to when.
        self.shortages: list[tuple[float, float]] = []
        self.began = time.monotonic()
        #: When each action was last done, the latest last.
        self.last: dict[str, float] = {}
        self.broken: list[str] = []
        self.done: Counter[str] = Counter()
        self.banned = 0
        self.short = 0
        #: The least bytes of shared memory that were seen to be free.
        self.least = 1 << 40
        self.rotated: list[Path] = []
        self.moved_at: dict[Path, float] = {}
        #: Messages of each source on record in logs that were put away, so that hours fit on the disk.
        self.put_away: Counter[str] = Counter()
        self.clock_file = folder / "clock"
        self.server: Tolerant
        self.neighbour: Tolerant

    def restart(self) -> None:
        """What systemd does where a process was killed."""
        self.restarts.append(time.monotonic())
        self.server.stop(signal.SIGKILL)
        self.server.start()
        self.restarts.append(time.monotonic())

    # What is done to the server

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
        moved = self.server.log.with_name(f"decisions.{len(self.moved_at)}.jsonl")
        with suppress(FileNotFoundError):
            self.server.log.rename(moved)
            self.rotated.append(moved)
            self.moved_at[moved] = time.monotonic()
        # A worker writes on in a log that was moved for a second.
        for path in [path for path in self.rotated if time.monotonic() - self.moved_at[path] > PUT_AWAY]:
            self.put_away += self.count(self.server.records("", path, current=False))
            self.rotated.remove(path)
            path.unlink()

    def flip(self) -> None:
        kept = self.folder / self.random.choice(("last-good.json", "decisions.jsonl.ledger", "bans.json"))
        with suppress(FileNotFoundError, ValueError, OSError):
            content = bytearray(kept.read_bytes())
            content[self.random.randrange(len(content))] ^= 1 << self.random.randrange(8)
            kept.write_bytes(content)

    def cut(self) -> None:
        """What `copytruncate` does, but while nobody writes: a record between copy and cut would be lost to this account."""
        log = self.server.log
        copy = log.with_name(f"decisions.{len(self.moved_at)}.jsonl")
        stopped = self.server.children()
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            with suppress(FileNotFoundError, OSError):
                content = log.read_bytes()
                os.truncate(log, 0)
                # The disk has room for it now, whatever fills it.
                copy.write_bytes(content)
                self.rotated.append(copy)
                self.moved_at[copy] = time.monotonic()
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
                self.broken.append(f"a good policy was not taken: {error}")
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
        if self.shortages and now - self.shortages[-1][0] < HOARDS_EVERY:
            return
        self.shortages.append((now, math.inf))
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
        if self.shortages and self.shortages[-1][1] == math.inf:
            with suppress(RpcError):
                if self.free() > PLENTY:
                    self.shortages[-1] = (self.shortages[-1][0], time.monotonic())

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

    # The load

    def call(self, source: str, data: bytes, again: bool) -> tuple[int, int]:
        """The final answer's status, 0 without one, and how many retransmissions it took."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((source, 0))
            sock.connect(("127.0.0.1", self.server.port))
            for number, wait in enumerate(RETRANSMISSIONS if again else (1.0,)):
                with suppress(ConnectionError):
                    sock.send(data)
                    self.sent[source] += source in (CALLER, ATTACKER)
                until = time.monotonic() + wait
                while (left := until - time.monotonic()) > 0:
                    sock.settimeout(left)
                    try:
                        reply = sock.recv(65535)
                    except TimeoutError:
                        break
                    except ConnectionError:
                        # Nobody listens: a restart.
                        self.over.wait(min(left, 0.05))
                        continue
                    if status(reply) >= 200:
                        self.answered[source] += source in (CALLER, ATTACKER)
                        return status(reply), number
        return 0, len(RETRANSMISSIONS)

    def calls(self) -> None:
        while not self.over.is_set():
            began = time.monotonic()
            code, again = self.call(CALLER, invite(), True)
            ended = time.monotonic()
            self.over.wait(PAUSE)
            near = any(began - AROUND < moment < ended + AROUND for moment in self.restarts)
            short = any(first < ended and began < last for first, last in list(self.shortages))
            if short and code in (0, 408, 500):
                # Kamailio has no memory to forward it with, or to take the answer with.
                self.short += 1
            elif code != 200:
                self.broken.append(f"{self.lately(began)}: a customer's call was answered {code}")
            elif again > 1 and not near and not short:
                self.broken.append(
                    f"{self.lately(began)}: a customer's call took {again} retransmissions, no restart near"
                )

    def lately(self, moment: float) -> str:
        """What was done before that moment, for whoever looks for a cause."""
        last = [
            f"{name} {moment - at:.1f} s" for name, at in list(self.last.items()) if 0 <= moment - at < HOARDS_EVERY
        ]
        return f"second {moment - self.began:.0f}, after {', '.join(last)}"

    def attacks(self) -> None:
        while not self.over.is_set():
            code, _ = self.call(ATTACKER, invite(from_=HOSTILE), False)
            self.over.wait(PAUSE / 4)
            if code not in (0, 403):
                self.broken.append(f"an attack was answered {code}")

    def strangers(self) -> None:
        number = 0
        while not self.over.wait(1):
            number += 1
            for _ in range(8):
                code, _ = self.call(STRANGERS.format(number // 250, number % 250 + 1), invite(from_=HOSTILE), False)
                if not code:
                    self.banned += 1
                    break

    # Invariants

    def accounted(self, source: str) -> int:
        return self.put_away[source] + self.count(self.server.records("", *self.rotated))[source]

    @staticmethod
    def count(records: list[dict[str, Any]]) -> Counter[str]:
        """The messages of each source that records tell of."""
        found: Counter[str] = Counter()
        for record in records:
            if record["event"]["kind"] in ("event", "metric"):
                found[record.get("source", {}).get("ip", "")] += record["event"].get("count", 1)
        return found

    def resident(self) -> int:
        sizes = []
        for pid in self.server.children():
            text = Path(f"/proc/{pid}/status").read_text()
            found = re.search(r"RssAnon:\s+(\d+) kB", text)
            sizes.append(int(found[1]) * 1024 if found else 0)
        return max(sizes)

    def run(self, seconds: float) -> dict[str, object]:
        """Runs for so long and returns what was seen; what is broken is in `broken`."""

        def script(message: bytes) -> list[bytes]:
            contact = ("Contact: <sip:bob@127.0.0.1>", "Content-Type: application/sdp")
            return [answer(message, headers=contact, body=SDP)] if message.startswith(b"INVITE ") else []

        actions: list[Callable[[], None]] = [getattr(self, name) for name in self.actions]
        self.clock_file.write_text("+0s\n")
        state = self.folder / "bans.json"
        environment = {
            "LD_PRELOAD": str(next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))),
            "FAKETIME_TIMESTAMP_FILE": str(self.clock_file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "SIPSIEVE_STATE": str(state),
            **membership(0),
        }
        with (
            Backend(script) as backend,
            tempfile.TemporaryDirectory(prefix="sipsieve-chaos-node-") as elsewhere,
            Tolerant(Path(elsewhere), POLICY, workers=1, environment=membership(1)) as neighbour,
            Tolerant(
                self.folder,
                POLICY,
                backend=backend.uri,
                workers=2,
                environment=environment,
                arguments=("-M", PRIVATE),
            ) as server,
            kept_bans(server, state),
        ):
            self.server = server
            self.neighbour = neighbour
            threads = [threading.Thread(target=work) for work in (self.calls, self.attacks, self.strangers)]
            for thread in threads:
                thread.start()
            before, end = self.resident(), time.monotonic() + seconds
            try:
                # Each at least once, however short the run.
                for action in self.random.sample(actions, len(actions)):
                    self.did(action)
                while time.monotonic() < end:
                    self.did(self.random.choice(actions))
            finally:
                self.over.set()
                for thread in threads:
                    thread.join(60)
            if not server.alive():
                self.broken.append("the server is down")
            for source in (CALLER, ATTACKER):
                until = time.monotonic() + 20
                while self.accounted(source) < self.answered[source] and time.monotonic() < until:
                    time.sleep(0.2)
                if self.accounted(source) < self.answered[source]:
                    lost = self.answered[source] - self.accounted(source)
                    self.broken.append(f"{lost} answered messages of {source} are in no record or count")
                if self.accounted(source) > self.sent[source]:
                    self.broken.append(f"{source} sent {self.sent[source]}, {self.accounted(source)} are accounted for")
            if not neighbour.alive():
                self.broken.append("the other node is down")
            for speaker, listener, source in ((server, neighbour, "127.15.0.1"), (neighbour, server, "127.15.0.2")):
                if not hears(speaker, listener, source):
                    self.broken.append(f"a ban of {source} did not reach the other node")
            grown = self.resident() - before
            if grown > GROWTH:
                self.broken.append(f"a process has grown by {grown} bytes")
        return {
            "done": dict(self.done),
            "sent": dict(+self.sent),
            "answered": dict(+self.answered),
            "banned": self.banned,
            "short of memory": self.short,
            "least free": self.least,
            "grown": grown,
        }

    def did(self, action: Callable[[], None]) -> None:
        """One action, and a pause in which what it broke shows; a server that ended by itself is told of."""
        self.last.pop(action.__name__, None)
        self.last[action.__name__] = time.monotonic()
        action()
        self.done[action.__name__] += 1
        self.over.wait(self.random.uniform(0.2, 1.5))
        self.look_at_memory()
        if not self.server.alive():
            self.broken.append(f"the server ended by itself after {action.__name__}")
            self.restart()


def main() -> int:
    """Runs, prints what was seen as JSON, and tells by the exit code whether all invariants held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--only", choices=ACTIONS, nargs="*", default=ACTIONS, help="What is done to the server.")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    seed = random.randrange(1 << 30) if asked.seed is None else asked.seed
    if not asked.inside:
        again = [
            sys.executable,
            __file__,
            "--seconds",
            str(asked.seconds),
            "--seed",
            str(seed),
            "--only",
            *asked.only,
            "--inside",
        ]
        return subprocess.run(["unshare", "-mn", *again], check=False).returncode
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory(prefix="sipsieve-chaos-") as name:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", name], check=True)
        try:
            chaos = Chaos(Path(name), seed, tuple(asked.only))
            seen = chaos.run(asked.seconds)
            if chaos.broken:
                print(chaos.server.text()[-3000:], file=sys.stderr)
        finally:
            subprocess.run(["umount", "-l", name], check=False)
    print(json.dumps({"seed": seed, "seconds": asked.seconds, **seen, "broken": chaos.broken[:20]}))
    return 1 if chaos.broken else 0


if __name__ == "__main__":
    sys.exit(main())
