"""`sipsieve notify`: tries the channels that `watch --notify` tells."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from ..operate.harmless import harmless

_EPILOG = """
\b
Examples:
  sipsieve notify /etc/sipsieve/alerts.toml           a test message to each channel
  sipsieve notify --check /etc/sipsieve/alerts.toml   only read the file

Exit codes: 0 each channel took it, 1 one did not, 2 the file can't be used.
"""


@click.command(epilog=_EPILOG)
@click.argument("settings", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--check", is_flag=True, help="Send nothing.")
@click.option("--channel", "only", metavar="NAME", help="Only this one.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")
def command(settings: Path, check: bool, only: str | None, as_json: bool) -> None:
    """Send a test alert to each channel of SETTINGS, quiet hours or not, and say who took it."""
    from ..watch import channels

    try:
        sinks = channels.read(settings, UTC)
    except channels.ChannelError as error:
        raise click.UsageError(str(error)) from error
    sinks = [sink for sink in sinks if only is None or sink.name == f"channel:{only}"]
    if not sinks:
        raise click.UsageError(f"--channel {only}: {settings} has no channel of this name")
    told = []
    for sink in sinks:
        problem = "" if check else sink.send([_test(datetime.now(UTC))])
        told.append({"channel": sink.name.removeprefix("channel:"), "sent": not check, "problem": problem})
        if not as_json:
            said = problem and f"failed: {harmless(problem)}"
            click.echo(f"{told[-1]['channel']}: {said or ('can be used' if check else 'told')}")
    if as_json:
        click.echo(json.dumps(told, indent=2))
    if any(one["problem"] for one in told):
        raise SystemExit(1)


def _test(now: datetime) -> tuple[str, dict[str, Any]]:
    moment = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    identity = hashlib.sha256(now.isoformat().encode()).hexdigest()[:16]
    return identity, {
        "id": identity,
        "kind": "test",
        "tier": "medium",
        "score": 0,
        "addresses": ["192.0.2.1"],
        "address_count": 1,
        "homes": [],
        "new_addresses": [],
        "spoofed": False,
        "intents": [],
        "campaigns": [],
        "new_campaigns": [],
        "why": ["somebody called sipsieve notify"],
        "first_seen": moment,
        "last_seen": moment,
        "action": "nothing; this channel works",
    }
