"""`sipsieve off`: lets messages pass uninspected in a running server."""

from __future__ import annotations

import click

from ..operate.turning import options, turn


@click.command()
@options
def command(rpc: str, reason: str, as_json: bool) -> None:
    """Turn inspection off in the running server: at once, without a restart, without losing a message.

    Every message then goes to Kamailio's own routing as if sipsieve were not there; bans are not
    enforced either. The decision log gets a record of who did it, and the number of messages that
    passed. It stays off until `sipsieve on` or until Kamailio is restarted.

    \b
    Examples:
      sipsieve off --reason "ticket 4711: calls from Example Ltd refused"
      sipsieve off --rpc /run/kamailio/edge_rpc.fifo --json
    """
    turn(rpc, off=True, reason=reason, as_json=as_json)
