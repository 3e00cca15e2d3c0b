"""Brings any mix of input files into the events table, and remembers what could not be read."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import IO, Final

from .events import Store, damaged
from .readers import pcap, rawlog
from .readers.kinds import InputError, InputKind, compression, kind_of, lines, opened
from .readers.rebuilt import record
from .readers.replayed import Replay

#: What an input can't show, by its kind.
BLIND: Final = {
    InputKind.RAW: (
        "A raw Kamailio log shows only what went wrong. Well-formed requests leave no line, so volumes are lower "
        "bounds, and a well-formed attack is invisible in it.",
        "Of most malformed messages it prints the broken header alone: User-Agent, targets, Content-Length and body are "
        "known only where Kamailio printed the whole message.",
        "Where no line names the source (\u201crequired headers not found\u201d) the message can't be given to anyone.",
    ),
    InputKind.PCAP: (
        "A capture shows no decision: what the guard would have done is computed from its default rules and policy.",
        "SIP over TLS in a capture can't be read.",
    ),
    InputKind.DECISIONS: (),
}

#: Called with the file's name, bytes done and bytes in all.
Progress = Callable[[str, int, int], None]


@dataclass(slots=True)
class Intake:
    """What was read: records by kind of input, lines that were none, and what is invisible."""

    records: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    files: list[tuple[str, str]] = field(default_factory=list)

    @property
    def blind(self) -> list[str]:
        """What these inputs can't show."""
        kinds = [kind for kind in BLIND if self.records[kind.value]]
        return [text for kind in kinds for text in BLIND[kind]]


class Collector:
    """Reads files into a store, one after the other."""

    def __init__(
        self, store: Store, folder: Path, zone: tzinfo, progress: Progress | None = None, year: int = 0
    ) -> None:
        self._store = store
        self._folder = folder
        self._zone = zone
        self._year = year
        self._progress = progress or (lambda name, done, total: None)
        self._engine: Replay | None = None
        self.intake = Intake()
        self._serial = 0

    def add(self, path: Path) -> None:
        """Adds one file, or each file of a folder. Raises `InputError`."""
        if path.is_dir():
            for entry in sorted(path.iterdir()):
                if entry.is_file() and not entry.name.startswith("."):
                    self.add(entry)
            return
        kind = kind_of(path)
        size = path.stat().st_size
        self._progress(path.name, 0, size)
        if kind is InputKind.DECISIONS:
            self._decisions(path)
        elif kind is InputKind.RAW:
            self._raw(path, size)
        elif kind is InputKind.PCAP:
            self._pcap(path, size)
        self.intake.files.append((str(path), kind.value))
        self._progress(path.name, size, size)

    @property
    def _replay(self) -> Replay:
        # Compiling the rules takes seconds, and decision logs need none.
        if self._engine is None:
            self._engine = Replay()
        return self._engine

    def _next(self, suffix: str) -> Path:
        self._serial += 1
        return self._folder / f"input-{self._serial}{suffix}"

    def _decisions(self, path: Path) -> None:
        # DuckDB reads plain and gzip files itself; a link spares it names that it takes for patterns.
        how = compression(path)
        near = self._next(".jsonl")
        if how in ("", "gzip"):
            near.symlink_to(path.resolve())
        else:
            with opened(path) as stream, near.open("wb") as out:
                shutil.copyfileobj(stream, out, 1 << 20)
        try:
            good, bad = self._store.add(near, InputKind.DECISIONS.value)
        except Exception as error:
            if not damaged(error):
                raise
            good, bad = self._tolerant(path)
        near.unlink(missing_ok=True)
        self.intake.records[InputKind.DECISIONS.value] += good
        if bad:
            self.intake.skipped["lines that are no decision records"] += bad

    def _tolerant(self, path: Path) -> tuple[int, int]:
        """For a damaged archive or absurdly long lines: what can be read, line by line."""
        near = self._next(".jsonl")
        bad = 0
        with opened(path) as stream, near.open("wb") as out:
            for line in lines(stream):
                if line.startswith(b"{") and line.rstrip().endswith(b"}"):
                    out.write(line.rstrip(b"\r\n") + b"\n")
                elif line.strip():
                    bad += 1
        good, more = self._store.add(near, InputKind.DECISIONS.value)
        near.unlink()
        return good, bad + more

    def _raw(self, path: Path, size: int) -> None:
        newest = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        if self._year:
            newest = datetime(self._year, 12, 31, 23, 59, 59, tzinfo=UTC)
        reader = rawlog.LineReader(self._zone, newest, self.intake.skipped)
        with opened(path) as stream:
            found = list(
                rawlog.messages(reader.read(self._watched(path, stream, lines(stream), size)), self.intake.skipped)
            )
        near = self._next(".jsonl")
        with near.open("wb") as out:
            for raw in found:
                out.write(record(raw, reader.settle(raw.time), self._replay))
        self._take(near, InputKind.RAW)

    def _pcap(self, path: Path, size: int) -> None:
        near = self._next(".jsonl")
        with opened(path) as stream, near.open("wb") as out:
            for number, frame in enumerate(pcap.frames(path, stream, self.intake.skipped)):
                if number % 4096 == 0:
                    self._progress(path.name, _position(stream, size), size)
                out.write(self._replay.record(frame.raw, frame.ip, frame.port, frame.transport, frame.time)[1])
        self._take(near, InputKind.PCAP)

    def _watched(self, path: Path, stream: IO[bytes], texts: Iterable[bytes], size: int) -> Iterable[bytes]:
        for number, text in enumerate(texts):
            if number % 16384 == 0:
                self._progress(path.name, _position(stream, size), size)
            yield text

    def _take(self, near: Path, kind: InputKind) -> None:
        if near.stat().st_size:
            good, _ = self._store.add(near, kind.value)
            self.intake.records[kind.value] += good
        near.unlink()


def _position(stream: IO[bytes], size: int) -> int:
    try:
        # Of a decompressor this is beyond the packed file's size; the bar then just waits at its end.
        return min(stream.tell(), size)
    except (OSError, ValueError):
        return 0


__all__ = ["BLIND", "Collector", "InputError", "Intake"]
