"""`sipsieve check`: says whether policy and rules would start, without starting anything."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click

from sipsieve.config import policy
from sipsieve.control import geo_files
from sipsieve.detection import opinion, ruleset

from ..operate import exposure, kamailio_check
from ..operate.embedded_python import embedded
from ..operate.kamailio_config import ConfigError
from ..operate.places import policy_path
from ..operate.problems import Problem, problems_of_policy, problems_of_rules, problems_together

_EXAMPLES = """\b
Examples:
  sipsieve check
  sipsieve check --policy /etc/sipsieve/sipsieve.toml
  sipsieve check --policy new.toml --json && sipsieve reload
  sipsieve check --kamailio /etc/kamailio/kamailio.cfg

Of the software behind (`[backend] software`; with --kamailio also what is installed here) it says which known
crashes that a SIP message can trigger are exposed, covered by a rule, or fixed in that version.

Exit codes: 0 it would start, 1 something is wrong, 2 the call was wrong. What is exposed changes no exit code.
"""


@click.command("check", epilog=_EXAMPLES)
@click.option("--policy", "policy_option", metavar="FILE", help="The policy to check. Default: the one in use.")
@click.option(
    "--rules", "folders", metavar="FOLDER", multiple=True, type=click.Path(path_type=Path),
    help="Check the rule files of this folder instead of the built-in ones. May be given more than once.",
)  # fmt: skip
@click.option(
    "--kamailio", "config", metavar="FILE", type=click.Path(path_type=Path),
    help="Also say what this Kamailio configuration needs: what to add where, what collides.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def command(policy_option: str | None, folders: tuple[Path, ...], config: Path | None, as_json: bool) -> None:
    """Check policy and rules without starting or changing anything.

    Each problem names the file, the line or key, what is wrong there, and what is allowed.
    """
    path = policy_path(policy_option)
    problems = problems_of_policy(path)
    checked = folders or (ruleset.RULES_FOLDER,)
    for folder in checked:
        problems += problems_of_rules(folder)
    if not problems and not folders:
        problems += problems_together(path)
    python = embedded()
    if python.module and python.trouble and config is None:
        problems.append(Problem(python.module, 0, "python", python.trouble))
    notes: list[str] = []
    if config is not None:
        try:
            advice = kamailio_check.check(config)
        except ConfigError as error:
            raise click.ClickException(str(error)) from None
        problems += [Problem(a.file, a.line, a.kind, a.what) for a in advice if a.kind != "note"]
        notes = [_line(Problem(a.file, a.line, a.kind, a.what)) for a in advice if a.kind == "note"]
    facts: dict[str, Any] = {
        "policy": {"file": str(path)},
        "rules": {"folders": [str(f) for f in checked]},
    }
    found: list[exposure.Exposure] = []
    if not problems:
        loaded = policy.load(path)
        facts["policy"] |= {"version": loaded.version, "mode": loaded.mode}
        facts["rules"]["count"] = sum(len(ruleset.load(folder).rules) for folder in checked)
        facts["rules"]["products"] = list(loaded.detection.products)
        facts["model"] = {"use": loaded.detection.model}
        if loaded.detection.model != "off":
            facts["model"]["weights"] = opinion.version()
        behind = list(loaded.backend.programs)
        if config is not None:
            named = {text.split()[0].lower() for text in behind}
            here = [text for text in exposure.installed() if text.split()[0] not in named]
            if here:
                notes.append(
                    f"{config}: note: found on this machine: {', '.join(here)}. For its virtual patches write in {path}: "
                    f"[backend] software = {json.dumps([*behind, *here])}"
                )
            behind += here
        found = exposure.exposures(loaded, behind)
        facts["geo"] = geo_files.problems(loaded.geo, time.time())
        notes += [f"{path}: note: {text}" for text in facts["geo"]]
        facts["backend"] = [one._asdict() for one in found]
    if config is not None:
        facts["kamailio"] = {"file": str(config), "notes": notes}
    if as_json:
        click.echo(json.dumps({"ok": not problems, **facts, "problems": [p._asdict() for p in problems]}))
    elif problems:
        for problem in problems:
            click.echo(_line(problem), err=True)
    else:
        click.echo(
            f"{path}: good, policy {facts['policy']['version']}, mode {facts['policy']['mode']}; "
            f"{facts['rules']['count']} rules: good; "
            + (f"packs: {', '.join(facts['rules']['products'])}; " if facts["rules"]["products"] else "")
            + f"second opinion: {facts['model']['use']}"
            + (f", weights {facts['model']['weights']}" if "weights" in facts["model"] else "")
        )
        if config is not None:
            click.echo(f"{config}: good")
    if not as_json:
        for note in [*notes, *exposure.lines(found)]:
            click.echo(note)
    if problems:
        raise SystemExit(1)


def _line(problem: Problem) -> str:
    place = f"{problem.file}:{problem.line}" if problem.line else problem.file
    return f"{place}: {problem.key}: {problem.what}" if problem.key else f"{place}: {problem.what}"
