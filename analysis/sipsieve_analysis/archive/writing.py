"""Puts what is new in a log into an archive: once, whole or not at all, without what privacy or age forbid."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from ..events import COLUMNS, NAMES, Store
from ..intake import Collector
from ..readers.kinds import InputKind, kind_of, opened, read
from . import manifests
from .manifests import Manifest, Part
from .masking import Masking
from .place import ArchiveError, Place

_DAY_US: Final = 86_400_000_000
_EPOCH: Final = date(1970, 1, 1)

#: Days that a clock may show; a capture may claim any. Others share one partition.
_FIRST: Final = (date(2000, 1, 1) - _EPOCH).days
_LAST: Final = (date(2100, 1, 1) - _EPOCH).days
OTHER: Final = "other"

#: Rows on their way at once.
_BATCH: Final = 100_000


@dataclass(slots=True)
class Added:
    """What became of one input."""

    path: str
    rows: int = 0
    expired: int = 0
    parts: int = 0
    #: Whether all of it was in the archive before.
    known: bool = False


class Writer:
    """Adds inputs for one edge. Within `Place.held` only."""

    def __init__(
        self, place: Place, edge: str, today: date, retention_days: int, masking: Masking | None, folder: Path
    ) -> None:
        """`folder` is for working files; `retention_days` 0 keeps everything. Raises `ArchiveError`."""
        self._place, self._edge, self._masking, self._folder = place, edge, masking, folder
        manifests.opened(place, dict(COLUMNS))
        self._manifests = manifests.read(place, edge)
        self._oldest = (today - timedelta(days=retention_days) - _EPOCH).days if retention_days else None
        self.swept = manifests.sweep(place, edge, self._manifests)
        self._serial = 0

    def expire(self) -> int:
        """Takes away what is older than may be kept; how many parts that was."""
        if self._oldest is None:
            return 0
        gone = 0
        for manifest in self._manifests:
            old = [part for part in manifest.parts if not self._is_kept(part.day)]
            if old:
                manifest.parts = [part for part in manifest.parts if part not in old]
                manifest.expired += sum(part.rows for part in old)
                # First nobody reads it any more, then it goes: a crash between leaves a file that the next run sweeps.
                manifests.write(self._place, manifest)
                for part in old:
                    self._place.delete(part.name)
                gone += len(old)
        return gone

    def add(self, path: Path, collector: Callable[[Store, Path], Collector], memory: str) -> Added:
        """Adds what of a file is not in the archive yet. `collector` makes a reader into a store.

        Raises `ArchiveError`, and what the reader raises.
        """
        kind = kind_of(path)
        added = Added(str(path))
        if kind is InputKind.EMPTY:
            return added
        start, end, before = self._known(path)
        if start == end:
            added.known = True
            return added
        self._serial += 1
        folder = self._folder / f"archive-{self._serial}"
        folder.mkdir()
        source = path
        if kind is InputKind.DECISIONS:
            source = folder / "new.jsonl"
            end = _copy(path, source, start, before)
            if end == start:
                added.known = True
                return added
        elif start:
            raise ArchiveError(
                f"{path}: has grown since it was archived, and only decision logs can be added to; archive it when it is rotated"
            )
        else:
            before = _hash(path)
        manifest = Manifest("", self._edge, kind.value, start, end, before.hexdigest())
        manifest.id = hashlib.sha256(f"{self._edge}\0{start}\0{manifest.sha256}".encode()).hexdigest()[:20]
        store = Store(folder, memory)
        try:
            reader = collector(store, folder)
            reader.add(source)
            if not reader.intake.records.total() and reader.intake.unread:
                raise ArchiveError(f"{path}: nothing in it could be read; `sipsieve analyze {path.name}` says more")
            manifest.records = dict(reader.intake.records)
            manifest.skipped = dict(reader.intake.skipped)
            manifest.parts = list(self._parts(store, manifest))
        finally:
            store.close()
            for left in folder.rglob("*"):
                if left.is_file() or left.is_symlink():
                    left.unlink()
        manifests.write(self._place, manifest)
        self._manifests.append(manifest)
        added.rows = sum(part.rows for part in manifest.parts)
        added.parts, added.expired = len(manifest.parts), manifest.expired
        return added

    def _known(self, path: Path) -> tuple[int, int, Any]:
        """Bytes of a file that are in the archive already, its length, and the hash of those bytes."""
        ends: dict[int, set[str]] = {}
        for manifest in self._manifests:
            ends.setdefault(manifest.end, set()).add(manifest.sha256)
        left = sorted(ends)
        hashed, at, known, before = hashlib.sha256(), 0, 0, hashlib.sha256()
        with opened(path) as stream:
            for piece in read(stream, Counter()):
                view = memoryview(piece)
                while left and left[0] <= at + len(view):
                    step = left[0] - at
                    hashed.update(view[:step])
                    at, view = left[0], view[step:]
                    if hashed.hexdigest() in ends[left.pop(0)]:
                        known, before = at, hashed.copy()
                hashed.update(view)
                at += len(view)
        return known, at, before

    def _is_kept(self, day: str) -> bool:
        if self._oldest is None:
            return True
        return day != OTHER and (date.fromisoformat(day) - _EPOCH).days >= self._oldest

    def _parts(self, store: Store, manifest: Manifest) -> Iterator[Part]:
        """Writes the parts of a store's events, a file a day."""
        number = (
            f"CASE WHEN time_us // {_DAY_US} BETWEEN {_FIRST} AND {_LAST - 1} THEN time_us // {_DAY_US} ELSE -1 END"
        )
        reader = store.con.sql(
            f"SELECT {number} AS day_number, {NAMES} FROM events ORDER BY day_number, time_us"  # noqa: S608 (ours)
        ).to_arrow_reader(_BATCH)
        writing, left = "", None
        for batch in reader:
            numbers = batch.column("day_number").to_numpy()
            at = 0
            while at < len(numbers):
                upto = int(numbers.searchsorted(numbers[at], "right"))
                day = OTHER if numbers[at] < 0 else str(_EPOCH + timedelta(days=int(numbers[at])))
                rows = batch.slice(at, upto - at).drop_columns(["day_number"])
                at = upto
                if not self._is_kept(day):
                    manifest.expired += rows.num_rows
                    continue
                if day != writing:
                    if left is not None:
                        yield left.close()
                    writing, left = day, _Part(self._place, self._edge, day, manifest.id)
                left.add(self._masking.batch(rows) if self._masking else rows)  # type: ignore[union-attr]
        if left is not None:
            yield left.close()


class _Part:
    """A Parquet file on its way."""

    def __init__(self, place: Place, edge: str, day: str, id_: str) -> None:
        self._part = Part(f"events/day={day}/edge={edge}/{id_}.parquet", day, 0, 0)
        self._place = place
        self._opened = place.written(self._part.name)
        self._stream = self._opened.__enter__()
        self._writer: pq.ParquetWriter | None = None

    def add(self, rows: pa.RecordBatch) -> None:
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._stream, rows.schema, compression="zstd")
        self._writer.write_batch(rows)
        self._part.rows += rows.num_rows

    def close(self) -> Part:
        assert self._writer is not None
        self._writer.close()
        self._part.bytes = self._stream.tell()
        self._opened.__exit__(None, None, None)
        return self._part


def _copy(path: Path, target: Path, start: int, hashed: Any) -> int:
    """Copies the whole lines behind `start`, and adds them to a hash; where they end."""
    at, end, held = 0, start, b""
    with opened(path) as stream, target.open("wb") as out:
        for piece in read(stream, Counter()):
            fresh = piece[max(0, start - at) :]
            at += len(piece)
            held += fresh
            upto = held.rfind(b"\n") + 1
            if upto:
                _put(out, hashed, held[:upto])
                end += upto
                held = held[upto:]
    return end


def _put(out: IO[bytes], hashed: Any, lines: bytes) -> None:
    out.write(lines)
    hashed.update(lines)


def _hash(path: Path) -> Any:
    hashed = hashlib.sha256()
    with opened(path) as stream:
        for piece in read(stream, Counter()):
            hashed.update(piece)
    return hashed
