"""Lets Spark's executors read the parts of an archive in a store by themselves, by Arrow: Spark's own way there needs jars that its package lacks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from ..columnar import schema
from ..events import COLUMNS
from .reading import Held

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: What Hadoop's connector to a store is called in Java.
_CONNECTOR: Final = "org.apache.hadoop.fs.s3a.S3AFileSystem"

#: Rows that a worker hands over at once.
_ROWS: Final = 16_384

_TYPES: Final = {"int64": "bigint", "int32": "int", "boolean": "boolean", "string": "string"}


def has_connector(session: SparkSession) -> bool:
    """Whether Spark itself reads `s3a://`."""
    configuration = session.sparkContext._jsc.hadoopConfiguration()
    return configuration.getClassByNameOrNull(_CONNECTOR) is not None


def frame(session: SparkSession, held: Held, tasks: int) -> DataFrame:
    """The events of an archive in a store, read by so many tasks at most and kept by the executors, in memory or on their disks.

    Executors need pyarrow, and find the keys of the store as other S3 clients do: in their own environment. The driver sends them none.
    """
    from pyspark import StorageLevel

    address, like = held.place.name, schema(COLUMNS)
    parts = [held.place.at(part.name) for part in held.parts]

    # What stands within a function goes to the executors as it is: they need not have this package.
    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow.dataset as ds
        from pyarrow import fs

        filesystem, _ = fs.FileSystem.from_uri(address)
        for batch in batches:
            for number in batch.column(0).to_pylist():
                part = ds.dataset(parts[number], schema=like, format="parquet", filesystem=filesystem)
                # One after the other: what is read ahead lies in memory that Spark does not count.
                yield from part.to_batches(batch_size=_ROWS, batch_readahead=1, fragment_readahead=1, use_threads=False)

    columns = ", ".join(f"`{name}` {_sql_type(kind)}" for name, kind in COLUMNS.items())
    numbers = session.range(0, len(parts), 1, max(1, min(tasks, len(parts))))
    return numbers.mapInArrow(read, columns).persist(StorageLevel.MEMORY_AND_DISK)


def _sql_type(kind: str) -> str:
    return _TYPES.get(kind) or kind.replace("int32", "int").replace("int64", "bigint")
