"""Decision records on their way into the store: the core reads them into columns, which DuckDB takes as they are."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, TYPE_CHECKING, Final

import pyarrow as pa

from sipsieve._core import EVENT_COLUMNS, event_columns

#: Bytes of records that are read into one batch: some thousand rows, little beside what the store may use.
PIECE: Final = 4 << 20

_FINDING: Final = pa.struct(
    [("rule", pa.string()), ("family", pa.string()), ("score", pa.int32()), ("field", pa.string()), ("excerpt", pa.string())]
)  # fmt: skip

_TYPES: Final = {
    "int64": pa.int64(),
    "int32": pa.int32(),
    "string": pa.string(),
    "boolean": pa.bool_(),
}


if TYPE_CHECKING:
    from sipsieve._core import EventColumns

    #: Records: lines of JSON, each with its end, or the columns that the core made of them.
    Piece = bytes | EventColumns


class LineTooLongError(Exception):
    """A line that no record is as long as."""


def schema(columns: dict[str, str]) -> pa.Schema:
    """The events' columns as Arrow has them."""
    return pa.schema([(name, _TYPES.get(kind, pa.list_(_FINDING))) for name, kind in columns.items()])


def batch(records: Piece, kind: str, like: pa.Schema) -> tuple[pa.RecordBatch, bytes]:
    """Records as a batch of `like`'s columns, and the lines that are to be read otherwise."""
    rows, columns, ((there, ends), count, parts), rest = (
        event_columns(records, kind) if isinstance(records, bytes) else records
    )
    values = pa.StructArray.from_buffers(
        _FINDING, count, [None],
        children=[_array(field.type, count, memory) for field, memory in zip(_FINDING, parts, strict=True)],
    )  # fmt: skip
    by_name = {
        name: _array(like.field(name).type, rows, memory) for name, memory in zip(EVENT_COLUMNS, columns, strict=True)
    }
    by_name["findings"] = pa.ListArray.from_buffers(
        pa.list_(_FINDING), rows, [pa.py_buffer(there), pa.py_buffer(ends)], children=[values]
    )
    return pa.RecordBatch.from_arrays([by_name[field.name] for field in like], schema=like), rest


def _array(kind: pa.DataType, rows: int, memory: list[bytes]) -> pa.Array:
    return pa.Array.from_buffers(kind, rows, [pa.py_buffer(piece) for piece in memory])


def whole_lines(stream: IO[bytes], longest: int) -> Iterator[bytes]:
    """A file in pieces that end with a line. Raises `LineTooLongError`."""
    rest = b""
    while piece := stream.read(PIECE):
        head, end, tail = piece.rpartition(b"\n")
        if end:
            yield rest + head + end
            rest = tail
        else:
            rest += piece
        if len(rest) > longest:
            raise LineTooLongError(f"a line is longer than {longest} bytes")
    if rest:
        yield rest


class Batches:
    """Batches of records, read ahead on all cores while the store puts others away."""

    def __init__(self, pieces: Iterable[Piece], kind: str, like: pa.Schema, rest: IO[bytes]) -> None:
        """Lines that are to be read otherwise go to `rest`."""
        self._pieces = pieces
        self._kind = kind
        self._like = like
        self._rest = rest
        #: Rows given so far, and bytes that went to `rest`.
        self.rows = 0
        self.left = 0
        #: What went wrong while pieces were read; the store sees only that something did.
        self.failed: Exception | None = None

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        threads = len(os.sched_getaffinity(0))
        waiting: deque[Future[tuple[pa.RecordBatch, bytes]]] = deque()
        with ThreadPoolExecutor(threads) as pool:
            try:
                for piece in self._pieces:
                    waiting.append(pool.submit(batch, piece, self._kind, self._like))
                    if len(waiting) > threads:
                        yield self._next(waiting)
                while waiting:
                    yield self._next(waiting)
            except Exception as error:
                self.failed = error
                raise

    def _next(self, waiting: deque[Future[tuple[pa.RecordBatch, bytes]]]) -> pa.RecordBatch:
        rows, rest = waiting.popleft().result()
        self.rows += rows.num_rows
        if rest:
            self._rest.write(rest)
            self.left += len(rest)
        return rows
