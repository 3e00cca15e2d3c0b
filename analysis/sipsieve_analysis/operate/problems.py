"""Says what is wrong with a policy and its rules, each with the place to mend."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from sipsieve.config import policy
from sipsieve.config.toml_lines import line_of
from sipsieve.decision.monitor_only import observed
from sipsieve.detection import opinion, patches, ruleset


class Problem(NamedTuple):
    """One thing that stops the guard from starting. `line` counts from 1; 0 where none can be named."""

    file: str
    line: int
    key: str
    what: str


def problems_of_policy(path: Path) -> list[Problem]:
    """What is wrong with a policy file: nothing, or the first error that its decoding meets."""
    try:
        policy.load(path)
    except policy.PolicyError as error:
        return [_problem(str(path), str(error))]
    return []


def problems_together(path: Path) -> list[Problem]:
    """What is wrong with the rules that a good policy brings: its own files, exceptions, names of rules."""
    try:
        loaded = policy.load(path)
        rules = ruleset.load(
            own=loaded.detection.rules, exceptions=loaded.detection.exceptions, products=loaded.detection.products
        )
        observed(loaded, rules)
        patches.active(loaded.backend.programs, loaded.backend.fixed)
        if loaded.detection.model != "off":
            opinion.load()
    except (policy.PolicyError, ruleset.RuleError) as error:
        return [_problem(str(path), str(error))]
    return []


def problems_of_rules(folder: Path) -> list[Problem]:
    """What is wrong with each rule file of a folder, and with all of them together."""
    if not folder.is_dir():
        return [Problem(str(folder), 0, "", "is no folder; name the folder that holds the rule files (*.toml)")]
    found: list[Problem] = []
    for path in sorted(folder.glob("*.toml")):
        try:
            ruleset.load_file(path)
        except ruleset.RuleError as error:
            found.append(_problem(str(path), str(error)))
    if not found:
        try:
            ruleset.load(folder)
        except ruleset.RuleError as error:
            found.append(_problem(str(folder), str(error)))
    return found


def _problem(file: str, message: str) -> Problem:
    text = message.removeprefix(file)
    # The loader of a policy names the line itself.
    placed = re.match(r":(\d+): ", text)
    text = text[placed.end() :] if placed else text.removeprefix(": ")
    if ".toml: " in text.split(" ")[0] + " ":
        file, _, text = text.partition(": ")
        placed = None
    position = re.search(r"\(at line (\d+)", text)
    key, colon, what = text.partition(": ")
    if position is None and colon and re.fullmatch(r"[\w.\-\[\]]+", key):
        return Problem(file, int(placed[1]) if placed else _line(file, key), key, what)
    named = position or placed
    return Problem(file, int(named[1]) if named else 0, "", text)


def _line(file: str, key: str) -> int:
    try:
        return line_of(Path(file).read_text(encoding="utf-8", errors="replace"), key)
    except OSError:
        return 0
