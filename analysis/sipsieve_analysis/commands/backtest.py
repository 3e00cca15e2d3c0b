"""`sipsieve backtest`: what a policy would have done to recorded traffic."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from sipsieve.config.policy import PolicyError

from ..operate.harmless import harmless
from ..readers.kinds import InputError
from ..render import progress
from ..tuning import condition, shown
from ..tuning.backtest import CHANGES, Backtest, Side, facts_of
from ..tuning.recording import Recording
from ..tuning.thin import Note, notes
from ..tuning.trials import Trial, load

#: Sources in the JSON object, those first that matter most.
_SOURCES = 10_000

_EPILOG = """\b
Examples:
  sipsieve backtest --policy new.toml /var/log/sipsieve/decisions.jsonl*
  sipsieve backtest --policy new.toml --against /etc/sipsieve/sipsieve.toml week.pcap
  sipsieve backtest --policy new.toml --fail-if "blocked_trusted > 0 or newly_blocked_legitimate > 0" decisions.jsonl

Figures for --fail-if: messages, blocked, scrubbed, bans, newly_blocked, newly_scrubbed, newly_allowed,
no_longer_scrubbed, blocked_trusted, blocked_legitimate, newly_blocked_legitimate, legitimate_sources_blocked,
banned_legitimate, unknown (messages of which there is no record).

Exit codes: 0 done, 1 --fail-if holds, 2 a file or the policy can't be read, or the call was wrong.
"""


@click.command("backtest", epilog=_EPILOG)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option(
    "--policy",
    "policy_option",
    metavar="FILE",
    required=True,
    type=click.Path(path_type=Path),
    help="The policy to try.",
)
@click.option(
    "--against",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Compare with this policy, not with what was recorded.",
)
@click.option(
    "--rules",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A rule file to try in addition. May be given more than once.",
)
@click.option(
    "--fail-if",
    "fail_if",
    metavar="CONDITION",
    multiple=True,
    help="Exit with 1 where this holds. May be given more than once.",
)
@click.option("--top", default=10, show_default=True, type=click.IntRange(1), help="Rows of each table.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object (docs/backtest.schema.json).")
@click.option("--quiet", "-q", is_flag=True, help="No progress bar.")
def command(
    paths: tuple[Path, ...],
    policy_option: Path,
    against: Path | None,
    rules: tuple[Path, ...],
    fail_if: tuple[str, ...],
    top: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Try a policy on recorded traffic: decision logs, captures, raw Kamailio logs.

    The guard's own core decides on each recorded message anew, at the time of the recording, with the limits and bans that the
    policy has; what it says is compared with the recorded decisions, or with what another policy says. Trusted and
    legitimate-looking sources (registered, completed calls) come first. Both sides are taken as carried out, whatever their
    mode. Senders would have answered to other decisions with other messages: that is not guessed.
    """  # fmt: skip
    try:
        trial = load(policy_option, rules)
        other = load(against) if against else None
        result = Backtest(trial, other)
        # A condition that can't be read is told before a long run, not after it.
        for text in fail_if:
            condition.holds(text, result.figures(Recording(paths, trial).reader.thin))
        with contextlib.ExitStack() as stack:
            recording = Recording(paths, trial, progress.watch(progress.bar(stack, quiet or as_json)))
            result.run(recording)
    except (PolicyError, InputError, condition.ConditionError, OSError) as error:
        raise click.UsageError("\n".join(harmless(line) for line in str(error).split("\n"))) from error
    thin = notes(recording, [one.policy for one in (trial, other) if one])
    figures = result.figures(recording.reader.thin)
    failed = [text for text in fail_if if condition.holds(text, figures)]
    if as_json:
        click.echo(json.dumps(_data(result, recording, thin, figures, failed, trial, other)))
    else:
        shown.draw(result, thin, Console(highlight=False), top)
        for text in failed:
            click.echo(f"fails: {harmless(text, 200)}")
    raise SystemExit(1 if failed else 0)


def _data(
    result: Backtest,
    recording: Recording,
    thin: list[Note],
    figures: dict[str, int],
    failed: list[str],
    trial: Trial,
    other: Trial | None,
) -> dict[str, Any]:
    rows = result.changed()
    return {
        "policy": trial.policy.version,
        "rules": trial.ruleset.version,
        "against": other.policy.version if other else None,
        "recorded_policies": dict(recording.reader.versions),
        "from": result.first,
        "to": result.last,
        "inputs": dict(recording.kinds),
        "bad_lines": recording.reader.bad,
        "skipped": dict(recording.skipped),
        "figures": figures,
        "before": _side(result.before),
        "after": _side(result.after),
        "by_rule": {change: dict(result.rules[change].most_common(200)) for change in CHANGES},
        "by_field": {change: dict(result.fields[change].most_common(200)) for change in CHANGES},
        "by_network": {name: dict(changes) for name, changes in result.networks()[:1000]},
        "sources": [facts_of(row) for row in rows[:_SOURCES]],
        "more_sources": max(0, len(rows) - _SOURCES),
        "thin": [note._asdict() for note in thin],
        "failed": failed,
    }


def _side(side: Side) -> dict[str, Any]:
    return {
        "name": side.name,
        "bans": side.bans,
        **{effect: side.effects[effect] for effect in ("allow", "scrub", "block", "banned")},
    }
