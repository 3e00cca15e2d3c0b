"""Reads recorded traffic for trials: decision logs, captures and servers' logs, each in the order of its time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from sipsieve._core import Messages

from ..readers import envelopes, pcap, rawlog
from ..readers.kinds import FORMATS, InputError, InputKind, head_of, kind_of, lines, opened, read
from .records import Known, Reader
from .trials import Outcome, Trial

if TYPE_CHECKING:
    # The name of a shape, which the compiled module itself does not have.
    from sipsieve._core import TrialRecord

#: Lines of a log that are judged together.
_TOGETHER: Final = 8192

#: Messages of captures and logs of servers without a guard: they passed.
_PASSED: Final = "allow"

#: Called with the file's name, bytes done and bytes in all.
Progress = Callable[[str, int, int], None]


class Batch:
    """Some messages in their order, to be judged by any number of trials."""

    def __init__(
        self, known: list[Known], records: list[TrialRecord] | None, messages: Messages | None, own: Sequence[str] = ()
    ) -> None:
        """`own`: the server's addresses, which it never bans."""
        self.known = known
        self._records = records
        self._messages = messages
        self._own = own

    def judged(self, trial: Trial) -> list[Outcome]:
        """What a trial makes of them."""
        if self._messages is not None:
            return trial.messages(self._messages)
        trial.spare(self._own)
        return trial.records(self._records or [])


class Recording:
    """Files of recorded traffic."""

    def __init__(self, paths: Sequence[Path], trial: Trial, progress: Progress | None = None) -> None:
        """`trial`: the policy that is tried, whose rules say which recorded findings count. Raises `InputError`."""
        self.reader = Reader(trial.ruleset, trial.policy.detection.paranoia)
        self.skipped: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self._progress = progress or (lambda name, done, total: None)
        self._paths = sorted(
            ((kind_of(path), path) for path in files(paths)), key=lambda entry: begin(entry[1], entry[0])
        )
        if not self._paths:
            raise InputError(f"nothing to read: there is no file in what was named.\nFormats known: {FORMATS}")

    def batches(self) -> Iterator[Batch]:
        """All messages. Raises `InputError`."""
        for kind, path in self._paths:
            size = path.stat().st_size
            self._progress(path.name, 0, size)
            if kind is InputKind.DECISIONS:
                yield from self._decisions(path, size)
            elif kind is not InputKind.EMPTY:
                for messages in found(path, kind, self.skipped, partial(self._told, path.name, size)):
                    self.kinds[kind.value] += len(messages)
                    known = [
                        Known(time, ip, "", _PASSED, (), "", 0, uri=_called(raw)) for time, ip, _, _, raw, _ in messages.list()
                    ]  # fmt: skip
                    yield Batch(known, None, messages)
            self._progress(path.name, size, size)

    def _decisions(self, path: Path, size: int) -> Iterator[Batch]:
        with opened(path) as stream:
            held: list[bytes] = []
            for line in lines(stream, skipped=self.skipped):
                if line.strip():
                    held.append(line)
                if len(held) >= _TOGETHER:
                    yield self._batch(held)
                    held = []
                    self._progress(path.name, position(stream, size), size)
            if held:
                yield self._batch(held)

    def _told(self, name: str, size: int, done: int) -> None:
        self._progress(name, done, size)

    def _batch(self, held: list[bytes]) -> Batch:
        found = self.reader.read(held)
        self.kinds[InputKind.DECISIONS.value] += len(found)
        return Batch([known for known, _ in found], [record for _, record in found], None, self.reader.own)


def _called(raw: bytes) -> str:
    """The Request-URI of an INVITE (RFC 3261 7.1); "" of anything else."""
    if not raw.startswith(b"INVITE "):
        return ""
    return raw[7:519].partition(b" ")[0].decode("utf-8", "surrogateescape")


def found(
    path: Path, kind: InputKind, skipped: Counter[str], progress: Callable[[int], None] = lambda done: None
) -> Iterator[Messages]:
    """The messages of a capture or a server's log. `progress` is told the bytes done. Raises `InputError`."""
    size = path.stat().st_size
    if kind is InputKind.PCAP:
        with opened(path) as stream:
            for messages in pcap.messages(stream, skipped):
                progress(position(stream, size))
                yield messages
        return
    wrapped = envelopes.is_wrapped(head_of(path))
    turns, month = 0, 0
    if not wrapped:
        with opened(path) as stream:
            turns, month = rawlog.years(read(stream, Counter()))
    newest = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    reader = rawlog.LogReader(UTC, newest, skipped, (), turns, month)
    with opened(path) as stream:
        pieces = read(stream, skipped)
        for found, _ in rawlog.messages(reader, envelopes.unwrapped(pieces) if wrapped else pieces):
            yield found


def files(paths: Sequence[Path]) -> Iterator[Path]:
    """The files among these and in folders among these."""
    for path in paths:
        if path.is_dir():
            yield from (entry for entry in sorted(path.iterdir()) if entry.is_file() and entry.name[:1] != ".")
        else:
            yield path


def begin(path: Path, kind: InputKind) -> str:
    """What sorts decision logs by their first record; others stay where they were named, behind these."""
    if kind is InputKind.DECISIONS:
        for line in head_of(path).split(b"\n"):
            if line.startswith(b'{"@timestamp":"'):
                return line[15:42].decode("ascii", "replace")
    return "~"


def position(stream: IO[bytes], size: int) -> int:
    """How many of a file's bytes were read, as far as its stream knows."""
    try:
        return min(stream.tell(), size)
    except (OSError, ValueError):
        return 0
