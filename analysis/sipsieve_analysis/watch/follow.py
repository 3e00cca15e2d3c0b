"""Reads on in a log from where it stopped, through rotation, truncation and restarts."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..readers.kinds import InputError, compression, opened

#: Bytes at a file's start by which it is known again after its inode has changed.
_MARK: Final = 512

#: Bytes handed out at once.
_CHUNK: Final = 8 << 20


@dataclass(slots=True, frozen=True)
class Position:
    """How far a log was read: which file, and up to which byte. `mark` is a hash of its first `marked` bytes."""

    device: int = 0
    inode: int = 0
    offset: int = 0
    mark: str = ""
    marked: int = 0


@dataclass(slots=True, frozen=True)
class Chunk:
    """Whole lines, and the position behind them."""

    data: bytes
    position: Position


class Follower:
    """One log file under one name. Holds no file open between calls, so that rotation is free to act."""

    def __init__(self, path: Path, position: Position) -> None:
        self.path = path
        self.position = position

    def read(self) -> Iterator[Chunk]:
        """What is new, in chunks that end at line ends. The caller keeps each chunk's position with its records."""
        try:
            now = self.path.stat()
        except OSError:
            # Between the move and the reopening there is no file; what was moved is found below or next time.
            now = None
        known = self.position
        if known.inode and not (now and self._is_known(self.path, now)):
            # What is left of the file that was read before, then the files that came after it.
            rotated = self._rotated(known)
            if rotated is not None:
                yield from self._file(rotated, known.offset, final=True)
                for later in self._after(rotated):
                    yield from self._file(later, 0, final=True)
            if now is None:
                return
            yield from self._file(self.path, 0)
        elif now is not None:
            yield from self._file(self.path, known.offset)

    def _is_known(self, path: Path, stat: os.stat_result) -> bool:
        known = self.position
        return (
            (stat.st_dev, stat.st_ino) == (known.device, known.inode)
            and stat.st_size >= known.offset
            and _mark(path, known.marked) == known.mark
        )

    def _siblings(self) -> list[Path]:
        """Files beside the log that rotation has made of it, the oldest first."""
        others = (entry for entry in self.path.parent.glob(f"{_literal(self.path.name)}*") if entry != self.path)
        return [entry for _, entry in sorted((entry.stat().st_mtime_ns, entry) for entry in others if entry.is_file())]

    def _rotated(self, known: Position) -> Path | None:
        """The file that was read before, under its new name, compressed or not."""
        for entry in reversed(self._siblings()):
            try:
                if _mark(entry, known.marked) == known.mark:
                    return entry
            except (OSError, InputError):
                continue
        return None

    def _after(self, rotated: Path) -> list[Path]:
        siblings = self._siblings()
        return siblings[siblings.index(rotated) + 1 :] if rotated in siblings else []

    def _file(self, path: Path, offset: int, final: bool = False) -> Iterator[Chunk]:
        """Lines of one file from an offset on. The last line of a file that is `final` needs no line end."""
        try:
            stat = path.stat()
            packed = compression(path)
            with opened(path) as stream:
                if packed:
                    _skip(stream, offset)
                else:
                    stream.seek(offset)
                rest = b""
                while True:
                    data = rest + stream.read(_CHUNK)
                    if len(data) == len(rest):
                        break
                    end = data.rfind(b"\n") + 1
                    rest = data[end:]
                    if end:
                        offset += end
                        yield self._chunk(path, stat, data[:end], offset, bool(packed))
                    elif len(rest) > 2 * _CHUNK:
                        # No line is that long: it is given up as one bad line.
                        offset += len(rest)
                        yield self._chunk(path, stat, b"\n", offset, bool(packed))
                        rest = b""
                if final and rest:
                    yield self._chunk(path, stat, rest + b"\n", offset + len(rest), bool(packed))
        except (OSError, EOFError):
            return

    def _chunk(self, path: Path, stat: os.stat_result, data: bytes, offset: int, packed: bool) -> Chunk:
        marked = min(_MARK, offset)
        # A packed file's own inode says nothing: its content does.
        self.position = Position(stat.st_dev, stat.st_ino if not packed else -1, offset, _mark(path, marked), marked)
        return Chunk(data, self.position)


def _mark(path: Path, length: int) -> str:
    with opened(path) as stream:
        head = stream.read(length)
    return hashlib.sha256(head).hexdigest() if len(head) == length else ""


def _skip(stream: object, offset: int) -> None:
    while offset > 0:
        got = len(stream.read(min(offset, 1 << 20)))  # type: ignore[attr-defined]
        if not got:
            return
        offset -= got


def _literal(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)
