"""Says what is wrong with a policy and its rules, each with the place to mend."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from sipsieve.config import policy
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
    text = message.removeprefix(f"{file}: ")
    if ".toml: " in text.split(" ")[0] + " ":
        file, _, text = text.partition(": ")
    position = re.search(r"\(at line (\d+)", text)
    key, colon, what = text.partition(": ")
    if position is None and colon and re.fullmatch(r"[\w.\-\[\]]+", key):
        return Problem(file, line_of(file, key), key, what)
    return Problem(file, int(position[1]) if position else 0, "", text)


def line_of(file: str, key: str) -> int:
    """The line on which a dotted key (or a rule's id) is written; 0 where it is not found."""
    try:
        lines = Path(file).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return 0
    names = re.sub(r"\[\d+\]", "", key).split(".")
    table = ""
    best = 0
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if header := re.match(r"\[+\s*([\w.\-\"]+)\s*\]+", text):
            table = header[1].replace('"', "")
            if table == ".".join(names):
                best = best or number
            continue
        if assigned := re.match(r"([\w.\-\"]+)\s*=", text):
            full = f"{table}.{assigned[1]}".strip(".").replace('"', "")
            if full == ".".join(names):
                return number
            if assigned[1] == "id" and f'"{key}"' in text:
                return number
    return best
