"""Says which records of a flood are written and which are only counted."""

from __future__ import annotations

from typing import Final

#: Records that a worker writes in a second before it folds: with eight workers 2 MB/s, which a disk takes.
BUDGET: Final = 250

#: Kinds of decision told apart in a second, at most.
_KINDS: Final = 1024


class Throttle:
    """One worker's budget. What repeats beyond it is counted; what is new in this second is written still."""

    def __init__(self, budget: int = BUDGET) -> None:
        self._budget = budget
        self._second = 0
        self._written = 0
        self._seen: set[tuple[str, str, str, str]] = set()

    def writes(self, kind: tuple[str, str, str, str], now: float) -> bool:
        """Whether a decision gets its own record. `kind`: source key, method, verdict, first rule."""
        second = int(now)
        if second != self._second:
            self._second, self._written = second, 0
            self._seen.clear()
        self._written += 1
        if self._written <= self._budget:
            return True
        if kind in self._seen or len(self._seen) >= _KINDS:
            return False
        self._seen.add(kind)
        return True
