"""One Kamailio process with its environment: started, watched, ended by its id."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent.parent

#: Seconds that a condition may take on a busy machine before it is given up.
DEADLINE: Final = 20.0

#: Seconds that a server may take to come up, however busy the machine; one that ends meanwhile is told of at once.
START: Final = 180.0

#: Seconds between words about what is waited for.
PROGRESS: Final = 5.0


class StartError(RuntimeError):
    """A process that did not come up: names it, with the end of its output."""


def wait_for(
    condition: Callable[[], Any], what: str, seconds: float = DEADLINE, say: Callable[[str], object] | None = None
) -> Any:
    """The first true value of `condition`. Raises `TimeoutError` with `what` after the deadline.

    `say` is told every few seconds what is waited for.
    """
    began = time.monotonic()
    told = began
    while True:
        value = condition()
        if value:
            return value
        now = time.monotonic()
        if now - began > seconds:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        if say is not None and now - told >= PROGRESS:
            told = now
            say(f"waiting for {now - began:.0f} s: {what}")
        time.sleep(0.02)


def free_port(address: str = "127.0.0.1") -> int:
    """A port that is free for UDP and TCP, below the range that the kernel hands out."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for _ in range(200):
        port = random.randint(15000, 30000)
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as udp, socket.socket(family, socket.SOCK_STREAM) as tcp:
                udp.bind((address, port))
                tcp.bind((address, port))
        except OSError:
            continue
        return port
    raise StartError("no free port between 15000 and 30000")


def bound(port: int) -> bool:
    """Whether some process has bound the UDP port."""
    return any(f":{port:04X} " in Path(f"/proc/net/{table}").read_text() for table in ("udp", "udp6"))


class Process:
    """A program in a folder and a session of its own, with its output in a file."""

    def __init__(self, argv: list[str], folder: Path, environment: dict[str, str], port: int, name: str) -> None:
        self.argv = argv
        self.folder = folder
        self.environment = environment
        self.port = port
        self.name = name
        self.output = folder / f"{name}.out"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts and waits until the port is bound. Raises `StartError`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.output.open("ab") as output:
            self.process = process = subprocess.Popen(
                self.argv, env={**os.environ, **self.environment}, stdout=output, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL, cwd=self.folder, start_new_session=True,
            )  # fmt: skip
        wait_for(
            lambda: process.poll() is not None or bound(self.port),
            f"{self.name} listens; see {self.output}",
            START,
            lambda text: print(text, file=sys.stderr, flush=True),
        )
        if process.poll() is not None:
            raise StartError(f"{self.name} ended with {process.returncode}:\n{self.text()[-4000:]}")

    def alive(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.poll() is None

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ends it, with all that it started, and returns its exit code."""
        if self.process is None:
            return 0
        for kind in (how, how, how, signal.SIGKILL):
            if self.process.poll() is not None:
                break
            # Kamailio's main loop looks for a signal, then waits for one: what comes between the two is not seen before the next.
            self.process.send_signal(kind)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
        # Workers of a killed main process live on; the session is ours alone.
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        return self.process.returncode

    def text(self) -> str:
        """What it wrote so far."""
        return self.output.read_text(errors="replace") if self.output.exists() else ""


def kamailio(
    folder: Path, config: Path, environment: dict[str, str], port: int, name: str, arguments: tuple[str, ...] = ()
) -> Process:
    """A Kamailio on `config`, in the foreground, with the memory manager that the project recommends."""
    argv = [
        "kamailio", "-f", str(config), "-DD", "-E", "-e", "-x", "tlsf", "-X", "tlsf", "-m", "64", "-M", "8",
        "-w", str(folder), "-Y", str(folder), "-P", str(folder / f"{name}.pid"), *arguments,
    ]  # fmt: skip
    return Process(argv, folder, environment, port, name)
