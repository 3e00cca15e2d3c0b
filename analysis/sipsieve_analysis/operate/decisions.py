"""Reads the decision log: whole files, compressed ones too, or one file as it grows."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from .forms import Record as Record
from .forms import upgrade

#: A record is at most some 20 KB; whatever is longer is not one of ours.
MAX_LINE: Final = 262_144


class Reader:
    """Decodes lines; what is no record is counted in `bad`, never fatal."""

    def __init__(self) -> None:
        self.bad = 0
        self.lines = 0

    def decode(self, line: bytes) -> Record | None:
        """One line as a record of today's form; None (and counted) where it is none."""
        self.lines += 1
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if isinstance(record, dict) and isinstance(record.get("event"), dict) and "@timestamp" in record:
            return upgrade(record)
        self.bad += 1
        return None

    def read(self, paths: Iterable[Path]) -> Iterator[Record]:
        """All records of these files, in their order. Raises `OSError` on a file that can't be read."""
        for path in paths:
            with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
                while line := file.readline(MAX_LINE):
                    if not line.strip():
                        continue
                    if not line.endswith(b"\n") and len(line) == MAX_LINE:
                        self.bad += 1
                        self.lines += 1
                        while line and not line.endswith(b"\n"):
                            line = file.readline(MAX_LINE)
                        continue
                    if (record := self.decode(line)) is not None:
                        yield record


class Growing:
    """One log file as it grows, through rotation and truncation."""

    def __init__(self, path: Path, last: int) -> None:
        """`last`: how many of the lines that are there already are handed out first."""
        self._path = path
        self._last = last
        self._descriptor = -1
        self._inode = (0, 0)
        self._rest = b""

    def lines(self) -> list[bytes]:
        """The whole lines that were added since the last call; [] where there are none (yet)."""
        found: list[bytes] = []
        if self._descriptor < 0 and not self._open():
            return found
        found += self._more()
        try:
            there = os.stat(self._path)
        except OSError:
            return found
        if (there.st_dev, there.st_ino) != self._inode:
            os.close(self._descriptor)
            self._descriptor, self._rest = -1, b""
            if self._open():
                found += self._more()
        elif there.st_size < os.lseek(self._descriptor, 0, os.SEEK_CUR):
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            self._rest = b""
        return found

    def _open(self) -> bool:
        try:
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            self._last = -1
            return False
        mine = os.fstat(self._descriptor)
        self._inode = (mine.st_dev, mine.st_ino)
        if self._last >= 0:
            os.lseek(self._descriptor, self._start_of_last(mine.st_size), os.SEEK_SET)
            self._last = -1
        return True

    def _start_of_last(self, size: int) -> int:
        """Where the last `_last` lines begin, found from the end."""
        if not self._last:
            return size
        position, seen = size, 0
        while position:
            step = min(65536, position)
            block = os.pread(self._descriptor, step, position - step)
            at = len(block)
            while (at := block.rfind(b"\n", 0, at)) >= 0:
                # The file's own last line end begins no line.
                if position - step + at + 1 < size:
                    seen += 1
                if seen >= self._last:
                    return position - step + at + 1
            position -= step
        return 0

    def _more(self) -> list[bytes]:
        pieces: list[bytes] = [self._rest]
        while block := os.read(self._descriptor, 1 << 20):
            pieces.append(block)
        *whole, self._rest = b"".join(pieces).split(b"\n")
        if len(self._rest) > MAX_LINE:
            self._rest = b""
        return [line for line in whole if line.strip()]


def action_of(record: Record) -> str:
    """What was decided: `allow`, `scrub`, `reject`, `drop`, `error`, `banned`, or what a notice says."""
    return str(record["event"].get("action", ""))


def is_message(record: Record) -> bool:
    """Whether it is one message's record, and not a count or a notice."""
    return bool(record["event"].get("kind") == "event")


def is_observed(record: Record) -> bool:
    """Whether what was decided was not carried out."""
    return bool(record["event"].get("outcome") == "unknown")


def ours_of(record: Record) -> dict[str, Any]:
    """What the record says in fields of its own, `sipsieve.*`; {} where it has none."""
    ours = record.get("sipsieve")
    return ours if isinstance(ours, dict) else {}


def text_at(value: object, *path: str) -> str:
    """The text at the end of a path of names, as of `sip.from.uri.original`; "" where there is none."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return "" if value is None else str(value)


def would_block(record: Record) -> bool:
    """Whether the message was let through only because of observe mode."""
    return is_observed(record) and is_message(record) and action_of(record) in ("reject", "drop", "scrub")


def source_of(record: Record) -> str:
    """The sender's address; "" where there is none."""
    source = record.get("source")
    return str(source.get("ip", "")) if isinstance(source, dict) else ""


def findings_of(record: Record) -> list[dict[str, Any]]:
    """The findings as written, [] without any."""
    found = record.get("findings")
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def weightiest(record: Record) -> dict[str, Any]:
    """The finding that the decision's reason tells of, else the one that weighs most; {} where there is none."""
    reason = str(record["event"].get("reason", ""))
    found = findings_of(record)
    told = [one for one in found if one.get("reason") and reason.endswith(f": {one['reason']}")]
    return max(told or found, key=lambda one: int(one.get("score") or 0), default={})
