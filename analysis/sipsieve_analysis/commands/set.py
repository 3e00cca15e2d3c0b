"""`sipsieve set`: changes one value of the running server's policy for a time."""

from __future__ import annotations

import json
import re

import click

from ..operate.durations import readable, seconds
from ..operate.harmless import harmless
from ..operate.rpc import RpcError
from ..operate.running import Refused, Running

_EXAMPLES = """\b
Examples:
  sudo sipsieve set limits.invite.per_minute 60 --for 10m
  sudo sipsieve set mode observe --for 1h
  sudo sipsieve set network '[{cidr = "203.0.113.0/24", mode = "observe"}]' --for 2h
  sudo sipsieve set limits.invite.per_minute --clear

Exit codes: 0 in force, 1 refused (nothing changed) or no server, 2 the call was wrong.
"""


class _Set(click.Command):
    """Takes a negative number for the value that it is, so that the policy says what is wrong with it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        numbers = [text for text in args if re.fullmatch(r"-\d+(\.\d+)?", text)]
        if numbers and "--" not in args:
            args = [*(text for text in args if text not in numbers), "--", *numbers]
        return super().parse_args(ctx, args)


@click.command("set", cls=_Set, epilog=_EXAMPLES)
@click.argument("key")
@click.argument("value", required=False)
@click.option("--for", "duration", metavar="TIME", help="Take it back after 90s, 10m, 2h, 1d. Default: at the restart.")
@click.option("--clear", is_flag=True, help="Take it back now: the policy file's value holds again.")
@click.option("--rpc", default="", metavar="FIFO", help="Kamailio's RPC FIFO. Default: SIPSIEVE_RPC, else Debian's.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def command(key: str, value: str | None, duration: str | None, clear: bool, rpc: str, as_json: bool) -> None:
    """Set KEY to VALUE on the running server, on top of the policy file.

    KEY is dotted, as in limits.invite.per_minute; VALUE is what stands behind = in the policy file,
    quotes optional. A reload keeps what is set, a restart does not. The decision log records who set
    what, and when it ended.
    """
    if clear == (value is not None):
        raise click.UsageError("give a VALUE, or --clear")
    try:
        span = seconds(duration) if duration else 0
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--for") from error
    if duration and not span:
        raise click.BadParameter("0 is no time", param_hint="--for")
    try:
        running = Running(rpc)
        answer = running.ask("unset", key=key) if clear else running.ask("set", key=key, value=value, seconds=span)
    except (Refused, RpcError) as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(answer))
        return
    if clear:
        click.echo(f"{key}: taken back; policy {answer['old']['policy']} -> {answer['new']['policy']}")
    else:
        until = f"for {readable(span)}" if span else "until the restart"
        click.echo(f"{key} = {value} {until}; policy {answer['old']['policy']} -> {answer['new']['policy']}")
    for problem in answer.get("geo", ()):
        click.echo(harmless(problem), err=True)
