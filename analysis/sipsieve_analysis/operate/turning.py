"""What `sipsieve off` and `sipsieve on` have in common: their options, and what they say."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click

from . import switch
from .rpc import Rpc, RpcError


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of both commands."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Answer as JSON."),
        click.option("--reason", default="", metavar="TEXT", help="Why, for the decision log."),
        click.option(
            "--rpc",
            default="",
            metavar="FIFO",
            help="The server's FIFO (jsonrpcs). Default: SIPSIEVE_RPC, else the one in /run/kamailio.",
        ),
    ):
        command = option(command)
    return command


def turn(path: str, *, off: bool, reason: str, as_json: bool) -> None:
    """Turns the switch and says what is so now. A server that can't be reached: exit code 1."""
    rpc = Rpc(path)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    who = f"{_user()} at {now}: {reason or 'no reason given'}"
    try:
        turned = switch.turn(rpc, off=off, who=who)
    except RpcError as error:
        raise click.ClickException(str(error)) from None
    state = "off" if off else "on"
    if as_json:
        click.echo(json.dumps({"inspection": state, "changed": turned, "server": rpc.path}))
    elif not turned:
        click.echo(f"Inspection was {state} already.")
    elif off:
        click.echo("Inspection is off: messages pass unseen, bans are not enforced.")
        click.echo("`sipsieve on` turns it on again; so does a restart of Kamailio.")
    else:
        click.echo("Inspection is on.")


def _user() -> str:
    """Who calls, through sudo too."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"
