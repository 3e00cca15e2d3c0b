"""Runs inside the proof's namespace: a read-only machine without a network, a scratch Kamailio, messages, and what came of them.

A program of its own: `inside.py JOB` prints one line of JSON. It imports nothing of the package.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import resource
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

#: The one place that can be written to.
ROOM: Final = "/tmp/proof"
DATABASE: Final = f"sqlite:///{ROOM}/scratch.db"
NOBODY: Final = 65534
PORT: Final = 5060

_PLAIN: Final = re.compile(rb"\x1b\[[0-9;]*m")
_TABLE: Final = re.compile(r"(?i)\b(?:from|join|into|update)\s+([\w.`\"]+)")
_PSEUDO: Final = {
    "proc",
    "sysfs",
    "devpts",
    "cgroup2",
    "cgroup",
    "mqueue",
    "devtmpfs",
    "debugfs",
    "securityfs",
    "bpf",
    "tracefs",
}


def main(job: Path) -> dict[str, str]:
    """Fires all shots; finding's number → what came of it, and "trouble" where nothing could be fired."""
    work = json.loads(job.read_text())
    _shut_in(job.parent / "root")
    room = Path(ROOM)
    room.mkdir()
    database = _database(room)
    (room / "k.cfg").write_text(work["config"])
    for path in (room, *room.iterdir()):
        os.chown(path, NOBODY, NOBODY)
    with (room / "log").open("wb") as log:
        server = subprocess.Popen(
            ["kamailio", "-f", str(room / "k.cfg"), "-l", f"udp:127.0.0.1:{PORT}", "-DD", "-E", "-e", "-m", "64", "-M", "8",
             "-w", ROOM, "-Y", ROOM],
            stdout=log, stderr=log, cwd=ROOM, preexec_fn=_small, env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": ROOM},
        )  # fmt: skip
    try:
        if not _until(_listens, 15, lambda: server.poll() is not None):
            return {"trouble": f"the scratch server did not start: {_last_error(room / 'log')}"}
        found: dict[str, str] = {}
        for shot in work["shots"]:
            number = str(shot["finding"])
            if found.get(number) != "confirmed":
                came = _fire(shot, room / "log", database)
                # How far the furthest came.
                if came == "confirmed" or "database" not in found.get(number, ""):
                    found[number] = came
        if server.poll() is not None:
            found.setdefault("trouble", "the scratch server ended")
        return found
    finally:
        server.kill()
        server.wait()


def _shut_in(root: Path) -> None:
    """Loopback only, everything read-only but for an empty /tmp, which is where the server runs."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    # In a chroot the root is no mount, and could not be made read-only as it is.
    root.mkdir()
    subprocess.run(["mount", "--rbind", "/", str(root)], check=True)
    os.chroot(root)
    os.chdir("/")
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if kind not in _PSEUDO and where not in {"/tmp", "/run"}:
            subprocess.run(["mount", "-o", "remount,bind,ro", where], capture_output=True, check=False)
    for where in ("/tmp", "/run", "/var/tmp", "/dev/shm"):
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64m,mode=1777", "tmpfs", where], capture_output=True, check=True
        )


def _small() -> None:
    """What the server, and every program that it starts, may take; and nobody's rights."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (32 << 20, 32 << 20))
    resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def _database(room: Path) -> sqlite3.Connection:
    """A database with Kamailio's own tables, where they are installed."""
    database = sqlite3.connect(room / "scratch.db", isolation_level=None, timeout=5)
    for script in sorted(Path("/usr/share/kamailio/db_sqlite").glob("*-create.sql")):
        with contextlib.suppress(sqlite3.Error):
            database.executescript(script.read_text())
    database.execute("CREATE TABLE IF NOT EXISTS version (table_name, table_version)")
    return database


def _fire(shot: dict[str, Any], log: Path, database: sqlite3.Connection) -> str:
    """What a message has done: "confirmed", or how far it came. Tables and columns that a query asks for are made as it asks."""
    said = ""
    for _ in range(24):
        begun = log.stat().st_size
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            # Not the same transaction twice.
            sent = shot["message"].replace("z9hG4bKaudit", f"z9hG4bKaudit{time.monotonic_ns()}")
            sender.sendto(sent.encode("utf-8", "surrogateescape"), ("127.0.0.1", PORT))
        if shot["kind"] == "shell":
            done = _until(lambda: Path(shot["mark"]).exists(), 1.5)
            return "confirmed" if done else "no command was run behind any of the messages"
        if _until(functools.partial(_says, log, begun, b"malformed JSON"), 0.7):
            return "confirmed"
        failures = _failures(_said(log, begun).decode("utf-8", "replace"))
        if failures:
            said = f"it came to the database, which said: {failures[-1][0]}"
        provided = [_provide(why, query, database) for why, query in failures]
        if not any(provided):
            break
    return said or "no sign of it behind any of the messages"


def _provide(why: str, query: str, database: sqlite3.Connection) -> bool:
    """Makes what a query missed; False where that can't be made."""

    def name(text: str) -> str:
        return '"' + text.rpartition(".")[2].strip('`"[]') + '"'

    with contextlib.suppress(sqlite3.Error):
        if found := re.search(r"no such table: (\S+)", why):
            database.execute(f"CREATE TABLE {name(found[1])} (proof_id)")
            database.execute(f"INSERT INTO {name(found[1])} VALUES (1)")  # noqa: S608
            return True
        if found := re.search(r"table (\S+) has no column named (\S+)", why):
            database.execute(f"ALTER TABLE {name(found[1])} ADD COLUMN {name(found[2])}")
            return True
        if (found := re.search(r"no such column: (\S+)", why)) and (tables := _TABLE.findall(query)):
            database.execute(f"ALTER TABLE {name(tables[0])} ADD COLUMN {name(found[1])}")
            database.execute(f"INSERT INTO {name(tables[0])} DEFAULT VALUES")
            return True
        if found := re.search(r"table (\S+) has \d+ columns? but (\d+) values were supplied", why):
            columns = ", ".join(["proof_id", *(f"c{number}" for number in range(1, min(int(found[2]), 200)))])
            database.execute(f"DROP TABLE {name(found[1])}")
            database.execute(f"CREATE TABLE {name(found[1])} ({columns})")
            return True
    return False


def _said(log: Path, since: int) -> bytes:
    with log.open("rb") as file:
        file.seek(since)
        return _PLAIN.sub(b"", file.read(1 << 20))


def _says(log: Path, since: int, word: bytes) -> bool:
    return word in _said(log, since)


def _failures(said: str) -> list[tuple[str, str]]:
    """What SQLite refused, and the query, as Kamailio writes both, in lines that follow each other."""
    found: list[tuple[str, str]] = []
    why = ""
    for line in said.splitlines():
        if "failed to prepare statement: " in line:
            why = line.partition("failed to prepare statement: ")[2]
        elif why and "cannot do the query [" in line:
            found.append((why, line.partition("cannot do the query [")[2].removesuffix("]")))
            why = ""
    return found


def _last_error(log: Path) -> str:
    lines = [
        line for line in _said(log, 0).decode("utf-8", "replace").splitlines() if "ERROR" in line or "CRIT" in line
    ]
    return re.sub(r"^.*?(?:ERROR|CRITICAL): ", "", lines[0])[:200] if lines else "it said nothing"


def _listens() -> bool:
    return f":{PORT:04X} " in Path("/proc/net/udp").read_text()


def _until(holds: Callable[[], bool], seconds: float, over: Callable[[], bool] = lambda: False) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        if over():
            return False
        time.sleep(0.02)
    return holds()


if __name__ == "__main__":
    assert shutil.which("ip"), "ip (iproute2) is missing"
    print(json.dumps(main(Path(sys.argv[1]))))
