"""Hands out the decision records of recorded traffic: of logs as they are, of captures and servers' logs by the guard's own engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from ..readers.kinds import InputError, InputKind, kind_of, lines, opened
from ..readers.replayed import Replay
from ..tuning.recording import begin, files, found, position

#: Bytes of a message that are kept of captures.
_WHOLE = 65_535


class Source:
    """Files of recorded traffic, which can be read again and again."""

    def __init__(self, paths: Sequence[Path], progress: Callable[[str, int, int], None]) -> None:
        """Raises `InputError` where there is nothing to read."""
        self._paths = sorted(((kind_of(path), path) for path in files(paths)), key=lambda one: begin(one[1], one[0]))
        if not self._paths:
            raise InputError("nothing to read: there is no file in what was named")
        self._progress = progress
        self.skipped: Counter[str] = Counter()

    def lines(self) -> Iterator[bytes]:
        """All records, file by file, decision logs in the order of their first record. Raises `InputError`."""
        for kind, path in self._paths:
            size = path.stat().st_size
            if kind is InputKind.DECISIONS:
                with opened(path) as stream:
                    for place, line in enumerate(lines(stream, skipped=self.skipped)):
                        if place % 4096 == 0:
                            self._progress(path.name, position(stream, size), size)
                        yield line
            elif kind is not InputKind.EMPTY:
                replay = Replay(raw_bytes=_WHOLE)
                told = partial(self._told, path.name, size)
                for messages in found(path, kind, self.skipped, told):
                    yield from replay.records(messages).splitlines()
            self._progress(path.name, size, size)

    def _told(self, name: str, size: int, done: int) -> None:
        self._progress(name, done, size)
