"""Hostile messages at a real Kamailio whose core is built with AddressSanitizer, on loopback in a namespace of its own.

The library is built by `make sanitized`; AddressSanitizer's own comes with gcc and is loaded before all others.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "detection"))

import differential

from harness import KEMI, ROOT, Server, exchange, request, status

POLICY = """[log]
record = "replay"
[bans]
enabled = false
"""

#: Messages between two questions whether the server still answers.
_ROUND = 100


def messages(seed: int) -> Iterator[bytes]:
    """Attacks in changed requests; some with bytes exchanged, some cut short."""
    rng = random.Random(seed)
    texts = differential.attacks(differential.engine())
    while True:
        raw = bytearray(differential.mutated(rng, texts)[0])
        if rng.random() < 0.1:
            for _ in range(rng.randrange(1, 30)):
                raw[rng.randrange(len(raw))] = rng.randrange(256)
        if rng.random() < 0.02:
            del raw[rng.randrange(32, len(raw)) :]
        yield bytes(raw[:65_000])


def play(library: Path, count: int, seed: int) -> str:
    """Sends them; what AddressSanitizer or the server had to say, "" for nothing."""
    with tempfile.TemporaryDirectory(prefix="as") as name:
        folder = Path(name)
        shutil.copytree(KEMI, folder / "kemi", ignore=shutil.ignore_patterns("core", "__pycache__"))
        shutil.copy(library, folder / "kemi" / "sipsieve" / "_core.abi3.so")
        first = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
        environment = {
            "SIPSIEVE_PYTHON": str(folder / "kemi" / "sipsieve_kemi.py"),
            "LD_PRELOAD": first.stdout.strip(),
            "ASAN_OPTIONS": f"detect_leaks=0:detect_odr_violation=0:log_path={folder}/asan",
        }
        with Server(folder / "s", POLICY, workers=2, environment=environment) as server:
            assert server.process is not None
            loaded = Path(f"/proc/{server.process.pid}/maps").read_text()
            if "libasan" not in loaded or f"{folder}/kemi/sipsieve/_core.abi3.so" not in loaded:
                return "Kamailio has not loaded the sanitized core"
            source = messages(seed)
            workers = set(server.started)
            for number in range(0, count, _ROUND):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                    sock.bind((f"127.{20 + number // _ROUND % 40}.{number // 4000 % 256}.1", 0))
                    for _ in range(_ROUND):
                        sock.sendto(next(source), ("127.0.0.1", server.port))
                asker = f"127.99.{number // 25_000 % 256}.{number // _ROUND % 250 + 1}"
                if status(exchange(server, request("OPTIONS"), source=asker)) != 200:
                    return f"no answer after {number + _ROUND} messages: {server.text()[-2000:]}"
                if sys.stderr.isatty():
                    print(f"\r{number + _ROUND} messages", end="", file=sys.stderr, flush=True)
            if not server.alive() or not workers <= set(server.children()):
                return f"a worker ended: {server.text()[-2000:]}"
        return "\n".join(report.read_text("utf-8", "replace") for report in sorted(folder.glob("asan*")))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", type=Path, help="the core, built with -Zsanitizer=address")
    parser.add_argument("--count", type=int, default=100_000, help="messages")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    differential.in_namespace()
    said = play(options.library, options.count, options.seed)
    print(said or f"{options.count} messages: nothing found, and each of {options.count // _ROUND} questions answered")
    return 1 if said else 0


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
