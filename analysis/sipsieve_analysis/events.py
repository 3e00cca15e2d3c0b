"""The events table: what every reader delivers and everything else asks.

One row for each message or count. Time is integer microseconds since the epoch, UTC. Text columns hold
what the sender wrote, escaped as in the decision log.
"""

from __future__ import annotations

import gzip
import tempfile
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, cast

import duckdb
import pyarrow as pa

from . import asking, columnar, merging, prepared

if TYPE_CHECKING:
    from ibis.expr.types import Table

    from .quick import Engine

#: Columns of the events table by name.
COLUMNS: Final = {
    "time_us": "int64",
    "end_us": "int64",
    "input": "string",
    "kind": "string",
    "action": "string",
    "enforced": "boolean",
    "messages": "int64",
    "ip": "string",
    "port": "int32",
    "transport": "string",
    "type": "string",
    "method": "string",
    "status": "int32",
    "uri": "string",
    "from_uri": "string",
    "to_uri": "string",
    "call_id": "string",
    "cseq": "string",
    "agent": "string",
    "authorization": "boolean",
    "bytes": "int32",
    "field": "string",
    "excerpt": "string",
    "findings": "array<struct<rule: string, family: string, score: int32, field: string, excerpt: string>>",
    "indicators": "string",
    "client": "string",
    "home": "string",
}

#: The same for SQL, in which some of them are words of its own.
NAMES: Final = ", ".join(f'"{name}"' for name in COLUMNS)

# How the fields of a decision log are decoded where the core doesn't read it: of today's form and of the first beside each
# other; what was a text there and is an object today is JSON. Unknown fields are ignored, missing or unfit ones are NULL.
_EITHER: Final = """{
    '@timestamp': 'VARCHAR',
    'source': 'STRUCT(ip VARCHAR, port INTEGER, geo STRUCT(country_iso_code VARCHAR), "as" STRUCT(number BIGINT, organization STRUCT("name" VARCHAR)))',
    'network': 'STRUCT(transport VARCHAR)',
    'event': 'STRUCT(kind VARCHAR, "action" VARCHAR, outcome VARCHAR, count BIGINT, "end" VARCHAR)',
    'policy': 'STRUCT(mode VARCHAR, enforced BOOLEAN)',
    'rule': 'STRUCT(id VARCHAR[])',
    'sip': 'STRUCT("type" VARCHAR, method VARCHAR, code INTEGER, status INTEGER, uri JSON, call_id VARCHAR, cseq JSON, "from" JSON, "to" JSON, bytes INTEGER, field VARCHAR, excerpt VARCHAR, "authorization" BOOLEAN, client VARCHAR)',
    'user_agent': 'STRUCT(original VARCHAR)',
    'findings': 'STRUCT(rule VARCHAR, family VARCHAR, score INTEGER, field VARCHAR, excerpt VARCHAR)[]',
    'indicators': 'JSON',
    'sipsieve': 'STRUCT(input VARCHAR, answer INTEGER, malformed BOOLEAN, bytes INTEGER, field VARCHAR, excerpt VARCHAR, "authorization" BOOLEAN, client VARCHAR)'
}"""

_SCHEMA: Final = columnar.schema(COLUMNS)

#: What tells a record from others of its log: two messages of one moment, source and dialog are one.
_RECORD: Final = (
    "time_us", "end_us", "kind", "action", "messages", "ip", "port", "type", "method", "status", "call_id", "cseq", "excerpt",
)  # fmt: skip

#: Bytes at a file's beginning that tell whether today's form is tried at all.
_PEEK: Final = 16384

#: Where the events that were chosen stand.
_NARROWED: Final = "narrowed"

#: A record is a few kilobytes; a line beyond this is not one.
_LONGEST: Final = 4 << 20


class Store:
    """An embedded DuckDB that holds the events of one analysis."""

    def __init__(self, folder: Path, memory: str = "1200MB", threads: int = 0, small: bool = False) -> None:
        """`small`: what will be added is little, see `engine_memory.is_small`. What proves to be more still spills into `folder`."""
        self._folder = folder
        # Views and tables live in the file, so that they need not fit into memory; to pack them for it takes as long as to read
        # them did.
        self.con = duckdb.connect(
            ":memory:" if small else str((folder / "events.duckdb").absolute()),
            config={
                "memory_limit": memory,
                "temp_directory": str(folder / "spill"),
                "preserve_insertion_order": "false",
            },
        )
        if threads:
            self.con.execute(f"SET threads = {int(threads)}")
        # Progress is shown by the caller, names are no variables of Python, and nothing is ever fetched from outside.
        for setting in (
            "TimeZone = 'UTC'",
            "python_enable_replacements = false",
            "enable_progress_bar = false",
            "autoinstall_known_extensions = false",
            "autoload_known_extensions = false",
        ):
            self.con.execute(f"SET {setting}")
        columns = ", ".join(f'"{name}" {_sql_type(kind)}' for name, kind in COLUMNS.items())
        self.con.execute(f"CREATE TABLE IF NOT EXISTS events ({columns})")
        # A watch may go on with a table of an earlier version.
        for added in ("client", "home"):
            self.con.execute(f"ALTER TABLE events ADD COLUMN IF NOT EXISTS {added} VARCHAR")
        #: From and until when `events` looks, in microseconds; None for all.
        self.window: tuple[int, int] | None = None
        self._narrowed = False
        #: What the view that prepared questions ask looks at.
        self._viewed = ""

    @cached_property
    def connection(self) -> Engine:
        """The same for expressions: Ibis takes half a second to import."""
        from .quick import Engine

        return cast("Engine", Engine.from_connection(self.con))

    @property
    def events(self) -> Table:
        """The events so far, those of `window` only where one is set, and those that `narrow` chose."""
        table = self.connection.table(_NARROWED if self._narrowed else "events")
        if self.window is not None:
            table = table.filter(table.time_us >= self.window[0], table.time_us < self.window[1])
        return table

    def rows(self, question: str, expression: Callable[[], Table]) -> Iterator[tuple[Any, ...]]:
        """See `Events`."""
        return asking.rows(self._asked(question, expression))

    def dicts(self, question: str, expression: Callable[[], Table]) -> list[dict[str, Any]]:
        """See `Events`."""
        return asking.dicts(self._asked(question, expression))

    def keep(self, name: str, question: str, expression: Callable[[], Table]) -> None:
        """See `Events`."""
        self.con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {self._text(question, expression)}")

    def table(self, name: str) -> Table:
        """See `Events`."""
        return self.connection.table(name)

    def choose(self, ips: Iterable[str]) -> None:
        """See `Events`."""
        self.con.execute(
            f"CREATE OR REPLACE TEMP TABLE {prepared.CHOSEN} AS SELECT unnest(?::VARCHAR[]) AS ip", [sorted(ips)]
        )

    @property
    def chosen(self) -> Table:
        """See `Events`."""
        return self.connection.table(prepared.CHOSEN)

    def _asked(self, question: str, expression: Callable[[], Table]) -> pa.Table:
        # DuckDB's own way to make Python's objects of rows takes ten times as long.
        return self.con.sql(self._text(question, expression)).to_arrow_table()

    def _text(self, question: str, expression: Callable[[], Table]) -> str:
        text = prepared.questions().get(question)
        if text is None:
            made = expression()
            # Tables of Python's that it names are registered.
            self.connection._run_pre_execute_hooks(made)
            return str(self.connection.compile(made))
        source = _NARROWED if self._narrowed else "events"
        if self.window is not None:
            source += f" WHERE time_us >= {int(self.window[0])} AND time_us < {int(self.window[1])}"
        if source != self._viewed:
            self.con.execute(f"CREATE OR REPLACE TEMP VIEW {prepared.SEEN} AS SELECT * FROM {source}")  # noqa: S608 (ours)
            self._viewed = source
        return text

    @contextmanager
    def narrow(self, ips: Collection[str]) -> Iterator[int]:
        """Within this, `events` holds only what these addresses sent and what was answered; gives how many those are."""
        connection = self.con
        connection.execute("CREATE OR REPLACE TABLE chosen AS SELECT unnest(?::VARCHAR[]) AS ip", [sorted(ips)])
        connection.execute(
            f"CREATE OR REPLACE TABLE {_NARROWED} AS SELECT * FROM events WHERE coalesce(ip, '') IN (SELECT ip FROM chosen)"  # noqa: S608 (ours)
        )
        connection.execute(
            f"INSERT INTO {_NARROWED} SELECT * FROM events WHERE type = 'reply' AND coalesce(ip, '') NOT IN (SELECT ip FROM chosen) "  # noqa: S608 (ours)
            f"AND call_id IN (SELECT DISTINCT call_id FROM {_NARROWED} WHERE type IS DISTINCT FROM 'reply' AND call_id IS NOT NULL)"
        )
        self._narrowed = True
        try:
            yield int(connection.execute(f"SELECT count(*) FROM {_NARROWED}").fetchall()[0][0])  # noqa: S608 (ours)
        finally:
            self._narrowed = False
            connection.execute(f"DROP TABLE {_NARROWED}")

    def concerned(self, behind: int) -> set[str]:
        """Addresses that sent, or whose requests are answered by, what was added behind that row ("" for none)."""
        rows = self.con.execute(
            """
            WITH fresh AS (SELECT ip, type, call_id FROM events WHERE rowid > ?)
            SELECT DISTINCT coalesce(ip, '') FROM fresh WHERE type IS DISTINCT FROM 'reply'
            UNION SELECT DISTINCT coalesce(ip, '') FROM events WHERE type IS DISTINCT FROM 'reply'
                AND call_id IN (SELECT call_id FROM fresh WHERE type = 'reply' AND call_id IS NOT NULL)
            """,
            [behind],
        ).fetchall()
        return {ip for (ip,) in rows}

    def add(self, path: Path, kind: str) -> tuple[int, int]:
        """Adds a file of decision records, as lines of JSON, plain or gzip.

        `kind` is what the records came from. Returns how many lines were records and how many were not.
        Raises what `damaged` knows where the file is damaged as a whole; then nothing of it is added.
        """
        # Rows are added behind those that are there: what is said of them needs no look at the others.
        behind = self.last()
        if b'"sipsieve"' not in _head(path):
            return self._add_otherwise(path, kind, behind)
        try:
            with _opened(path) as file:
                return self._add_pieces(columnar.whole_lines(file, _LONGEST), kind)
        except Exception:
            self._take_back(behind)
            raise

    def add_pieces(self, pieces: Iterable[columnar.Piece], kind: str) -> int:
        """Adds records in pieces; how many there were."""
        return self._add_pieces(pieces, kind)[0]

    def _add_pieces(self, pieces: Iterable[columnar.Piece], kind: str) -> tuple[int, int]:
        connection = self.con
        # A name of this file's own: what it holds is decompressed, and tells nothing by its beginning.
        with tempfile.NamedTemporaryFile(dir=self._folder, suffix=".jsonl") as rest:
            batches = columnar.Batches(pieces, kind, _SCHEMA, rest)
            connection.register("incoming", pa.RecordBatchReader.from_batches(_SCHEMA, iter(batches)))
            try:
                connection.execute(f"INSERT INTO events SELECT {NAMES} FROM incoming")  # noqa: S608 (ours)
            except duckdb.Error:
                if batches.failed is not None:
                    raise batches.failed from None
                raise
            finally:
                connection.unregister("incoming")
            if not batches.left:
                return batches.rows, 0
            rest.flush()
            added, bad = self._add_otherwise(Path(rest.name), kind, self.last())
            return batches.rows + added, bad

    def _add_otherwise(self, path: Path, kind: str, behind: int) -> tuple[int, int]:
        """As `add`, by DuckDB alone: records of either form, and lines that are odd."""
        self._insert(path, kind)
        bad = "time_us IS NULL OR action IS NULL OR kind IS NULL"
        added, bad_ones = self.con.execute(
            f"SELECT count(*), count(*) FILTER ({bad}) FROM events WHERE rowid > ?",  # noqa: S608 (ours)
            [behind],
        ).fetchall()[0]
        if bad_ones:
            self.con.execute(f"DELETE FROM events WHERE rowid > ? AND ({bad})", [behind])  # noqa: S608 (ours)
        return int(added) - int(bad_ones), int(bad_ones)

    def _take_back(self, behind: int) -> None:
        self.con.execute("DELETE FROM events WHERE rowid > ?", [behind])

    def _insert(self, path: Path, kind: str) -> None:
        """Puts a file's lines into the events, those in too that are no records."""
        source = (
            f"read_json({_quoted(path)}, format = 'newline_delimited', ignore_errors = true, maximum_object_size = {_LONGEST}, "
            f"columns = {_EITHER}, compression = '{_compression(path)}')"
        )

        def ours(name: str) -> str:
            return f"coalesce(sipsieve.{name}, sip.{name})"

        self.con.execute(
            f"""
            INSERT INTO events
            SELECT
                epoch_us(try_cast("@timestamp" AS TIMESTAMP)) AS time_us,
                coalesce(epoch_us(try_cast(event."end" AS TIMESTAMP)), epoch_us(try_cast("@timestamp" AS TIMESTAMP))) AS end_us,
                coalesce(sipsieve.input, {_quoted(kind)}),
                event.kind,
                event."action",
                coalesce(event.outcome <> 'unknown', policy.enforced, policy.mode <> 'observe'),
                greatest(least(coalesce(event.count, 1), 1000000000), 0),
                source.ip,
                source.port,
                lower(network.transport),
                CASE WHEN sipsieve.malformed THEN 'malformed' WHEN sip."type" = 'response' THEN 'reply' ELSE sip."type" END,
                sip.method,
                coalesce(sip.code, sipsieve.answer, sip.status),
                {_text("sip.uri", "original")},
                {_text('sip."from"', "uri.original")},
                {_text('sip."to"', "uri.original")},
                sip.call_id,
                {_text("sip.cseq", "code")},
                user_agent.original,
                {ours('"authorization"')},
                {ours("bytes")},
                {ours("field")},
                {ours("excerpt")},
                CASE WHEN findings IS NULL AND len(rule.id) > 0
                     THEN list_transform(rule.id, lambda r: {{'rule': r, 'family': '', 'score': 5, 'field': {ours("field")}, 'excerpt': {ours("excerpt")}}})
                     ELSE list_transform(findings, lambda f: {{'rule': f.rule, 'family': f.family, 'score': f.score, 'field': f.field, 'excerpt': coalesce(f.excerpt, {ours("excerpt")})}}) END,
                CASE WHEN indicators IS NULL THEN NULL ELSE indicators::VARCHAR END,
                {ours("client")},
                nullif(concat_ws(', ', source.geo.country_iso_code, 'AS' || source."as".number || coalesce(' ' || source."as".organization."name", '')), '')
            FROM {source}
            """  # noqa: S608 (every inserted text is ours or quoted)
        )

    def merge(self, kinds: list[str], told: Collection[str] = ()) -> int:
        """Takes out events that an input of an earlier kind in `kinds` tells of as well; how many those were.

        Inputs of the kinds in `told` are other programs' logs, which tell of a message rather than show it.

        The same event has the same source, method, Call-ID and CSeq; an answer is seen behind the server in one input
        and before it in another. Where a raw log names no Call-ID it is the one of the same source, port and method
        within two seconds, and without a source one that was refused then; a count stands for what its source sent in
        its interval.
        """
        before = self._rows()
        events = self.connection.table("events")
        for place in range(1, len(kinds)):
            better = events.filter(events.input.isin(kinds[:place])).view()
            worse = events.mutate(row=events.rowid()).filter(events.input == kinds[place])
            for same in merging.rules(kinds[place], told):
                self._delete(worse.semi_join(*same(worse, better)))
            if kinds[place] in told:
                answers, asked = merging.orphans(worse)
                self._delete(answers.anti_join(asked.view(), "call_id"))
        return before - self._rows()

    def span(self, behind: int) -> tuple[int, int] | None:
        """The first and last time of what was added behind that row; None where that is nothing."""
        first, last = self.con.execute(
            "SELECT min(time_us), max(time_us) FROM events WHERE rowid > ?", [behind]
        ).fetchall()[0]
        return None if first is None else (int(first), int(last))

    def take_repeated(self, behind: int, kind: str, first: int, last: int) -> int:
        """Takes out rows behind that one which say what a row before it says, between two times; how many those were.

        Both are of inputs of one kind that names microseconds: what is of the same moment, source and message is the same record.
        """
        same = " AND ".join(f'old."{name}" IS NOT DISTINCT FROM new."{name}"' for name in _RECORD)
        columns = ", ".join(f'"{name}"' for name in _RECORD)
        there = f"SELECT {columns}, rowid AS row FROM events WHERE time_us BETWEEN ? AND ? AND input = ?"  # noqa: S608 (ours)
        deleted = self.con.execute(
            f"DELETE FROM events WHERE rowid IN (SELECT new.row FROM ({there} AND rowid > ?) new "  # noqa: S608 (ours)
            f"SEMI JOIN ({there} AND rowid <= ?) old ON {same})",
            [first, last, kind, behind] * 2,
        ).fetchall()
        return int(deleted[0][0])

    def _delete(self, doomed: Table) -> None:
        query = self.connection.compile(doomed.select("row"))
        self.con.execute(f"DELETE FROM events WHERE rowid IN ({query})").fetchall()  # noqa: S608 (ours)

    def _rows(self) -> int:
        # Everything is fetched: DuckDB lets nobody else ask before.
        return int(self.con.execute("SELECT count(*) FROM events").fetchall()[0][0])

    def last(self) -> int:
        """The number of the last row; what is added later has a greater one."""
        last = self.con.execute("SELECT max(rowid) FROM events").fetchall()[0][0]
        return -1 if last is None else int(last)

    def close(self) -> None:
        """Lets go of the database."""
        self.con.close()


def damaged(error: BaseException) -> bool:
    """Whether an error says that the file itself can't be read."""
    if isinstance(error, duckdb.OutOfMemoryException):
        return False
    return isinstance(error, duckdb.Error | columnar.LineTooLongError | gzip.BadGzipFile | EOFError | zlib.error)


def _quoted(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def _text(column: str, path: str) -> str:
    """SQL for a text of either form: of today's, which is an object, the member at `path`."""
    return f"coalesce({column} ->> '$.{path}', {column} ->> '$')"


def _sql_type(kind: str) -> str:
    if kind.startswith("array"):
        return "STRUCT(rule VARCHAR, family VARCHAR, score INTEGER, field VARCHAR, excerpt VARCHAR)[]"
    return {"int64": "BIGINT", "int32": "INTEGER", "string": "VARCHAR", "boolean": "BOOLEAN"}[kind]


def _compression(path: Path) -> str:
    with path.open("rb") as file:
        magic = file.read(2)
    return "gzip" if magic == b"\x1f\x8b" else "uncompressed"


def _opened(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path, "rb")) if _compression(path) == "gzip" else path.open("rb")


def _head(path: Path) -> bytes:
    """The first bytes of a file, plain or gzip; none of one that is damaged."""
    try:
        with _opened(path) as file:
            return file.read(_PEEK)
    except (OSError, EOFError, zlib.error):
        return b""
