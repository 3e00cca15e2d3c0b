"""`sipsieve retention`: keeps rotated decision logs no longer than the policy says."""

from __future__ import annotations

import json
import time

import click

from sipsieve.config import policy as policies

from ..operate.places import log_path, policy_path
from ..operate.retention import expired, rotated

_EXAMPLES = """\b
Examples:
  sipsieve retention --dry-run
  sudo sipsieve retention

Exit codes: 0 done, 1 a file could not be deleted or the policy is broken, 2 the call was wrong.
"""


@click.command("retention", epilog=_EXAMPLES)
@click.option("--policy", "policy_option", metavar="FILE", help="The policy. Default: the one in use.")
@click.option("--log", "log_option", metavar="FILE", help="The decision log. Default: the policy's.")
@click.option("--dry-run", is_flag=True, help="Only show what would be deleted.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def command(policy_option: str | None, log_option: str | None, dry_run: bool, as_json: bool) -> None:
    """Delete rotated decision logs that are older than privacy.retention_days.

    logrotate calls this after each rotation. 0 days, the default, keeps everything that logrotate
    keeps. The log that is being written is never touched: it is rotated daily.
    """
    try:
        policy = policies.load(policy_path(policy_option))
        log = log_path(log_option, policy_option)
    except policies.PolicyError as error:
        raise click.ClickException(str(error)) from error
    days = policy.privacy.retention_days
    failed: list[str] = []
    try:
        kept = len(rotated(log))
        old = expired(log, days, time.time())
    except OSError as error:
        raise click.ClickException(f"{log.parent}: cannot be read: {error.strerror}") from error
    for path in old if not dry_run else ():
        try:
            path.unlink()
        except OSError as error:
            failed.append(f"{path}: cannot be deleted: {error.strerror}")
    facts = {
        "days": days,
        "deleted": [str(path) for path in old],
        "kept": kept - len(old),
        "failed": failed,
        "dry_run": dry_run,
    }
    if as_json:
        click.echo(json.dumps(facts))
    else:
        verb = "would delete" if dry_run else "deleted"
        for path in old:
            click.echo(f"{verb} {path}")
        for line in failed:
            click.echo(line, err=True)
        limit = f"older than {days} days" if days else "privacy.retention_days is 0: nothing is deleted"
        click.echo(f"{verb} {len(old)} of {kept} rotated logs ({limit})")
    if failed:
        raise SystemExit(1)
