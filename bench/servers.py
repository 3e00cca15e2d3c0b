"""The servers that are measured: alike in everything but what checks the messages."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import meter

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from harness import Server, exchange, free_port, status, wait_for

__all__ = ["KINDS", "Measured", "core_built", "exchange", "free_port", "status", "wait_for"]

CONFIG: Final = Path(__file__).with_name("kamailio.cfg")

#: Limits that count every message and are never reached: counting is part of the cost, refusing is not. Each of
#: the bench's sources sends what ten thousand phones do; with these limits it is as quiet as a phone.
LIMITS: Final = "".join(
    f"[limits.{name}]\nper_minute = 10000000\n" for name in ("invite", "register", "other", "dialog", "targets")
)

#: Set-up by name: words defined for bench/kamailio.cfg, and how the decision log is kept.
KINDS: Final = {
    "bare": ((), ""),
    "native": (("BENCH_NATIVE",), ""),
    "summary": (("BENCH_SIPSIEVE",), 'allow = "summary"'),
    "each": (("BENCH_SIPSIEVE",), 'allow = "each"'),
    "replay": (("BENCH_SIPSIEVE",), 'record = "replay"'),
}

#: What a summary record counts.
_COUNT: Final = re.compile(rb'"kind":"metric","action":"[a-z]+","count":([0-9]+)')

#: User-Agents on secfilter's blocklist: as many names as sipsieve's rule for attack tools has.
_BLOCKED: Final = (
    "friendly-scanner",
    "friendly-request",
    "sipvicious",
    "sipcli",
    "sip-scan",
    "sipscan",
    "sundayddr",
    "VaxSIPUserAgent",
    "pplsip",
    "EagleSIP",
    "iWar",
    "sipptk",
)


def core_built() -> str:
    """How the core that is measured was built, in a line: without a profile it is not the one that users get."""
    from sipsieve import _core

    return f"core built {'by' if _core.PROFILED else 'WITHOUT'} a profile" + (
        "" if _core.PROFILED else ": `make profile core` builds the one that the Debian package has"
    )


def emptied(log: Path, writers: list[int]) -> bytes:
    """What is in a log, which is empty then; nothing that these processes write is lost."""
    # A counted record is written whenever a second is over: one between reading and cutting would be nowhere.
    with meter.stopped(writers):
        lines = log.read_bytes()
        os.truncate(log, 0)
    return lines


class Measured(Server):
    """A server of the bench, kept on certain cores."""

    def __init__(
        self,
        folder: Path,
        kind: str,
        *,
        workers: int = 1,
        cores: set[int] | None = None,
        backend: str = "",
        limits: str = LIMITS,
    ) -> None:
        words, log = KINDS[kind]
        policy = f"[log]\n{log}\nsummary_seconds = 1\n{limits}" if log else ""
        port = free_port()
        super().__init__(
            folder,
            policy,
            CONFIG,
            port=port,
            listen=f"udp:127.0.0.1:{port}",
            backend=backend or "none",
            workers=workers,
            environment={"BENCH_CTL": f"unix:{folder}/ctl", "BENCH_DB": f"text://{folder}"},
            arguments=tuple(
                argument for word in (*words, *(("BENCH_RELAY",) if backend else ())) for argument in ("-A", word)
            ),
        )
        self.kind = kind
        self.cores = cores
        #: Messages that were sent to the server, and those that its decision log accounts for, as far as read.
        self.sent = 0
        self.recorded = 0
        # secfilter reads its list from a database: two text files.
        (folder / "version").write_text("table_name(string) table_version(int)\nsecfilter:1\n")
        (folder / "secfilter").write_text(
            "id(int,auto) action(int) type(int) data(string)\n"
            + "".join(f"{number}:0:0:{name}\n" for number, name in enumerate(_BLOCKED, 1))
        )

    @property
    def pids(self) -> list[int]:
        """The server's processes."""
        assert self.process is not None
        return meter.processes(self.process.pid)

    @property
    def worker(self) -> int:
        """The process that was busiest, but for the main one, which alone read the configuration: with one worker, that."""
        return max(self.pids[1:], key=lambda pid: meter.cpu([pid]))

    def start(self) -> Measured:
        """Starts on its cores; processes inherit them."""
        mine = os.sched_getaffinity(0)
        os.sched_setaffinity(0, self.cores or mine)
        try:
            super().start()
        finally:
            os.sched_setaffinity(0, mine)
        wait_for(lambda: (self.folder / "ctl").exists(), f"the control socket of {self.kind}")
        return self

    def __enter__(self) -> Measured:
        return self.start()

    def rpc(self, *words: str) -> str:
        """Asks the server by `kamcmd`."""
        done = subprocess.run(
            ["kamcmd", "-s", f"unix:{self.folder}/ctl", *words], capture_output=True, text=True, timeout=20, check=True
        )
        return done.stdout

    def settle(self) -> int:
        """Reads and empties the decision log, which would grow by a gigabyte a minute; returns `recorded`."""
        if self.log.exists():
            lines = emptied(self.log, self.pids)
            self.recorded += lines.count(b'"kind":"event"')
            self.recorded += sum(int(count) for count in _COUNT.findall(lines))
        return self.recorded

    def account(self) -> int:
        """Messages that the decision log accounts for, once it has all that the kernel handed over; fails where it has not.

        What the kernel dropped is read here and not slot by slot: on a busy machine a datagram may reach the socket, or
        be dropped there, when its slot is long over.
        """
        due = 0

        def all_there() -> bool:
            nonlocal due
            due = self.sent - meter.drained(self.port).dropped
            return self.settle() == due

        try:
            wait_for(all_there, "the decision log accounts for every message")
        except AssertionError as error:
            raise SystemExit(
                f"bench: {self.kind}: {error}: {self.recorded} are in it, {due} of {self.sent} reached the socket, and "
                f"{meter.backlog_dropped()} were lost before any socket since the machine started; see {self.folder}"
            ) from None
        return due

    def ban(self, address: str) -> None:
        """Shuts an address out, as sipsieve or the native chain does."""
        if self.kind == "native":
            self.rpc("htable.sets", "ban", address, "1")
        elif self.kind != "bare":
            self.rpc("htable.sets", "sipsieve_bans", address, f"a|bench|0|{1 << 31}|1|")
