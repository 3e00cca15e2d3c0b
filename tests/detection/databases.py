"""Databases that run a query with a value pasted into it, and tell whether the value did more than a value may.

It did if the result holds a row that the same query does not give with the value bound, or the tables are not what they
are after that. Runs inside the namespace that `execution.py` makes.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Protocol

#: Name → a query with one place for a text. `?` is where it goes.
STRING: Final = {
    "select": "SELECT username FROM subscriber WHERE username='?' AND domain='example.com'",
    "select 3": "SELECT id, username, domain FROM subscriber WHERE username='?'",
    "brackets": "SELECT id, username, domain FROM subscriber WHERE (username='?' AND domain='example.com')",
    "like": "SELECT username FROM subscriber WHERE username LIKE '%?%'",
    "update": "UPDATE location SET name='?' WHERE id=1",
    "insert": "INSERT INTO acc(id, name, method) VALUES(5, '?', 'INVITE')",
}
NUMBER: Final = {
    "number": "SELECT id, username, domain FROM subscriber WHERE id=?",
    "number in": "SELECT username FROM subscriber WHERE id IN (?)",
}
_SCHEMA: Final = (
    "CREATE TABLE subscriber(id int, username varchar(64), password varchar(64), domain varchar(64))",
    "INSERT INTO subscriber VALUES(1,'admin','s3cr3t','example.com'),(2,'alice','pw-alice','example.com'),(3,'carol','pw-carol','example.com')",
    "CREATE TABLE secrets(name varchar(64), secret varchar(64))",
    "INSERT INTO secrets VALUES('key','t0psecret'),('pin','t1psecret')",
    "CREATE TABLE location(id int, name varchar(200))",
    "INSERT INTO location VALUES(1,'a'),(2,'b')",
    "CREATE TABLE acc(id int, name varchar(200), method varchar(64))",
    "INSERT INTO acc VALUES(1,'alice','INVITE')",
)
_LIMIT: Final = 0.3  # seconds for one statement


#: What a table's rows are compared by: a row that the query itself writes counts only where a secret got into it.
_ROWS: Final = {
    "subscriber": "SELECT * FROM subscriber",
    "secrets": "SELECT * FROM secrets",
    "location": "SELECT id, CASE WHEN id=1 AND name NOT LIKE '%psecret%' THEN '' ELSE name END FROM location",
    "acc": "SELECT id, CASE WHEN id=5 AND name NOT LIKE '%psecret%' THEN '' ELSE name END, method FROM acc",
}


def _rows(execute: Callable[[str], Any], catalogue: str) -> str:
    """A dump of which relations there are, and the rows of those that were there at the beginning."""
    names = str(execute(catalogue))
    parts = [names]
    for table, query in _ROWS.items():
        if f"'{table}'" in names:
            parts.append(str(sorted(map(str, execute(query)))))
    return "\n".join(parts)


class Engine(Protocol):
    """One database engine."""

    name: str

    def run(self, query: str, bound: str | None) -> tuple[list[Any], str] | None:
        """Rows and a dump of all tables after a query on the pristine tables; None if it failed."""


def effective(engine: Engine, query: str, text: str, quote: str = "'") -> bool:
    """Whether a text, pasted into a query between quotes of a kind, does what its bound self does not."""
    pasted = engine.run(query.replace("'", quote).replace("?", text), None)
    if pasted is None:
        return False
    rows, dump = pasted
    bound = engine.run(query, text) if "'" in query else None
    if bound:
        return dump != bound[1] or bool(set(map(str, rows)) - set(map(str, bound[0])))
    untouched = engine.run("SELECT 1", None)
    # A number may have one row, and a text that can't be bound none.
    return not untouched or dump != untouched[1] or len(rows) > ("'" not in query) or "psecret" in str(rows)


class SQLite:
    """In memory, made anew for each query."""

    name = "sqlite"

    def __init__(self, _: Path) -> None:
        self._schema = ";".join(_SCHEMA)

    def run(self, query: str, bound: str | None) -> tuple[list[Any], str] | None:
        database = sqlite3.connect(":memory:", isolation_level=None)
        try:
            database.executescript(self._schema)
            database.set_authorizer(
                lambda action, *_: sqlite3.SQLITE_DENY if action == 24 else sqlite3.SQLITE_OK
            )  # ATTACH
            deadline = time.monotonic() + _LIMIT
            database.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
            rows: list[Any] = []
            if bound is not None:
                pattern = "'%?%'" in query
                value = f"%{bound}%" if pattern else bound
                rows = database.execute(query.replace("'%?%'", "?").replace("'?'", "?"), (value,)).fetchall()
            else:
                try:
                    rows = database.execute(query).fetchall()
                except (sqlite3.Error, sqlite3.Warning) as error:
                    if "one statement" not in str(error):
                        raise
                    with contextlib.suppress(sqlite3.Error):  # what ran before a mistake has run
                        database.executescript(query)
            database.set_progress_handler(None, 0)
            return rows, _rows(
                lambda q: database.execute(q).fetchall(), "SELECT name, type FROM sqlite_master ORDER BY 1"
            )
        except (sqlite3.Error, sqlite3.Warning, ValueError):
            return None
        finally:
            database.close()


class PostgreSQL:
    """A server of its own; each query in a transaction that is rolled back."""

    name = "postgresql"

    def __init__(self, folder: Path) -> None:
        import psycopg2

        self._driver = psycopg2
        self._folder = folder
        programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        user = _as_user("postgres", folder)
        subprocess.run(
            [programs / "initdb", "-D", folder / "data", "-U", "root", "--auth=trust", "-N"], check=True, **user
        )
        self._server = subprocess.Popen(
            [
                programs / "postgres",
                "-D",
                folder / "data",
                "-k",
                folder,
                "-c",
                "listen_addresses=",
                "-c",
                "fsync=off",
                "-c",
                "shared_buffers=16MB",
            ],
            **user,
        )
        until = time.monotonic() + 30
        while not (folder / ".s.PGSQL.5432").exists() and time.monotonic() < until:
            time.sleep(0.02)
        self._connect("root", "CREATE ROLE backend LOGIN").close()
        self._connect("root", "CREATE DATABASE calls OWNER backend").close()
        self._prepare()

    def _connect(self, user: str, statement: str, database: str = "postgres") -> Any:
        until = time.monotonic() + 30
        while True:
            try:
                connection = self._driver.connect(host=str(self._folder), user=user, dbname=database)
                break
            except self._driver.OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)
        connection.autocommit = True
        if statement:
            connection.cursor().execute(statement)
        return connection

    def _prepare(self) -> None:
        self._connect("root", "ALTER DATABASE calls OWNER TO backend", "calls").cursor().execute(
            "DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public AUTHORIZATION backend"
        )
        self._connection = self._connect("backend", ";".join(_SCHEMA), "calls")
        self._connection.cursor().execute(f"SET statement_timeout={int(_LIMIT * 1000)}")
        self._connection.autocommit = False
        self._pristine = self._dump(self._connection.cursor())
        self._connection.rollback()

    def _dump(self, cursor: Any) -> str:
        def rows(query: str) -> Any:
            cursor.execute(query)
            return cursor.fetchall()

        return _rows(rows, "SELECT relname, relkind FROM pg_class WHERE relnamespace='public'::regnamespace ORDER BY 1")

    def run(self, query: str, bound: str | None) -> tuple[list[Any], str] | None:
        cursor = self._connection.cursor()
        try:
            if bound is not None:
                pattern = "'%?%'" in query
                value = f"%{bound}%" if pattern else bound
                cursor.execute(query.replace("'%?%'", "%s").replace("'?'", "%s"), (value,))
            else:
                cursor.execute(query)
            rows = cursor.fetchall() if cursor.description else []
            return rows, self._dump(cursor)
        except (self._driver.Error, ValueError):
            return None
        finally:
            try:
                self._connection.rollback()
                if self._dump(self._connection.cursor()) != self._pristine:
                    raise self._driver.DatabaseError("the text committed")
                self._connection.rollback()
            except self._driver.Error:
                with contextlib.suppress(self._driver.Error):
                    self._connection.close()
                self._prepare()

    def close(self) -> None:
        self._server.kill()
        self._server.wait()


class MariaDB:
    """A server of its own; the tables are made anew when a query has changed them."""

    name = "mariadb"

    def __init__(self, folder: Path) -> None:
        import pymysql

        self._driver = pymysql
        user = _as_user("mysql", folder)
        options = [
            "--no-defaults",
            f"--datadir={folder}/data",
            "--innodb-buffer-pool-size=16M",
            "--innodb-log-file-size=8M",
        ]
        subprocess.run(
            ["mariadb-install-db", *options, "--auth-root-authentication-method=normal", "--skip-test-db"],
            check=True,
            **user,
        )
        server = shutil.which("mariadbd") or "/usr/sbin/mariadbd"
        self._socket = f"{folder}/socket"
        self._server = subprocess.Popen(
            [server, *options, f"--socket={self._socket}", "--skip-networking", f"--pid-file={folder}/pid",
             "--secure-file-priv=" + str(folder / "data"), "--innodb-flush-log-at-trx-commit=0", f"--max-statement-time={_LIMIT}"],
            **user,
        )  # fmt: skip
        until = time.monotonic() + 30
        while True:
            try:
                self._prepare()
                break
            except pymysql.err.OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)

    def _prepare(self) -> None:
        from pymysql.constants import CLIENT

        self._connection = self._driver.connect(
            unix_socket=self._socket, user="root", client_flag=CLIENT.MULTI_STATEMENTS, read_timeout=5
        )
        cursor = self._connection.cursor()
        for statement in ("DROP DATABASE IF EXISTS calls", "CREATE DATABASE calls", "USE calls", *_SCHEMA):
            cursor.execute(statement)
        self._connection.commit()
        self._pristine = self._dump(cursor)

    def _dump(self, cursor: Any) -> str:
        def rows(query: str) -> Any:
            cursor.execute(query)
            return cursor.fetchall()

        cursor.execute("USE calls")
        return _rows(
            rows, "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema='calls' ORDER BY 1"
        )

    def run(self, query: str, bound: str | None) -> tuple[list[Any], str] | None:
        dump = ""
        try:
            cursor = self._connection.cursor()
            if bound is not None:
                pattern = "'%?%'" in query
                value = f"%{bound}%" if pattern else bound
                cursor.execute(query.replace("'%?%'", "%s").replace("'?'", "%s"), (value,))
                rows = list(cursor.fetchall())
            else:
                cursor.execute(query)
                rows = list(cursor.fetchall())
                with contextlib.suppress(self._driver.err.Error):  # what ran before a mistake has run
                    while cursor.nextset():
                        rows += cursor.fetchall()
            dump = self._dump(cursor)
            return rows, dump
        except (self._driver.err.Error, ValueError, OSError, UnicodeError):
            return None
        finally:
            try:
                self._connection.rollback()
                if dump != self._pristine and self._dump(self._connection.cursor()) != self._pristine:
                    raise self._driver.err.OperationalError("the text committed")
            except (self._driver.err.Error, OSError):
                with contextlib.suppress(Exception):
                    self._connection.close()
                self._prepare()

    def close(self) -> None:
        self._server.kill()
        self._server.wait()


def _as_user(name: str, folder: Path) -> dict[str, Any]:
    """The arguments that run a server as its own user, in a folder that is made for it."""
    entry = pwd.getpwnam(name)
    folder.mkdir()
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    return {
        "user": entry.pw_uid,
        "group": entry.pw_gid,
        "extra_groups": [],
        "cwd": folder,
        "env": {**os.environ, "HOME": str(folder), "LC_ALL": "C.UTF-8"},
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
    }


def installed() -> list[str]:
    """Which engines this machine has."""
    found = ["sqlite"]
    if list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        found.append("postgresql")
    if shutil.which("mariadb-install-db"):
        found.append("mariadb")
    return found


_KINDS: Final[dict[str, Callable[[Path], Any]]] = {"sqlite": SQLite, "postgresql": PostgreSQL, "mariadb": MariaDB}


@contextlib.contextmanager
def engines(names: list[str], folder: Path) -> Iterator[list[Engine]]:
    """The engines named, started; stopped at the end."""
    started: list[Any] = []
    try:
        for name in names:
            started.append(_KINDS[name](folder / name))  # noqa: PERF401 - what has been started must be stopped
        yield started
    finally:
        for engine in started:
            if hasattr(engine, "close"):
                engine.close()
