"""Tells sources that look legitimate: their calls and registrations are accepted, and their credentials seldom refused."""

from __future__ import annotations

from typing import Final

from .trials import Outcome

#: Requests remembered until their answers come.
_MOST: Final = 500_000

#: Refused credentials that are a typing error, beside as many as were accepted.
_MISTAKES: Final = 5

#: Statuses that refuse a request to whoever sent it; a first 401 or 407 does not.
_FAILED: Final = frozenset({403, 404, 484, 604, 606})


class Standing:
    """What answers told of one source."""

    __slots__ = ("calls", "failed", "refused", "registrations")

    def __init__(self) -> None:
        self.calls = self.registrations = self.refused = self.failed = 0

    @property
    def looks_legitimate(self) -> bool:
        """One accepted registration clears nobody whose credentials are refused again and again."""
        accepted = self.calls + self.registrations
        return accepted > 0 and self.refused <= _MISTAKES + accepted and self.failed <= 4 * (_MISTAKES + accepted)

    @property
    def why(self) -> str:
        """In words; "" where nothing speaks for the source."""
        if not self.looks_legitimate:
            return ""
        said = [f"{self.calls:,} completed calls"] if self.calls else []
        said += [f"{self.registrations:,} registrations"] if self.registrations else []
        return ", ".join(said)


class Answers:
    """Finds whose request an answer belongs to."""

    def __init__(self) -> None:
        self._asked: dict[int, str] = {}

    def asked(self, ip: str, outcome: Outcome) -> None:
        """Notes a request that was let through."""
        if outcome.transaction and outcome.method in ("INVITE", "REGISTER"):
            if len(self._asked) >= _MOST:
                self._asked.clear()
            self._asked[outcome.transaction] = ip

    def answered(self, outcome: Outcome) -> str:
        """Whose request this answer belongs to; "" where that is not known, or it says nothing final."""
        if outcome.status < 200:
            return ""
        return self._asked.pop(outcome.transaction, "")

    @staticmethod
    def note(standing: Standing, outcome: Outcome) -> None:
        """Puts an answer to the account of whose request it was."""
        if outcome.status < 300:
            if outcome.method == "INVITE":
                standing.calls += 1
            else:
                standing.registrations += 1
        elif outcome.refused:
            standing.refused += 1
        elif outcome.status in _FAILED:
            standing.failed += 1
