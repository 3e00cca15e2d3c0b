"""Runs one SELECT over the events: read only, no file, no network, bounded time, memory and rows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
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

        def asked() -> tuple[list[str], list[tuple[Any, ...]]]:
            result = connection.execute(statements[0])
            return [column[0] for column in result.description or ()], result.fetchmany(MOST + 1)

        # In a thread of its own: the engine looks at no signal while it counts, and Ctrl-C should end it at once.
        with ThreadPoolExecutor(1) as thread:
            future = thread.submit(asked)
            try:
                names, rows = future.result(seconds)
            except TimeoutError as error:
                raise QueryError(f"--sql: took more than {seconds:g} seconds; narrow it, as by time_us") from error
            except duckdb.Error as error:
                raise QueryError(f"--sql: {_said(error)}") from error
            finally:
                # Nothing where it is done.
                connection.interrupt()
        return names, rows[:MOST], len(rows) > MOST
    finally:
        connection.close()


def _said(error: duckdb.Error) -> str:
    return str(error).split("\n", 1)[0]
