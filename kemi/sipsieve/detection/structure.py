"""The structural rules by id, as the core checks them: what makes a message unreadable, ambiguous, or merely odd."""

from __future__ import annotations

from typing import Final, NamedTuple

from .. import _core
from ..model import STRUCTURE

FAMILY: Final = STRUCTURE


class Check(NamedTuple):
    """One structural rule: its score (5 and more rejects on its own; 0 is only logged) and why."""

    score: int
    why: str


#: Every structural rule by id.
CHECKS: Final = {rule: Check(score, why) for rule, score, why in _core.structural_checks()}
