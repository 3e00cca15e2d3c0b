"""A rule set of one rule, and an edition with it: for tests in which it matters only that there is one."""

from __future__ import annotations

import functools

from sipsieve import edition, policy
from sipsieve.rule import Rule
from sipsieve.ruleset import Ruleset


@functools.cache
def rules() -> Ruleset:
    """Compiles in no time, unlike the product's own."""
    return Ruleset((Rule("one", "shell", "attack", 5, "why", ("attack",), (), frozenset(), frozenset(), 5),))


@functools.cache
def live() -> edition.Edition:
    """Edition 1 with the default policy."""
    return edition.build(1, policy.loads(""), rules())
