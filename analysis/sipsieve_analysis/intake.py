"""Brings any mix of input files into the events table, and remembers what could not be read."""

from __future__ import annotations

import filecmp
import hashlib
import lzma
import shlex
import shutil
import zlib
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from queue import Queue
from typing import IO, TYPE_CHECKING, Final, Protocol, TypeVar, cast

from .archive.names import is_archive
from .events import Store, damaged
from .readers import envelopes, others, pcap, rawlog, templates
from .readers.blind import BLIND
from .readers.kinds import FORMATS, InputError, InputKind, compression, head_of, kind_of, lines, opened, read
from .readers.replayed import Replay

if TYPE_CHECKING:
    from .archive.reading import Content
    from .columnar import Piece

#: Which input tells of an event in most detail: where several tell of one, it is kept as the first of these tells it.
DETAIL: Final = (
    InputKind.DECISIONS, InputKind.PCAP, InputKind.HOMER, InputKind.RAW, InputKind.ZEEK, InputKind.ASTERISK, InputKind.FREESWITCH,
    InputKind.SURICATA, InputKind.FAIL2BAN,
)  # fmt: skip

#: Those that tell of messages and show none.
TOLD: Final = frozenset(
    {InputKind.ZEEK, InputKind.ASTERISK, InputKind.FREESWITCH, InputKind.SURICATA, InputKind.FAIL2BAN}
)

#: Logs that may hold nothing of SIP at all, without that being wrong.
QUIET: Final = frozenset(set(InputKind) - {InputKind.DECISIONS, InputKind.PCAP, InputKind.EMPTY, InputKind.HOMER})

#: What is said of records that were taken out again.
_AGAIN: Final = "records that another decision log has, too (counted once)"

#: Pieces of records that wait for the store, of some megabytes each.
_WAITING: Final = 4

#: Called with the file's name, bytes done and bytes in all.
Progress = Callable[[str, int, int], None]


@dataclass(slots=True)
class Intake:
    """What was read: records by kind of input, lines that were none, and what is invisible."""

    records: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    files: list[tuple[str, str]] = field(default_factory=list)
    #: Files of which nothing could be read, with the first line that was not understood ("" without one).
    unread: list[tuple[str, str]] = field(default_factory=list)

    #: What lines look like that nobody understood.
    forms: list[templates.Form] = field(default_factory=list)

    @property
    def blind(self) -> list[str]:
        """What these inputs can't show."""
        kinds = [kind for kind in BLIND if self.records[kind.value]]
        return [text for kind in kinds for text in BLIND[kind]]


class Collector:
    """Reads files into a store, one after the other."""

    def __init__(
        self,
        store: Store,
        folder: Path,
        zone: tzinfo,
        progress: Progress | None = None,
        year: int = 0,
        formats: Sequence[str] = (),
    ) -> None:
        self._store = store
        self._folder = folder
        self._zone = zone
        self._year = year
        self._progress = progress or (lambda name, done, total: None)
        self._engine: Replay | None = None
        self._others = others.Others()
        self._miner = templates.Miner()
        self.intake = Intake()
        self._serial = 0
        self._formats = tuple(formats)
        self._seen: set[tuple[int, int]] = set()
        self._heads: dict[bytes, list[Path]] = {}
        #: From and until when each decision log told, in microseconds.
        self._spans: list[tuple[int, int]] = []
        self._archived: set[Content] = set()

    def add(self, path: Path) -> None:
        """Adds one file, each file of a folder, or an archive. Raises `InputError`."""
        if is_archive(path):
            self._archive(path)
            return
        if path.is_dir():
            for entry in sorted(path.iterdir()):
                if entry.is_file() and not entry.name.startswith("."):
                    self.add(entry)
            return
        kind = kind_of(path)
        stat = path.stat()
        if (stat.st_dev, stat.st_ino) in self._seen:
            self.intake.skipped["files named twice (read once)"] += 1
            return
        self._seen.add((stat.st_dev, stat.st_ino))
        if kind is not InputKind.EMPTY and self._copy(path):
            self.intake.skipped["copies of files that were read already (read once)"] += 1
            return
        size, before = stat.st_size, self._told
        self._progress(path.name, 0, size)
        sample: str | None = None
        if kind is InputKind.DECISIONS:
            self._decisions(path)
        elif kind is InputKind.RAW:
            sample = self._raw(path, size)
        elif kind is InputKind.PCAP:
            self._pcap(path, size)
        elif kind is not InputKind.EMPTY:
            sample = self._other(path, size, kind)
        quiet = kind in QUIET and sample is None
        if self._told == before and not quiet:
            self.intake.unread.append((str(path), sample or ""))
        self.intake.files.append((str(path), kind.value))
        self._progress(path.name, size, size)

    @property
    def _told(self) -> int:
        """Records that were read so far, those too that were told again."""
        return self.intake.records.total() + self.intake.skipped.get(_AGAIN, 0)

    def _copy(self, path: Path) -> bool:
        """Whether a file holds what one that was read holds, compressed or not. Only files that begin alike are compared, and up to where
        they differ."""
        alike = self._heads.setdefault(hashlib.sha256(head_of(path)).digest(), [])
        if any(_same_content(other, path) for other in alike):
            return True
        alike.append(path)
        return False

    def _archive(self, path: Path) -> None:
        """Adds all that an archive holds."""
        # What reads Parquet takes half a second to import, and logs need none of it.
        from .archive.place import ArchiveError, Place
        from .archive.reading import hold, load, tell

        try:
            held = hold(Place(path), self._archived)
            self._progress(held.place.name, 0, held.rows)
            load(held, self._store)
        except ArchiveError as error:
            raise InputError(str(error)) from error
        tell(held, self.intake)
        self._progress(held.place.name, held.rows, held.rows)

    def finish(self) -> None:
        """After the last file: an event that several inputs tell of is kept once. Raises `InputError` where nothing was read."""
        merged(self._store, self.intake)
        self.intake.forms = self._miner.found()
        if not self.intake.records.total():
            self._nothing()

    def _nothing(self) -> None:
        """Says what was not understood, what is, and what to do. A quiet log of a known form is no error."""
        if self.intake.files and not self.intake.unread:
            return
        if not self.intake.files:
            raise InputError(f"nothing was read: there is no file in what was named.\nFormats known: {FORMATS}")
        name, sample = next((entry for entry in self.intake.unread if entry[1]), self.intake.unread[0])
        said = [
            f"{name}: nothing in it could be read"
            + (f"; the first line that was not understood:\n  {sample}" if sample else ".")
        ]
        said += [f"  {number:,} {what}" for what, number in self.intake.skipped.most_common(4)]
        said.append(f"Formats known: {FORMATS}")
        if self.intake.forms:
            said += ["", *form_lines(self.intake.forms, name)]
        if sample and not any(form.xlog for form in self.intake.forms):
            if not self._miner.is_there:
                said.append("pip install 'sipsieve[templates]' lets this say what such lines look like.")
            said.append(
                "Next: where a routing script wrote these lines, give the format of its xlog, as in\n"
                f"  sipsieve analyze --xlog '$rm from $si:$sp fu=$fu ua=$ua' {name}"
            )
        raise InputError("\n".join(said))

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
        behind = self._store.last()
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
        again = self._told_again(behind)
        if again:
            self.intake.skipped[_AGAIN] += again
        self.intake.records[InputKind.DECISIONS.value] += good - again
        if bad:
            self.intake.skipped["lines that are no decision records"] += bad

    def _told_again(self, behind: int) -> int:
        """Takes out what was added behind that row and an earlier log has, too; how many records those were.

        Logs that follow each other, as rotated ones do, share no time, and are not compared.
        """
        span = self._store.span(behind)
        if span is None:
            return 0
        common = [(max(first, span[0]), min(last, span[1])) for first, last in self._spans]
        shared = [one for one in common if one[0] <= one[1]]
        self._spans.append(span)
        if not shared:
            return 0
        return self._store.take_repeated(
            behind, InputKind.DECISIONS.value, min(first for first, _ in shared), max(last for _, last in shared)
        )

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

    def _raw(self, path: Path, size: int) -> str | None:
        """Reads a log; the first line that was not understood."""
        newest = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        if self._year:
            newest = datetime(self._year, 12, 31, 23, 59, 59, tzinfo=UTC)
        wrapped = envelopes.is_wrapped(head_of(path))
        turns, month = 0, 0
        if not wrapped:
            with opened(path) as stream:
                turns, month = rawlog.years(read(stream, Counter()))
        try:
            reader = rawlog.LogReader(self._zone, newest, self.intake.skipped, self._formats, turns, month)
        except rawlog.FormatError as error:
            raise InputError(f"--xlog: {error}") from error
        with opened(path) as stream, _Parts(self._store, InputKind.RAW, self.intake) as parts:
            pieces: Iterable[bytes] = self._watched(path, stream, size)
            for found, unread in _ahead(rawlog.messages(reader, envelopes.unwrapped(pieces) if wrapped else pieces)):
                if len(found):
                    parts.write(self._replay.columns(found, InputKind.RAW.value))
                self._miner.show(unread)
        return reader.sample

    def _other(self, path: Path, size: int, kind: InputKind) -> str | None:
        """Reads another program's log; the first line that was not understood."""
        newest = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        if self._year:
            newest = datetime(self._year, 12, 31, 23, 59, 59, tzinfo=UTC)
        reader = self._others.reader(kind, self._zone, newest, self.intake.skipped)
        wrapped = kind in others.WRAPPABLE and envelopes.is_wrapped(head_of(path))
        with opened(path) as stream, _Parts(self._store, kind, self.intake) as parts:
            pieces: Iterable[bytes] = self._watched(path, stream, size)
            if wrapped:
                pieces = (line + b"\n" for line in envelopes.texts(pieces))
            for records in others.records(reader, pieces, lambda found: self._replay.records(found)):
                parts.write(records)
        return reader.sample

    def _pcap(self, path: Path, size: int) -> None:
        with opened(path) as stream, _Parts(self._store, InputKind.PCAP, self.intake) as parts:
            for found in _ahead(pcap.messages(stream, self.intake.skipped)):
                self._progress(path.name, _position(stream, size), size)
                parts.write(self._replay.columns(found, InputKind.PCAP.value))

    def _watched(self, path: Path, stream: IO[bytes], size: int) -> Iterator[bytes]:
        for piece in read(stream, self.intake.skipped):
            yield piece
            self._progress(path.name, _position(stream, size), size)


class Merging(Protocol):
    """A store that can tell which rows are of one event."""

    def merge(self, kinds: list[str], told: Collection[str] = ()) -> int:
        """Takes out what an input of an earlier kind tells of as well; how many those were."""
        ...


def merged(store: Merging, intake: Intake) -> None:
    """Where several kinds of input were read, an event that several tell of is kept once."""
    if len(intake.records) > 1:
        again = store.merge([kind.value for kind in DETAIL], [kind.value for kind in TOLD])
        if again:
            intake.skipped["events that another input tells of in more detail (counted once)"] += again


def form_lines(forms: Sequence[templates.Form], name: str) -> list[str]:
    """What to say of lines that were not understood, and what to do."""
    said = ["Lines that were not understood look like this:"]
    for form in forms:
        said.append(f"  {form.lines:>9,}  {form.template}")
        if form.xlog:
            said.append(f"{'':>11}read them by: sipsieve analyze --xlog {shlex.quote(form.xlog)} {name}")
    if any(form.xlog for form in forms):
        said.append("Before that, see that $si stands where your script writes the source, and nowhere else.")
    return said


def _same_content(first: Path, second: Path) -> bool:
    """Whether two files hold the same bytes, decompressed. Archives that can't be decompressed are the same if their own bytes are."""
    sizes = first.stat().st_size, second.stat().st_size
    if sizes[0] == sizes[1] and filecmp.cmp(first, second, shallow=False):
        return True
    if not compression(first) and not compression(second):
        return False
    try:
        with opened(first) as one, opened(second) as other:
            while (piece := one.read(1 << 20)) == other.read(1 << 20):
                if not piece:
                    return True
    except (OSError, EOFError, lzma.LZMAError, zlib.error):
        pass
    return False


_Item = TypeVar("_Item")


def _ahead(items: Iterator[_Item]) -> Iterator[_Item]:
    """The same items, the next one being made while one is worked on: the core makes both without Python's lock."""
    end = object()
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, items, end)
            yield cast("_Item", item)


class _Parts:
    """Records on their way into the store: all of an input is one statement, which takes them while more are being made.

    A statement for each part would write what does not fill the store's blocks twice: into its log, and into the blocks.
    """

    def __init__(self, store: Store, kind: InputKind, intake: Intake) -> None:
        self._store = store
        self._kind = kind
        self._intake = intake
        self._waiting: Queue[Piece | None] = Queue(_WAITING)
        self._pool = ThreadPoolExecutor(1)
        self._running: Future[int] | None = None
        self._has_failed = False

    def write(self, records: Piece) -> None:
        """Adds records. Raises what the store failed by."""
        if self._has_failed:
            self._end()
        if self._running is None:
            self._running = self._pool.submit(self._put_away)
        if records:
            self._waiting.put(records)

    def _put_away(self) -> int:
        pieces = _Pieces(self._waiting)
        try:
            return self._store.add_pieces(pieces, self._kind.value)
        except BaseException:
            self._has_failed = True
            # Whoever writes must not wait for a store that failed.
            deque(pieces, maxlen=0)
            raise

    def _end(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            self._waiting.put(None)
            self._intake.records[self._kind.value] += running.result()

    def __enter__(self) -> _Parts:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._end()
        finally:
            self._pool.shutdown()


class _Pieces:
    """What comes through a queue, up to `None`, whoever asks for it."""

    def __init__(self, queue: Queue[Piece | None]) -> None:
        self._queue = queue
        self._is_over = False

    def __iter__(self) -> _Pieces:
        return self

    def __next__(self) -> Piece:
        piece = None if self._is_over else self._queue.get()
        if piece is None:
            self._is_over = True
            raise StopIteration
        return piece


def _position(stream: IO[bytes], size: int) -> int:
    try:
        # Of a decompressor this is beyond the packed file's size; the bar then just waits at its end.
        return min(stream.tell(), size)
    except (OSError, ValueError):
        return 0


__all__ = ["BLIND", "Collector", "InputError", "Intake"]
