"""`sipsieve suggest`: proposes limits from observed traffic."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import click
from rich.console import Console

from sipsieve.config import policy as policies
from sipsieve.config.policy import PolicyError

from ..operate.harmless import harmless
from ..operate.places import policy_path
from ..readers.kinds import InputError
from ..render import progress
from ..tuning import proposal
from ..tuning.recording import Recording
from ..tuning.suggest import suggest
from ..tuning.trials import ruleset_of

_EPILOG = """\b
Examples:
  sipsieve suggest /var/log/sipsieve/decisions.jsonl*
  sipsieve suggest --html limits.html week.pcap
  sipsieve suggest --toml decisions.jsonl >> new.toml

Exit codes: 0 something is proposed, 1 nothing is (what is in force fits, or the data is too thin),
2 a file or the policy can't be read, or the call was wrong.
"""


@click.command("suggest", epilog=_EPILOG)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--policy", "policy_option", metavar="FILE", help="The policy in force. Default: the one in use.")
@click.option("--toml", "as_toml", is_flag=True, help="Print only what to paste.")
@click.option(
    "--html", type=click.Path(path_type=Path, dir_okay=False), metavar="OUT", help="Also write a page with charts."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object (docs/suggest.schema.json).")
@click.option("--quiet", "-q", is_flag=True, help="No progress bar.")
def command(
    paths: tuple[Path, ...],
    policy_option: str | None,
    as_toml: bool,
    html: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Propose limits from observed traffic: decision logs, captures, raw Kamailio logs.

    The guard's own core counts what each source had in its busiest minute. Limits are proposed that leave sources that look
    legitimate (their calls or registrations are accepted) twice the room that they needed, with entries of their own for those
    that need more, and proven by a backtest over the same traffic: none of these is newly blocked. A switch that sends an old
    password gets an entry too, with what to confirm first. From their calls [[destinations]] are proposed. Where the data is
    too thin, nothing is proposed.
    """
    try:
        policy = policies.load(policy_path(policy_option))
        with contextlib.ExitStack() as stack:
            watch = progress.watch(progress.bar(stack, quiet or as_json or as_toml))
            made = suggest(policy, ruleset_of(policy), lambda trial: Recording(paths, trial, watch))
        if html is not None:
            html.write_text(proposal.page(made), encoding="utf-8")
    except (PolicyError, InputError, OSError) as error:
        raise click.UsageError("\n".join(harmless(line) for line in str(error).split("\n"))) from error
    if as_json:
        click.echo(json.dumps(proposal.data(made)))
    elif as_toml:
        click.echo(proposal.toml(made))
    else:
        proposal.draw(made, Console(highlight=False))
    is_proposed = made.networks or made.money.entries or any(one.is_changed for one in made.proposals)
    raise SystemExit(0 if is_proposed else 1)
