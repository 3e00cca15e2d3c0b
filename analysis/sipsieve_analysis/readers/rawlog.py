"""Reads the log of a Kamailio that runs without the guard: the core puts its lines together into messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta, tzinfo

from sipsieve._core import Log, Messages, Years


class FormatError(Exception):
    """A format of `--xlog` that can't be read: says why."""


class LogReader:
    """One log, fed in pieces. `newest`: when it was last written; `turns`: how often the year changes in it, of which
    lines of the classic form say nothing, and `month`: of its last line (0: unknown)."""

    def __init__(
        self,
        zone: tzinfo,
        newest: datetime,
        skipped: Counter[str],
        formats: Sequence[str] = (),
        turns: int = 0,
        month: int = 0,
    ) -> None:
        self._zone = zone
        self._skipped = skipped
        local = newest.astimezone(zone)
        # The log's last year is that of its last change.
        last = local.year - (1 if month > local.month else 0)
        try:
            self._core = Log(newest.timestamp(), last - turns, list(formats), self._offset)
        except ValueError as error:
            raise FormatError(str(error)) from error

    def _offset(self, seconds: int) -> int:
        local = datetime(1970, 1, 1) + timedelta(seconds=seconds)
        offset = local.replace(tzinfo=self._zone).utcoffset() if self._zone is not UTC else None
        return int(offset.total_seconds()) if offset is not None else 0

    def feed(self, piece: bytes) -> Messages:
        """The messages that are complete with this piece."""
        found = self._core.feed(piece)
        self._skipped.update(dict(self._core.skipped()))
        return found

    def finish(self) -> Messages:
        """What is left at the end."""
        found = self._core.finish()
        self._skipped.update(dict(self._core.skipped()))
        return found

    def unread(self) -> list[bytes]:
        """Lines that were not understood since this was last asked."""
        return self._core.unread()

    @property
    def sample(self) -> str | None:
        """The first line that was not understood."""
        return self._core.sample


def years(pieces: Iterable[bytes]) -> tuple[int, int]:
    """How often the year changes in a log of the classic form, and the month of its last line (0: it has none)."""
    found = Years()
    for piece in pieces:
        found.feed(piece)
    return found.found()


def messages(reader: LogReader, pieces: Iterable[bytes]) -> Iterator[tuple[Messages, list[bytes]]]:
    """The messages of a log, as it is read, and lines that were not understood."""
    for piece in pieces:
        yield reader.feed(piece), reader.unread()
    yield reader.finish(), reader.unread()
