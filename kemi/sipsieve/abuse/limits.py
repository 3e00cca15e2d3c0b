"""The policy's limits as the core counts by them, and what a source's counters stand at."""

from __future__ import annotations

from typing import Final

from .._core import LIMITS, WINDOW
from ..config.policy import Limit, Policy
from ..config.policy import Limits as LimitPolicy
from ..model import Source, Standings

__all__ = ["NAMES", "WINDOW", "profiles", "standing"]

#: The limits by name, as in the policy. The first four are rates of everyday requests.
NAMES: Final = tuple(LIMITS)


def profiles(policy: Policy) -> list[list[tuple[int, int]]]:
    """By `Source.network`, the last for addresses in none: of each limit how many a minute, and how many more at times."""
    own = [rule.limits for rule in (*(rule for _, rule in policy.networks), *policy.areas)]
    merged = [{name: getattr(limits, name) or getattr(policy.limits, name) for name in NAMES} for limits in own]
    return [
        [(limits[name].per_minute, limits[name].burst) for name in NAMES] for limits in [*merged, _of(policy.limits)]
    ]


def standing(source: Source, now: float, counters: Standings) -> dict[str, int]:
    """What a source's counters stand at in this window, zeros left out; for operators.

    `now` in seconds of a clock that never steps.
    """
    window = int(now) // WINDOW
    counts = {name: counters.get(f"{source.cell}:{name}:{window}") for name in NAMES}
    return {name: count for name, count in counts.items() if count}


def _of(policy: LimitPolicy) -> dict[str, Limit]:
    return {name: getattr(policy, name) for name in NAMES}
