"""Runs one SELECT over the events: read only, no file, no network, bounded time, memory and rows."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Final

import duckdb

from .query import MOST, QueryError

#: Seconds that a query may take, and what it may use.
SECONDS: Final = 60
_MEMORY: Final = "1000MB"


def run(database: Path, query: str, seconds: float = SECONDS) -> tuple[list[str], list[tuple[Any, ...]], bool]:
    """Names of columns, rows, and whether there are more than are given. Raises `QueryError`.

    `database` is a file that nobody else has open, with the table `events`.
    """
    connection = duckdb.connect(
        str(database),
        read_only=True,
        config={
            "enable_external_access": "false", "autoinstall_known_extensions": "false", "autoload_known_extensions": "false",
            "allow_community_extensions": "false", "memory_limit": _MEMORY, "max_temp_directory_size": "4GB", "lock_configuration": "true",
        },
    )  # fmt: skip
    try:
        try:
            statements = connection.extract_statements(query)
        except duckdb.Error as error:
            raise QueryError(f"--sql: {_said(error)}") from error
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise QueryError("--sql: one SELECT is allowed, and nothing else")
        late = threading.Event()

        def stop() -> None:
            late.set()
            connection.interrupt()

        timer = threading.Timer(seconds, stop)
        timer.daemon = True
        timer.start()
        try:
            result = connection.execute(statements[0])
            rows = result.fetchmany(MOST + 1)
        except duckdb.Error as error:
            if late.is_set():
                raise QueryError(f"--sql: took more than {seconds:g} seconds; narrow it, as by time_us") from error
            raise QueryError(f"--sql: {_said(error)}") from error
        finally:
            timer.cancel()
        return [column[0] for column in result.description or ()], rows[:MOST], len(rows) > MOST
    finally:
        connection.close()


def _said(error: duckdb.Error) -> str:
    return str(error).split("\n", 1)[0]
