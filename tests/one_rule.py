"""A rule set of one rule, and a revision with it: for tests in which it matters only that there is one."""

from __future__ import annotations

import functools

from sipsieve.config import policy
from sipsieve.decision import revision
from sipsieve.detection.rule import Rule
from sipsieve.detection.ruleset import Ruleset


@functools.cache
def rules() -> Ruleset:
    """Compiles in no time, unlike the product's own."""
    return Ruleset((Rule("one", "shell", "attack", 5, "why", ("attack",), (), frozenset(), frozenset(), 5),))


@functools.cache
def live(text: str = "") -> revision.Revision:
    """Revision 1 with that policy, the default one without."""
    return revision.build(1, policy.loads(text), rules())
