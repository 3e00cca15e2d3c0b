"""`sipsieve reload`: puts changed policy and rules into force on the running server."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click

from sipsieve.detection import ruleset

from ..operate.harmless import harmless
from ..operate.problems import problems_of_policy, problems_of_rules, problems_together
from ..operate.rpc import RpcError
from ..operate.running import Refused, Running, laggards

#: Seconds that busy workers have to switch before they are named.
_SWITCH_TIME = 1.2

_EXAMPLES = """\b
Examples:
  sipsieve check && sudo sipsieve reload
  sudo sipsieve reload --json | jq .new

Exit codes: 0 in force, 1 refused (the old set goes on) or no server, 2 the call was wrong.
"""


@click.command("reload", epilog=_EXAMPLES)
@click.option("--rpc", default="", metavar="FIFO", help="Kamailio's RPC FIFO. Default: SIPSIEVE_RPC, else Debian's.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def command(rpc: str, as_json: bool) -> None:
    """Read policy and rules again and put them into force, without a restart.

    Busy workers switch within a second, idle ones at their next message; each message is decided by
    one version only. A broken file is refused with the reason, and what was in force stays. Values
    set with `sipsieve set` stay set. The decision log records who did it and both versions.
    """
    running = Running(rpc)
    try:
        before = running.ask("status")
        _check_first(Path(before["policy_file"]))
        answer = running.ask("reload")
        behind = _wait(running)
    except (Refused, RpcError) as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(answer | {"laggards": behind}))
        return
    old, new = answer["old"], answer["new"]
    click.echo(
        f"revision {old['revision']} -> {new['revision']}: policy {old['policy']} -> {new['policy']}, "
        f"rules {old['rules']} -> {new['rules']}, mode {new['mode']}"
    )
    if answer.get("needs_restart"):
        click.echo(f"kept until a restart: {', '.join(answer['needs_restart'])}", err=True)
    for problem in answer.get("geo", ()):
        click.echo(harmless(problem), err=True)
    if behind:
        pids = ", ".join(str(worker["pid"]) for worker in behind)
        click.echo(f"{len(behind)} idle workers switch at their next message (process {pids})")


def _check_first(path: Path) -> None:
    """Refuses here already what can be seen here: the server's files, where this user may read them."""
    problems = problems_of_rules(ruleset.RULES_FOLDER)
    if path.is_file():
        problems += problems_of_policy(path)
        problems += problems or problems_together(path)
    if problems:
        first = problems[0]
        place = f"{first.file}:{first.line}" if first.line else first.file
        raise Refused(f"{place}: {first.key + ': ' if first.key else ''}{first.what}")


def _wait(running: Running) -> list[dict[str, Any]]:
    end = time.monotonic() + _SWITCH_TIME
    while (behind := laggards(running.ask("status"))) and time.monotonic() < end:
        time.sleep(0.1)
    return behind
