"""`sipsieve ask`: a question in plain words over an archive or logs."""

from __future__ import annotations

import contextlib
import json
import math
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from ..engine_memory import DEFAULT, checked
from ..operate.harmless import harmless
from .analyze import zone_of

_EXAMPLES = """\b
Examples:
  sipsieve ask "which sources tried premium numbers last week?" /srv/sipsieve/archive
  sipsieve ask "top 20 users by registrations refused since 2026-11-01" decisions.jsonl
  sipsieve ask --sql "SELECT method, count(*) FROM events GROUP BY 1 ORDER BY 2 DESC" /srv/sipsieve/archive

Exit codes: 0 answered, 1 nothing was found, 2 the question was not understood, an input can't be read or the call was wrong,
130 interrupted.
"""


@click.command("ask", epilog=_EXAMPLES)
@click.argument("question")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--sql",
    "is_sql",
    is_flag=True,
    help="QUESTION is one SELECT over the table events (docs/ask.md): read only, bounded.",
)
@click.option(
    "--model", type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Settings (TOML) of a language model, as for --narrate, that puts the question into a query; it sees no event.",
)  # fmt: skip
@click.option("--timezone", default="UTC", metavar="NAME", help="Time zone of log lines that name none (default UTC).")
@click.option(
    "--memory", default=DEFAULT, metavar="SIZE", help="Memory that the engine may use before it spills to disk."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def command(
    question: str, paths: tuple[Path, ...], is_sql: bool, model: Path | None, timezone: str, memory: str, as_json: bool
) -> None:
    """Answer QUESTION over PATHS: archives, logs or captures. The query is shown; its numbers come from the engine.

    Without --model the words that it understands are those of docs/ask.md.
    """
    from ..ask import counting, sql, words
    from ..ask import query as query_
    from ..events import Store
    from ..intake import Collector, InputError

    zone = zone_of(timezone)
    version = ""
    query: query_.Query | None = None
    if is_sql and model is not None:
        raise click.UsageError("--sql needs no --model: give one of them")
    try:
        if not is_sql and model is None:
            query = words.read(question)
        elif not is_sql and model is not None:
            from ..ask import model as model_
            from ..narrate.settings import SettingsError

            try:
                query, version = model_.read(question, model)
            except SettingsError as error:
                raise query_.QueryError(f"--model: {error}") from error
    except query_.QueryError as error:
        # Without its quotes a question is its first word, and the others are files.
        quotes = " (a question of several words stands between quotes)" if _is_unquoted(question, paths) else ""
        raise click.UsageError(harmless(str(error)) + quotes) from error
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sipsieve-")))
        stack.enter_context(checked(memory))
        store = Store(folder, memory)
        stack.callback(store.close)
        try:
            collector = Collector(store, folder, zone)
            for path in paths:
                collector.add(path)
            collector.finish()
        except (InputError, OSError) as error:
            raise click.UsageError("\n".join(harmless(line) for line in str(error).split("\n"))) from error
        if query is None:
            store.close()
            try:
                columns, rows, more = sql.run(folder / "events.duckdb", question)
            except query_.QueryError as error:
                raise click.UsageError(harmless(str(error))) from error
            facts: dict[str, Any] = {"sql": question, "columns": columns, "rows": [[_plain(value) for value in row] for row in rows], "more": more}  # fmt: skip
            _put(facts, as_json, columns, [[str(_plain(value)) for value in row] for row in rows])
            if more and not as_json:
                click.echo(f"There are more: the first {query_.MOST} are shown")
            sys.exit(0 if rows else 1)
        counted = counting.count(store, query)
        if not counted.messages and store.last() < 0:
            click.echo("Nothing to ask: there is no event in what was named.", err=True)
    found = [
        {_ONE.get(query.what, query.what[:-1]): counting.told(row, query), "messages": row["messages"], "sources": row["sources"],
         "first_seen": _when(row["first_us"]), "last_seen": _when(row["last_us"])}
        for row in counted.rows
    ]  # fmt: skip
    facts = {
        "query": query_.shown(query),
        "model": version,
        "messages": counted.messages,
        "different": counted.different,
        "rows": found,
    }
    if query.period or query.since or query.until:
        facts |= {"since": _when(counted.since_us), "until": _when(counted.until_us)}
    if not as_json:
        click.echo(f"Query: {facts['query']}" + (f" (by {harmless(version, 60)})" if version else ""))
        if "since" in facts:
            click.echo(f"Time: {facts['since']} to {facts['until']}")
        one = _ONE.get(query.what, query.what[:-1])
        messages = "message" if counted.messages == 1 else "messages"
        click.echo(
            f"{counted.messages:,} {messages}, {counted.different:,} {one if counted.different == 1 else query.what}"
        )
    _put(facts, as_json, list(found[0]) if found else [], [[str(value) for value in row.values()] for row in found])
    sys.exit(0 if found else 1)


#: What a row is of.
_ONE: Final = {"families": "family"}


def _when(time_us: int) -> str:
    try:
        return f"{datetime.fromtimestamp(time_us / 1e6, UTC):%Y-%m-%dT%H:%M:%SZ}"
    except (ValueError, OverflowError, OSError):
        return ""


def _is_unquoted(question: str, paths: tuple[Path, ...]) -> bool:
    from ..archive.names import is_there

    return " " not in question.strip() and "/" not in str(paths[0]) and not is_there(paths[0])


def _plain(value: Any) -> Any:
    # JSON has no number that is infinite or none.
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _put(facts: dict[str, Any], as_json: bool, columns: list[str], rows: list[list[str]]) -> None:
    """Prints an answer; what senders wrote is made harmless, or escaped in JSON."""
    if as_json:
        json.dump(facts, sys.stdout, ensure_ascii=True, indent=2)
        sys.stdout.write("\n")
        return
    shown = [[harmless(value, 60) for value in row] for row in [columns, *rows]] if columns else []
    widths = [max(len(row[place]) for row in shown) for place in range(len(columns))]
    for row in shown:
        click.echo("  ".join(value.ljust(width) for value, width in zip(row, widths, strict=True)).rstrip())
