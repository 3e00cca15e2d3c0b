"""Carries a running server's bans to where they outlive it: a state file, and the kernel."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sipsieve.abuse.bans import Entry, dump, entry

from .banlist import BANS
from .kernel import Kernel, KernelError
from .rpc import Rpc, RpcError

#: Seconds after which the file is written anew though no ban changed, so that its age tells that the keeper lives.
_REFRESH = 60.0


class KeepError(Exception):
    """The keeper can't do its work at all; says what to do."""


class Keeper:
    """Follows one server's table of bans."""

    def __init__(self, rpc: Rpc, state: Path | None, nft: str = "", clock: Callable[[], float] = time.time) -> None:
        """`state`: the file, None for none. `nft`: FAMILY/TABLE of the nftables sets, "" for none."""
        self._rpc = rpc
        self._state = state
        self._kernel = Kernel(nft) if nft else None
        self._clock = clock
        self._written: dict[str, str] | None = None
        self._when = 0.0

    def run(self, every: float, say: Callable[[str], None]) -> None:
        """Until SIGTERM or SIGINT. A server that is down is waited for. Raises `KeepError`."""
        with until_signal() as stop:
            trouble = ""
            while True:
                try:
                    self.once()
                    if trouble:
                        say("the server answers again")
                    trouble = ""
                except (RpcError, KernelError, OSError) as error:
                    if isinstance(error, KernelError) and error.hopeless:
                        raise KeepError(str(error)) from error
                    if str(error) != trouble:
                        trouble = str(error)
                        say(trouble)
                if stop.wait(every):
                    return

    def once(self) -> None:
        """One look. Raises `RpcError`, `KernelError`, `OSError`."""
        started = self._started()
        table = self._rpc.table(BANS)
        if self._started() != started:
            # The server was restarted while it was asked: an empty table is not that nobody is banned.
            return
        now = self._clock()
        read = (entry(key, value) for key, value in table.items())
        entries = [one for one in read if one is not None and one.until > now]
        if self._state is not None and (table != self._written or now - self._when > _REFRESH):
            write(self._state, entries, now)
            self._written, self._when = table, now
        if self._kernel is not None:
            self._kernel.follow(entries, now)

    def _started(self) -> object:
        return self._rpc.call("core.uptime")["up_since"]


def write(path: Path, entries: list[Entry], now: float) -> None:
    """Writes the state file."""
    replace(path, dump(entries, now), 0o640)


def replace(path: Path, text: str, mode: int) -> None:
    """Replaces a file in one step, so that whoever reads it finds the old or the new one whole. Raises `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(beside, "x", encoding="ascii", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            beside.unlink()


@contextlib.contextmanager
def until_signal() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set."""
    stop = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, lambda *_: stop.set())
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
