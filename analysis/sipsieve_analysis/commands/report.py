"""`sipsieve report`: what was blocked or would have been, by source, rule and field."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from sipsieve.config.policy import PolicyError

from ..operate.decisions import Reader
from ..operate.harmless import harmless
from ..operate.places import log_path
from ..operate.would_block import Sum

_EXAMPLES = """\b
Examples:
  sipsieve report --would-block
  sipsieve report --would-block decisions.jsonl.2.gz decisions.jsonl.1 decisions.jsonl
  sipsieve report --would-block --json | jq '.sources[] | select(.standing != "")'

Exit codes: 0 nothing to look at, 1 a source in good standing was (or would be) blocked, 2 the call was wrong.
"""


@click.command("report", epilog=_EXAMPLES)
@click.argument("logs", metavar="[LOG]...", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--would-block", "observed", is_flag=True, help="Sum up what observe mode let through.")
@click.option("--top", default=20, show_default=True, type=click.IntRange(1), help="Rows of each table.")
@click.option(
    "--policy", "policy_option", metavar="FILE", help="The policy that names the log where none is named here."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
def command(logs: tuple[Path, ...], observed: bool, top: int, policy_option: str | None, as_json: bool) -> None:
    """Sum up what was blocked (or, with --would-block, what would have been) by source, rule and field.

    Sources that completed calls or registered come first: each is either a customer about to be
    blocked by mistake, or an attacker inside. Logs are read in the order given, the oldest first;
    without any, the policy's.
    """
    try:
        named = log_path(str(logs[0]) if logs else None, policy_option)
        paths = list(logs) or [named]
    except PolicyError as error:
        raise click.ClickException(str(error)) from error
    reader, total = Reader(), Sum(observed)
    shown = track(paths, "reading", console=Console(stderr=True), transient=True, disable=as_json or len(paths) < 2)
    for path in shown:
        try:
            total.add(reader.read([path]))
        except (OSError, EOFError) as error:
            raise click.ClickException(f"{path}: cannot be read: {error}") from error
    rows = total.rows()
    facts: dict[str, Any] = {
        "would_block": observed,
        "from": total.first,
        "to": total.last,
        "messages": total.messages,
        "blocked": total.blocked,
        "bad_lines": reader.bad,
        "sources": [row.facts() for row in rows],
        "rules": dict(total.rules.most_common()),
        "fields": dict(total.fields.most_common()),
    }
    if as_json:
        click.echo(json.dumps(facts))
    else:
        _print(facts, top)
    if any(row.standing for row in rows):
        raise SystemExit(1)


def _print(facts: dict[str, Any], top: int) -> None:
    console = Console(highlight=False)
    verb = "would have been blocked" if facts["would_block"] else "were blocked"
    console.print(
        Text(f"{facts['messages']} messages, {facts['blocked']} {verb}, {facts['from'] or '-'} to {facts['to'] or '-'}")
    )
    if facts["bad_lines"]:
        console.print(Text(f"{facts['bad_lines']} lines were no records"))
    if not facts["sources"]:
        return
    table = Table(
        "source", "standing", "blocked", "allowed", "rules", "field", "explain with", box=None, pad_edge=False
    )
    for row in facts["sources"][:top]:
        table.add_row(
            Text(harmless(row["source"], 45)),
            Text(row["standing"] or "-"),
            str(row["blocked"]),
            str(row["allowed"]),
            Text(_some(row["rules"])),
            Text(_some(row["fields"])),
            Text(harmless(row["examples"][0], 32) if row["examples"] else "-"),
        )
    console.print(table)
    if len(facts["sources"]) > top:
        console.print(Text(f"and {len(facts['sources']) - top} more sources"))
    for name in ("rules", "fields"):
        console.print()
        table = Table(name[:-1], "messages", box=None, pad_edge=False)
        for key, count in list(facts[name].items())[:top]:
            table.add_row(Text(harmless(key, 64)), str(count))
        console.print(table)


def _some(counts: dict[str, int]) -> str:
    """The two most frequent, and how many more."""
    first = [harmless(name, 40) for name, _ in Counter(counts).most_common(2)]
    more = f" +{len(counts) - 2}" if len(counts) > 2 else ""
    return ", ".join(first) + more
