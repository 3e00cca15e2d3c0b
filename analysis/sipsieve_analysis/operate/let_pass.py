"""Says what a product's pack of exceptions let pass of a message that the rules would have found something in."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import NamedTuple

from sipsieve.config.policy import Policy
from sipsieve.decision.engine import Engine
from sipsieve.decision.explain import explain
from sipsieve.detection.ruleset import Ruleset
from sipsieve.model import Source


class LetPass(NamedTuple):
    """A rule that a pack keeps from counting in a field of a message, with the pack's reason."""

    pack: str
    rule: str
    field: str
    reason: str


def let_pass(policy: Policy, rules: Ruleset, raw: bytes, source: Source, now: float) -> list[LetPass]:
    """What the packs in force let pass of a message, in the order found; `now` in seconds since 1970."""
    packs = [entry for entry in rules.exceptions if entry.pack]
    if not packs:
        return []
    bare = Ruleset(rules.rules, [entry for entry in rules.exceptions if not entry.pack])
    found = {
        LetPass(entry.pack, finding.rule, finding.field, entry.reason): None
        for finding in explain(Engine(policy, bare), raw, source, now).decision.findings
        for entry in packs
        if fnmatchcase(finding.rule, entry.rule) and (not entry.field or fnmatchcase(finding.field, entry.field))
    }
    return list(found)
