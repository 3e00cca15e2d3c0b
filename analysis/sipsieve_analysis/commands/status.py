"""`sipsieve status`: what the running server decides by, and how it fares."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..operate.durations import readable
from ..operate.harmless import harmless
from ..operate.rpc import RpcError
from ..operate.running import Refused, Running, laggards

_EXAMPLES = """\b
Examples:
  sudo sipsieve status
  sudo sipsieve status --json | jq '.workers[].memory'

Exit codes: 0 all is well, 1 records were lost, errors happened or inspection is off, or no server, 2 the call was wrong.
"""


@click.command("status", epilog=_EXAMPLES)
@click.option("--rpc", default="", metavar="FIFO", help="Kamailio's RPC FIFO. Default: SIPSIEVE_RPC, else Debian's.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def command(rpc: str, as_json: bool) -> None:
    """Show the running server: versions, each worker, counts, and what is set for a time.

    A worker that still decides by an older revision is named: it has had no message since, and
    switches at its next one.
    """
    try:
        status = Running(rpc).ask("status")
    except (Refused, RpcError) as error:
        raise click.ClickException(str(error)) from error
    behind = laggards(status)
    totals = status["totals"]
    if as_json:
        click.echo(json.dumps(status | {"laggards": [worker["pid"] for worker in behind]}))
    else:
        _print(status, behind)
    if totals["records_lost"] or totals["errors"] or status["inspection"] == "off":
        raise SystemExit(1)


def _print(status: dict[str, Any], behind: list[dict[str, Any]]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    revision, totals, now = status["revision"], status["totals"], status["now"]
    lines = [
        f"up {readable(now - status['started'])}, mode {revision['mode']}, inspection {status['inspection']}",
        f"revision {revision['revision']} for {readable(now - status['since'])}: "
        f"policy {revision['policy']} ({status['policy_file']}), rules {revision['rules']}",
    ]
    for key, setting in status["set"].items():
        left = f"{readable(setting['until'] - now)} left" if setting["until"] else "until the restart"
        lines.append(f"set by {setting['user']}: {key} = {setting['text']} ({left})")
    latency = totals["latency"]
    timed = (
        f"; half within {latency['p50'] * 1e6:g} µs, 99 % within {latency['p99'] * 1e6:g} µs"
        if latency["timed"]
        else ""
    )
    lines += [
        f"{totals['messages']} messages: {_counts(totals['decisions'])}{timed}",
        f"passed with nothing found: {totals['short_way']}",
        f"methods: {_counts(totals['methods'])}; transports: {_counts(totals['transports'])}",
        f"findings: {_counts(totals['families'])}; bans: {status['bans']}",
        *_standing(status["standing"], now),
        *_geo(status.get("geo", {}), now),
        f"records: {totals['records_written']} written to {status['log']}, {totals['records_lost']} lost; errors: {totals['errors']}",
    ]
    console.print(Text("\n".join(harmless(line) for line in lines)))
    table = Table("worker", "process", "revision", "memory", "written", "lost", "errors", box=None, pad_edge=False)
    late = {worker["pid"] for worker in behind}
    for worker in status["workers"]:
        note = " (behind: no message since)" if worker["pid"] in late else ""
        table.add_row(
            *(str(worker[key]) for key in ("place", "pid")),
            f"{worker['revision']}{note}",
            f"{worker['memory'] / 1048576:.1f} MiB",
            *(str(worker[key]) for key in ("written", "lost", "errors")),
        )
    console.print(table)


def _standing(standing: dict[str, Any], now: float) -> list[str]:
    """How many sources have standing, those that showed themselves last, and those that lost it within the hour."""
    has = [
        f"  {known['key']} by {' and '.join(known['proofs'])} for {readable(now - known['since'])}, "
        f"{readable(known['until'] - now)} left"
        for known in standing["latest"]
    ]
    lost = [
        f"  {known['key']} lost it {readable(now - known['last'])} ago by {known['lost']}" for known in standing["lost"]
    ]
    return [f"standing: {standing['sources']} sources", *has, *lost]


def _geo(files: dict[str, Any], now: float) -> list[str]:
    """The files that know where addresses are at home, each with its age and what is wrong with it."""
    lines = []
    for kind, file in files.items():
        if file["built"] is None:
            lines.append(f"geo.{kind}: none in force: {file['problem']}")
            continue
        days = max(0, int((now - file["built"]) / 86_400))
        wrong = f"; {file['problem']}" if file["problem"] else ""
        lines.append(
            f"geo.{kind}: {file['file']} ({file['database'] or 'without a name'}, {days} days old, {file['ranges']} ranges){wrong}"
        )
    return lines


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda pair: -pair[1])) or "none"
