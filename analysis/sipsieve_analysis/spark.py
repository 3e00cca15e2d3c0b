"""Asks an archive by Apache Spark: the same expressions as elsewhere, over as many machines as a cluster has."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sys
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import ibis
from ibis.expr.types import Table

from . import asking, merging
from .archive import executors
from .archive.names import is_archive
from .archive.place import ArchiveError, Place
from .archive.reading import Content, Held, hold, tell
from .events import COLUMNS
from .intake import InputError, Intake, Progress, merged
from .quick import memory, texts

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: Bytes of Parquet that one task takes: packed, so it is several times that in memory.
_TASK: Final = 64 << 20

#: The line that ends what Python tells of an error, on an executor too.
_ERROR: Final = re.compile(r"\A[A-Za-z.]{0,100}(?:Error|ArrowInvalid|Exception): ")

#: What the cluster may overrule in its own settings. Times are integers here, and zones none of Spark's business.
_SETTINGS: Final = {
    "spark.app.name": "sipsieve",
    "spark.sql.session.timeZone": "UTC",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    # Where one side of a join is that small in each task, it is looked up and neither side is sorted.
    "spark.sql.adaptive.maxShuffledHashJoinLocalMapThreshold": "16m",
}


class SparkStore:
    """A Spark session that holds the events of one analysis."""

    def __init__(self, master: str, settings: Sequence[str] = ()) -> None:
        """`settings` are KEY=VALUE of Spark. Raises `InputError` where no session can be had."""
        self._events: Table | None = None
        #: Views of the archives that were taken, and bytes of their parts.
        self._names: list[str] = []
        self.chosen = memory(ip=texts([]))
        self._bytes = 0
        # Spark warns of each version of pandas that it has not met.
        warnings.filterwarnings("ignore", message="PySpark does not yet", category=FutureWarning)
        try:
            from pyspark.sql import SparkSession
        except ModuleNotFoundError as error:
            raise InputError("--engine spark needs pyspark, which is not installed; docs/fleet.md says how") from error

        # Executors that read a store run Python: this one, wherever no other is named.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        maker = SparkSession.builder.master(master)
        for key, value in _SETTINGS.items():
            maker = maker.config(key, value)
        for setting in settings:
            key, is_set, value = setting.partition("=")
            if not (key and is_set):
                raise InputError(f"--spark-conf {setting}: is no KEY=VALUE, as spark.driver.memory=4g")
            maker = maker.config(key, value)
        try:
            self._session = maker.getOrCreate()
        except Exception as error:
            said = str(error).strip().split("\n", 1)[0]
            raise InputError(f"--spark-master {master}: no session: {said}; Spark needs Java 17 or later") from error
        self._session.sparkContext.setLogLevel("ERROR")
        self.connection = ibis.pyspark.connect(self._session)

    @property
    def events(self) -> Table:
        """The events of all archives that were taken."""
        if self._events is None:
            self._events = self._read()
        return self._events

    def kept(self, name: str, expression: Table) -> Table:
        """What an expression gives, worked out once."""
        self.connection.create_view(name, expression, overwrite=True)
        # What it was made from need not be known again: plans stay short, and nothing is worked out twice.
        self._session.table(name).localCheckpoint().createOrReplaceTempView(f"kept_{name}")
        return self.connection.table(f"kept_{name}")

    def rows(self, question: str, expression: Callable[[], Table]) -> Iterator[tuple[Any, ...]]:
        """See `Events`: what was prepared is for another engine."""
        return asking.rows(expression().to_pyarrow())

    def dicts(self, question: str, expression: Callable[[], Table]) -> list[dict[str, Any]]:
        """See `Events`."""
        return asking.dicts(expression().to_pyarrow())

    def keep(self, name: str, question: str, expression: Callable[[], Table]) -> None:
        """See `Events`."""
        self.kept(name, expression())

    def table(self, name: str) -> Table:
        """See `Events`."""
        return self.connection.table(f"kept_{name}")

    def choose(self, ips: Iterable[str]) -> None:
        """See `Events`."""
        self.chosen = memory(ip=texts(sorted(ips)))

    def take(self, held: Held) -> None:
        """Adds an archive. Raises `ArchiveError` where its parts hold other than its manifests say."""
        if not held.parts:
            return
        self._bytes += sum(part.bytes for part in held.parts)
        tasks = max(2 * self._session.sparkContext.defaultParallelism, self._bytes // _TASK)
        self._session.conf.set("spark.sql.shuffle.partitions", str(tasks))
        name = f"archive_{len(self._names)}"
        self._names.append(name)
        self._events = None
        try:
            self._frame(held, tasks).createOrReplaceTempView(name)
            found = int(self.connection.table(name).count().to_pyarrow().as_py())
        except Exception as error:
            raise ArchiveError(f"{held.place.name}: a part can't be read: {_said(error)}") from error
        if found != held.rows:
            raise held.wrong(found)

    def _frame(self, held: Held, tasks: int) -> DataFrame:
        if held.place.local is None and not executors.has_connector(self._session):
            return executors.frame(self._session, held, tasks)
        names = [held.place.url(part.name) for part in held.parts]
        return self._session.read.option("basePath", held.place.url("events")).parquet(*names)

    def _read(self) -> Table:
        if not self._names:
            return self.connection.create_view(
                "nothing", ibis.memtable([], schema=ibis.schema(COLUMNS)), overwrite=True
            )
        return _all([self.connection.table(name).select(*COLUMNS) for name in self._names])

    def merge(self, kinds: list[str], told: Collection[str] = ()) -> int:
        """Takes out events that an input of an earlier kind in `kinds` tells of as well; how many those were."""
        events = self.events
        before = int(events.count().to_pyarrow().as_py())
        there = set(events.select("input").distinct().to_pyarrow()["input"].to_pylist())
        kinds = [kind for kind in kinds if kind in there]
        parts = {kind: events.filter(events.input == kind) for kind in kinds}
        for place in range(1, len(kinds)):
            better = _all([parts[kind] for kind in kinds[:place]])
            worse = parts[kinds[place]]
            for same in merging.rules(kinds[place], told):
                worse = self.kept(f"merged_{place}", worse.anti_join(*same(worse, better.view())))
            if kinds[place] in told:
                answers, asked = merging.orphans(worse)
                lost = answers.anti_join(asked.view(), "call_id").select("call_id").distinct()
                worse = worse.anti_join(lost.view(), [worse.type == "reply", "call_id"])
            parts[kinds[place]] = self.kept(f"merged_{place}", worse)
        rest = events.filter(events.input.notin(kinds))
        self._events = self.kept("merged", _all([rest, *(parts[kind] for kind in kinds)]))
        return before - int(self._events.count().to_pyarrow().as_py())

    def close(self) -> None:
        """Ends the session."""
        with contextlib.suppress(Exception):
            self._session.stop()


def _all(tables: Sequence[Table]) -> Table:
    return functools.reduce(lambda left, right: left.union(right), tables)


def _said(error: Exception) -> str:
    """What of an error's many lines tells what went wrong."""
    lines = [line.strip() for line in str(error).split("\n") if line.strip()]
    return next((line for line in reversed(lines) if _ERROR.match(line)), lines[0] if lines else type(error).__name__)


def check(paths: Sequence[Path]) -> None:
    """Before a session is made: Spark reads archives only. Raises `InputError`."""
    for path in paths:
        if not is_archive(path):
            raise InputError(
                f"{path}: is no archive, and --engine spark reads nothing else: sipsieve archive ARCHIVE {path.name}"
            )


@contextlib.contextmanager
def failures() -> Iterator[None]:
    """In this, what Spark fails of is told in one line, with what to do. Raises `InputError`."""
    try:
        yield
    except Exception as error:
        # A driver that ended answers no more; what Python finds then is a connection that is gone.
        is_gone = isinstance(error, (ConnectionError, EOFError)) or type(error).__name__ == "Py4JNetworkError"
        if not is_gone and not type(error).__module__.startswith(("pyspark.", "py4j.")):
            raise
        lines = [line.strip() for line in str(error).split("\n") if line.strip()]
        why = next((line for line in reversed(lines) if line.startswith("Caused by: ")), lines[0] if lines else "")
        if is_gone:
            why = "Spark's driver ended, out of memory most likely"
        raise InputError(
            f"--engine spark: {why.removeprefix('Caused by: ')}; where it lacked memory, give the driver and each executor more: "
            "--spark-conf spark.driver.memory=4g --spark-conf spark.executor.memory=4g (docs/fleet.md)"
        ) from error


def collect(store: SparkStore, paths: Sequence[Path], progress: Progress) -> Intake:
    """Takes archives into a store, as a `Collector` does. Raises `InputError`."""
    intake = Intake()
    seen: set[Content] = set()
    for path in paths:
        try:
            held = hold(Place(path), seen)
            progress(held.place.name, 0, held.rows)
            store.take(held)
        except ArchiveError as error:
            raise InputError(str(error)) from error
        tell(held, intake)
        progress(held.place.name, held.rows, held.rows)
    merged(store, intake)
    return intake
