"""`sipsieve rules`: lists the detection rules and looks over an operator's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from sipsieve.detection import patches, ruleset
from sipsieve.detection.lint import lint

from ..rules_reference import patches_reference, reference


@click.command("rules", short_help="List the detection rules, or look over your own.")
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--patches", "virtual", is_flag=True, help="The virtual patches for the software behind, not the rules.")
@click.option("--markdown", is_flag=True, help="The reference as docs/rules.md (or docs/patches.md) has it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of lines.")
def command(files: tuple[Path, ...], virtual: bool, markdown: bool, as_json: bool) -> None:
    """Lists all detection rules with family, score and reason.

    With FILES, looks these over instead: whether each pattern can be bounded, whether it fires on its hits
    and keeps off its misses, and whether an id is taken.

    Exit code 0: all is well; 1: a file has a fault, each named with file, rule and reason.
    """
    if files:
        faults = [fault for path in files for fault in _faults(path)]
        click.echo(json.dumps({"faults": faults}) if as_json else "\n".join(faults or ["no faults"]))
        raise SystemExit(1 if faults else 0)
    if virtual:
        _patches(markdown, as_json)
        return
    rules = ruleset.load()
    if markdown:
        click.echo(reference(rules), nl=False)
    elif as_json:
        click.echo(
            json.dumps(
                {"release": ruleset.RELEASE, "version": rules.version, "rules": [_facts(rule) for rule in rules.rules]}
            )
        )
    else:
        click.echo(f"rules {ruleset.RELEASE}, version {rules.version}")
        for rule in rules.rules:
            click.echo(f"{rule.id:28} {rule.family:9} {rule.score:2} / {rule.tight:2}  {rule.reason}")


def _patches(markdown: bool, as_json: bool) -> None:
    known = patches.load()
    if markdown:
        click.echo(patches_reference(known), nl=False)
    elif as_json:
        click.echo(json.dumps({"patches": [_patch_facts(patch) for patch in known]}))
    else:
        for patch in known:
            click.echo(f"{patch.id:36} {', '.join(patch.numbers):34} {patch.reason}")


def _patch_facts(patch: patches.Patch) -> dict[str, Any]:
    return {
        "id": patch.id,
        "numbers": patch.numbers,
        "versions": [
            {"software": one.name, "first": str(one.first), "fixed": str(one.fixed)} for one in patch.versions
        ],
        "fixed_by": patch.fixed_by.isoformat(),
        "reason": patch.reason,
        "watched": patch.watched,
    }


def _faults(path: Path) -> list[str]:
    try:
        found = [f"{path}: {fault}" for fault in lint(ruleset.load_file(path))]
        if not found:
            ruleset.load(own=[str(path)])
    except ruleset.RuleError as error:
        return [str(error)]
    return found


def _facts(rule: ruleset.Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "family": rule.family,
        "score": rule.score,
        "tight": rule.tight,
        "made": rule.made,
        "apart": rule.apart,
        "confidence": rule.confidence,
        "paranoia": rule.paranoia,
        "reason": rule.reason,
        "parts": sorted(rule.parts),
        "headers": sorted(rule.headers),
        "cwe": rule.cwe,
        "capec": rule.capec,
        "cve": rule.cve,
        "backends": rule.backends,
    }
