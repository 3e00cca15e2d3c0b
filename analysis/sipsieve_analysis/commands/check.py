"""`sipsieve check`: says whether policy and rules would start, without starting anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from sipsieve import policy, ruleset

from ..operate.places import policy_path
from ..operate.problems import Problem, problems_of_policy, problems_of_rules

_EXAMPLES = """\b
Examples:
  sipsieve check
  sipsieve check --policy /etc/sipsieve/sipsieve.toml
  sipsieve check --policy new.toml --json && sipsieve reload

Exit codes: 0 it would start, 1 something is wrong, 2 the call was wrong.
"""


@click.command("check", epilog=_EXAMPLES)
@click.option("--policy", "policy_option", metavar="FILE", help="The policy to check. Default: the one in use.")
@click.option(
    "--rules", "folders", metavar="FOLDER", multiple=True, type=click.Path(path_type=Path),
    help="Check the rule files of this folder instead of the built-in ones. May be given more than once.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def command(policy_option: str | None, folders: tuple[Path, ...], as_json: bool) -> None:
    """Check policy and rules without starting or changing anything.

    Each problem names the file, the line or key, what is wrong there, and what is allowed.
    """
    path = policy_path(policy_option)
    problems = problems_of_policy(path)
    checked = folders or (ruleset.RULES_FOLDER,)
    for folder in checked:
        problems += problems_of_rules(folder)
    facts: dict[str, Any] = {"policy": {"file": str(path)}, "rules": {"folders": [str(f) for f in checked]}}
    if not problems:
        loaded = policy.load(path)
        facts["policy"] |= {"version": loaded.version, "mode": loaded.mode}
        facts["rules"]["count"] = sum(len(ruleset.load(folder).rules) for folder in checked)
    if as_json:
        click.echo(json.dumps({"ok": not problems, **facts, "problems": [p._asdict() for p in problems]}))
    elif problems:
        for problem in problems:
            click.echo(_line(problem), err=True)
    else:
        click.echo(
            f"{path}: good, policy {facts['policy']['version']}, mode {facts['policy']['mode']}; "
            f"{facts['rules']['count']} rules: good"
        )
    if problems:
        raise SystemExit(1)


def _line(problem: Problem) -> str:
    place = f"{problem.file}:{problem.line}" if problem.line else problem.file
    return f"{place}: {problem.key}: {problem.what}" if problem.key else f"{place}: {problem.what}"
