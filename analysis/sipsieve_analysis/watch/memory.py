"""What a watch remembers, in one database file: events, position, whom it told of what. All or nothing at each step."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..events import Store
from .follow import Chunk, Position


class StateError(Exception):
    """A state folder that can't be used: says why and what to do."""


class Memory:
    """The state folder of one watch. Only one process may use it."""

    def __init__(self, folder: Path, memory: str) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o750)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StateError(
                f"{folder}: another sipsieve watch uses it; give each log its own --state folder"
            ) from error
        except OSError as error:
            raise StateError(
                f"{folder}: cannot be used: {error.strerror}; name a writable folder with --state"
            ) from error
        self._folder = folder
        try:
            self.store = Store(folder, memory)
        except Exception as error:
            raise StateError(f"{folder}: {error}") from error
        self._sql = self.store.con
        for statement in (
            "CREATE TABLE IF NOT EXISTS position (log VARCHAR PRIMARY KEY, text VARCHAR)",
            "CREATE TABLE IF NOT EXISTS known (ip VARCHAR, type VARCHAR, tier INTEGER, PRIMARY KEY (ip, type))",
            "CREATE TABLE IF NOT EXISTS outbox (id VARCHAR, sink VARCHAR, text VARCHAR, PRIMARY KEY (id, sink))",
            "CREATE TABLE IF NOT EXISTS reports (name VARCHAR PRIMARY KEY)",
            "CREATE TABLE IF NOT EXISTS named (span VARCHAR, ip VARCHAR, PRIMARY KEY (span, ip))",
            "CREATE TABLE IF NOT EXISTS skipped (kind VARCHAR PRIMARY KEY, lines BIGINT)",
        ):
            self._sql.execute(statement)

    @contextmanager
    def step(self) -> Iterator[None]:
        """Everything inside happens, or nothing does."""
        self._sql.execute("BEGIN TRANSACTION")
        try:
            yield
        except BaseException:
            self._sql.execute("ROLLBACK")
            raise
        self._sql.execute("COMMIT")

    def position(self, log: Path) -> Position:
        """How far that log was read."""
        row = self._sql.execute("SELECT text FROM position WHERE log = ?", [str(log)]).fetchone()
        return Position(**json.loads(row[0])) if row else Position()

    def take(self, log: Path, chunk: Chunk, lines: bytes, kind: str) -> tuple[int, int]:
        """Adds records and moves the position in one step. Returns how many lines were records, and how many not."""
        near = Path(tempfile.mkstemp(suffix=".jsonl", dir=self._folder)[1])
        try:
            near.write_bytes(lines)
            with self.step():
                good, bad = self.store.add(near, kind) if lines.strip() else (0, 0)
                names = ("device", "inode", "offset", "mark", "marked")
                text = json.dumps({name: getattr(chunk.position, name) for name in names})
                self._sql.execute("INSERT OR REPLACE INTO position VALUES (?, ?)", [str(log), text])
                if bad:
                    self.skip("lines that are no decision records", bad)
        finally:
            near.unlink()
        return good, bad

    def add(self, lines: bytes, kind: str) -> None:
        """Adds records that no position belongs to."""
        near = Path(tempfile.mkstemp(suffix=".jsonl", dir=self._folder)[1])
        try:
            near.write_bytes(lines)
            with self.step():
                self.store.add(near, kind)
        finally:
            near.unlink()

    def skip(self, kind: str, lines: int) -> None:
        """Counts lines that could not be read."""
        self._sql.execute(
            "INSERT INTO skipped VALUES (?, ?) ON CONFLICT DO UPDATE SET lines = lines + excluded.lines", [kind, lines]
        )

    def skipped(self) -> dict[str, int]:
        """Lines that could not be read, by kind."""
        return dict(self._sql.execute("SELECT kind, lines FROM skipped ORDER BY kind").fetchall())

    def tiers(self) -> dict[tuple[str, str], int]:
        """The highest tier (3 immediate, 0 low) that was told for an address and campaign type."""
        return {(ip, kind): tier for ip, kind, tier in self._sql.execute("SELECT ip, type, tier FROM known").fetchall()}

    def know(self, pairs: list[tuple[str, str]], tier: int) -> None:
        """Remembers what was told."""
        rows = [(ip, kind, tier) for ip, kind in pairs]
        if rows:
            self._sql.executemany(
                "INSERT INTO known VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET tier = greatest(tier, excluded.tier)",
                rows,
            )

    def post(self, identity: str, sinks: list[str], alert: dict[str, Any]) -> None:
        """Puts an alert into the outbox, once for each sink."""
        for sink in sinks:
            self._sql.execute("INSERT OR IGNORE INTO outbox VALUES (?, ?, ?)", [identity, sink, json.dumps(alert)])

    def pending(self, sink: str) -> list[tuple[str, dict[str, Any]]]:
        """Alerts that a sink has not had yet, in their order."""
        rows = self._sql.execute("SELECT id, text FROM outbox WHERE sink = ? ORDER BY rowid", [sink]).fetchall()
        return [(identity, json.loads(text)) for identity, text in rows]

    def delivered(self, identity: str, sink: str) -> None:
        """Takes an alert out of the outbox."""
        self._sql.execute("DELETE FROM outbox WHERE id = ? AND sink = ?", [identity, sink])

    def set_aside(self, line: str) -> Path:
        """Keeps what no place will ever take. Returns the file that has it now."""
        path = self._folder / "undelivered.jsonl"
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            os.write(descriptor, line.encode() + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return path

    def named(self, span: str) -> set[str]:
        """Addresses that a report of this span (daily, weekly) has told of."""
        return {ip for (ip,) in self._sql.execute("SELECT ip FROM named WHERE span = ?", [span]).fetchall()}

    def name(self, span: str, addresses: list[str]) -> None:
        """Remembers that a report has told of them."""
        if addresses:
            self._sql.executemany("INSERT OR IGNORE INTO named VALUES (?, ?)", [(span, ip) for ip in addresses])

    def reported(self) -> set[str]:
        """Names of the reports that were written."""
        return {name for (name,) in self._sql.execute("SELECT name FROM reports").fetchall()}

    def report(self, name: str) -> None:
        """Remembers that a report was written."""
        self._sql.execute("INSERT OR IGNORE INTO reports VALUES (?)", [name])

    def bounds(self) -> tuple[int, int, int]:
        """First and last event in microseconds, and how many there are."""
        row = self._sql.execute(
            "SELECT coalesce(min(time_us), 0), coalesce(max(time_us), 0), count(*) FROM events"
        ).fetchone()
        return (int(row[0]), int(row[1]), int(row[2])) if row else (0, 0, 0)

    def holds(self, begin_us: int, end_us: int) -> bool:
        """Whether there is an event from the one time on and before the other, in microseconds."""
        asked = "SELECT 1 FROM events WHERE time_us >= ? AND time_us < ? LIMIT 1"
        return self._sql.execute(asked, [begin_us, end_us]).fetchone() is not None

    def forget(self, before_us: int) -> None:
        """Drops events that are older than what any report still needs."""
        self._sql.execute("DELETE FROM events WHERE time_us < ?", [before_us])

    def close(self) -> None:
        """Lets go of the folder."""
        self.store.close()
        os.close(self._lock)
