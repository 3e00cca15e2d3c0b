"""`sipsieve feeds`: the lists from outside on the running server."""

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
from ..operate.running import Refused, Running

_EXAMPLES = """\b
Examples:
  sudo sipsieve feeds
  sudo sipsieve feeds --refresh blocklist
  sudo sipsieve feeds --json | jq '.feeds[] | select(.error != "")'

Exit codes: 0 all is well, 1 a list could not be fetched, there is none of that name, or no server, 2 the call was wrong.
"""


@click.command("feeds", epilog=_EXAMPLES)
@click.option("--refresh", default=None, metavar="NAME", help="Fetch that list now; `all` for each of them.")
@click.option("--rpc", default="", metavar="FIFO", help="Kamailio's RPC FIFO. Default: SIPSIEVE_RPC, else Debian's.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def command(refresh: str | None, rpc: str, as_json: bool) -> None:
    """Show the lists from outside ([[feed]] of the policy): entries, age, and what went wrong.

    A list that can't be fetched, or whose new copy can't be right, stays in force as it was last good,
    until expire_seconds of the policy. --refresh returns at once; look again for what came of it.
    """
    running = Running(rpc)
    try:
        if refresh is None:
            answer = running.ask("feeds")
        else:
            answer = running.ask("refresh", name="" if refresh == "all" else refresh)
    except (Refused, RpcError) as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps({key: answer[key] for key in ("now", "feeds", "note")}))
    else:
        _print(answer)
    if any(feed["error"] for feed in answer["feeds"]):
        raise SystemExit(1)


def _print(answer: dict[str, Any]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    if not answer["feeds"]:
        click.echo(answer["note"] or "the policy in force names no lists")
        return
    table = Table("list", "action", "entries", "left out", "age", "next", "errors", box=None, pad_edge=False)
    for feed in answer["feeds"]:
        table.add_row(
            *(Text(harmless(str(feed[key]))) for key in ("name", "action", "entries", "left_out")),
            "never" if feed["age"] is None else readable(feed["age"]),
            "fetching" if feed["fetching"] else readable(feed["next"]),
            str(feed["errors"]),
        )
    console.print(table)
    for feed in answer["feeds"]:
        if feed["error"]:
            console.print(Text(harmless(f"{feed['name']}: {feed['error']}", 400)))
