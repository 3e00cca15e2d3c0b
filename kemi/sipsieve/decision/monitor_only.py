"""Which rules are only watched: they are logged with what they would have done, and do nothing."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Iterable
from typing import Final

from .._core import ACCOUNT_RULES, DESTINATION_RULES
from ..abuse.limits import NAMES
from ..config.policy import Policy, PolicyError
from ..detection import opinion
from ..detection.patches import load as patches
from ..detection.ruleset import Ruleset
from ..detection.structure import CHECKS

CONTENT_LENGTH_ZERO: Final = "content-length-zero"

#: What lists from outside, and the policy on countries and operators, say of a source.
SOURCES: Final = ("feed", "network")


def rule_ids(ruleset: Ruleset) -> list[str]:
    """All ids that a finding can have."""
    limits = (f"limit-{name.replace('_', '-')}" for name in NAMES)
    return [
        *(rule.id for rule in ruleset.rules),
        *CHECKS,
        *(patch.id for patch in patches()),
        opinion.RULE,
        *limits,
        *ACCOUNT_RULES,
        *DESTINATION_RULES,
        CONTENT_LENGTH_ZERO,
        *SOURCES,
    ]


def observed(policy: Policy, ruleset: Ruleset) -> frozenset[str]:
    """The ids that `rules.observe` names; `*` stands for anything. Raises `PolicyError` for a name without a rule."""
    known = rule_ids(ruleset)
    found: set[str] = set()
    for index, name in enumerate(policy.rules.observe):
        matching = fnmatch.filter(known, name)
        if not matching:
            raise PolicyError(
                f"rules.observe[{index}]: {name!r} is no rule{_hint(name, known)}; allowed: a rule's id, or sql-*"
            )
        found.update(matching)
    return frozenset(found)


def _hint(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {close[0]!r}?" if close else ""
