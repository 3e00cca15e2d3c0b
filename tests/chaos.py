"""A real server under mixed load while workers are killed, disk and memory fill up, the clock is set, files are cut and damaged,
and the network to the other node of its cluster is cut.

A seed replays a run.

Call it by `make chaos` (SECONDS, SEED). It mounts a small disk and cuts a network in namespaces of its own, so it needs root. Exit code 1, with what
was broken, where an invariant does not hold.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from backend import Backend, answer
from chaos_faults import ACTIONS, POLICY, Faults, Troubles
from chaos_load import ATTACKER, CALLER, Load
from chaos_logs import Logs
from chaos_surroundings import Tolerant, hears, kept_bans, membership
from chaos_watch import watched
from harness import SDP

#: Megabytes of private memory, half of what is usual.
PRIVATE = "4"

#: Bytes of the disk that log and ledger stand on.
DISK = 40 * 1024 * 1024

#: How much the processes may have grown at the end, in bytes each.
GROWTH = 16 * 1024 * 1024


class Chaos:
    """One run: the server and what stands beside it, and the invariants that are looked at."""

    def __init__(self, folder: Path, seed: int, actions: tuple[str, ...] = ACTIONS) -> None:
        self.folder = folder
        self.actions = actions
        self.random = random.Random(seed)
        self.over = threading.Event()
        self.troubles = Troubles()
        self.done: Counter[str] = Counter()
        self.server: Tolerant
        self.faults: Faults

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

        clock = self.folder / "clock"
        clock.write_text("+0s\n")
        state = self.folder / "bans.json"
        environment = {
            "LD_PRELOAD": str(next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))),
            "FAKETIME_TIMESTAMP_FILE": str(clock),
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
            watched() as watch,
        ):
            self.server, troubles = server, self.troubles
            logs, load = Logs(server), Load(server.port, troubles, self.over, watch)
            self.faults = faults = Faults(self.folder, server, logs, self.random, troubles, self.over)
            actions: list[Callable[[], None]] = [getattr(faults, name) for name in self.actions]
            threads = [threading.Thread(target=work) for work in (load.calls, load.attacks, load.strangers)]
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
                self.troubles.broken.append("the server is down")
            for source in (CALLER, ATTACKER):
                until = time.monotonic() + 20
                while logs.accounted(source) < load.answered[source] and time.monotonic() < until:
                    time.sleep(0.2)
                if logs.accounted(source) < load.answered[source]:
                    lost = load.answered[source] - logs.accounted(source)
                    self.troubles.broken.append(f"{lost} answered messages of {source} are in no record or count")
                if logs.accounted(source) > load.sent[source]:
                    self.troubles.broken.append(
                        f"{source} sent {load.sent[source]}, {logs.accounted(source)} are accounted for"
                    )
            if not neighbour.alive():
                self.troubles.broken.append("the other node is down")
            for speaker, listener, source in ((server, neighbour, "127.15.0.1"), (neighbour, server, "127.15.0.2")):
                if not hears(speaker, listener, source):
                    self.troubles.broken.append(f"a ban of {source} did not reach the other node")
            grown = self.resident() - before
            if grown > GROWTH:
                self.troubles.broken.append(f"a process has grown by {grown} bytes")
        return {
            "done": dict(self.done),
            "sent": dict(+load.sent),
            "answered": dict(+load.answered),
            "banned": load.banned,
            "short of memory": load.short,
            "least free": faults.least,
            "grown": grown,
            "late answers by cause": dict(watch.causes),
        }

    def did(self, action: Callable[[], None]) -> None:
        """One action, and a pause in which what it broke shows; a server that ended by itself is told of."""
        self.troubles.last.pop(action.__name__, None)
        self.troubles.last[action.__name__] = time.monotonic()
        action()
        self.done[action.__name__] += 1
        self.over.wait(self.random.uniform(0.2, 1.5))
        self.faults.look_at_memory()
        if not self.server.alive():
            self.troubles.broken.append(f"the server ended by itself after {action.__name__}")
            self.faults.restart()


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
            if chaos.troubles.broken:
                print(chaos.server.text()[-3000:], file=sys.stderr)
        finally:
            subprocess.run(["umount", "-l", name], check=False)
    print(json.dumps({"seed": seed, "seconds": asked.seconds, **seen, "broken": chaos.troubles.broken[:50]}))
    return 1 if chaos.troubles.broken else 0


if __name__ == "__main__":
    sys.exit(main())
