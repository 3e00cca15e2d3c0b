"""`sipsieve on`: ends what `sipsieve off` began."""

from __future__ import annotations

import click

from ..operate.turning import options, turn


@click.command()
@options
def command(rpc: str, reason: str, as_json: bool) -> None:
    """Turn inspection on again in the running server, after `sipsieve off`.

    \b
    Example:
      sipsieve on
    """
    turn(rpc, off=False, reason=reason, as_json=as_json)
