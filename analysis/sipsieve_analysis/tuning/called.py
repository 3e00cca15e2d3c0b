"""Tells which numbers sources call, by the guard's own table, and how many in their busiest minute and hour."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from typing import Final, NamedTuple

from sipsieve.config import destinations
from sipsieve.config.destinations import Destination, Dialling

from .records import Known
from .trials import Outcome

#: Calls that are kept, of all sources together.
_MOST: Final = 500_000

#: Digits at a number's end by which its spellings are told to be one number; the guard's own.
_TAIL: Final = 9


class Call(NamedTuple):
    """A request for a call out. `time` in seconds since the epoch."""

    time: float
    dialled: str
    number: str
    country: str
    dear: bool
    abroad: bool


class Calls:
    """Calls out, as they are met in a recording."""

    def __init__(self, dialling: Dialling) -> None:
        self._numbers = destinations.numbers(dialling, Destination(name="dear").dear)
        self._kept = 0
        self._places: dict[str, tuple[str, str, str, bool, bool] | None] = {}

    def of(self, known: Known, made: Outcome) -> Call | None:
        """The call that a request begins; None for a copy, a request of a call that stands, and what dials no number out."""
        if not known.uri or self._kept >= _MOST or not any(limit == "invite" for limit, _ in made.counts):
            return None
        if known.uri not in self._places:
            if len(self._places) >= _MOST:
                self._places.clear()
            self._places[known.uri] = self._numbers.find(known.uri.encode("utf-8", "surrogateescape"))
        if (place := self._places[known.uri]) is None:
            return None
        self._kept += 1
        number, country, _, dear, abroad = place
        dialled = "".join(filter(str.isdigit, known.uri.partition(":")[2].partition("@")[0].partition(";")[0]))
        return Call(known.time, dialled, number, country, dear, abroad)


def measured(calls: list[Call]) -> dict[str, int]:
    """What one source had in its busiest minute or hour, by count; 0 for what it never did."""
    out = sorted(calls)
    costs = [call for call in out if call.dear]
    abroad = [call for call in out if call.abroad]
    either = [call for call in out if call.dear or call.abroad]
    return {
        "expensive.per_minute": _busiest((call.time, "") for call in costs),
        "expensive.per_hour": _busiest(((call.time, "") for call in costs), 3600),
        "abroad.per_minute": _busiest((call.time, "") for call in abroad),
        "abroad.per_hour": _busiest(((call.time, "") for call in abroad), 3600),
        "countries_per_hour": _different(((call.time, "", call.country) for call in abroad), 3600),
        "block_per_hour": _different(((call.time, call.number[:-2], call.number) for call in either), 3600),
        "spellings_per_hour": _different(((call.time, call.dialled[-_TAIL:], call.dialled) for call in out), 3600),
    }


def _busiest(calls: Iterable[tuple[float, str]], seconds: float = 60) -> int:
    within: deque[float] = deque()
    most = 0
    for time, _ in calls:
        within.append(time)
        while within[0] <= time - seconds:
            within.popleft()
        most = max(most, len(within))
    return most


def _different(calls: Iterable[tuple[float, str, str]], seconds: float) -> int:
    """The most different values of one group (time, group, value) within any stretch of so many seconds."""
    within: deque[tuple[float, str, str]] = deque()
    count: Counter[tuple[str, str]] = Counter()
    groups: Counter[str] = Counter()
    most = 0
    for time, group, value in calls:
        within.append((time, group, value))
        count[group, value] += 1
        groups[group] += count[group, value] == 1
        while within[0][0] <= time - seconds:
            _, old, gone = within.popleft()
            count[old, gone] -= 1
            if not count[old, gone]:
                del count[old, gone]
                groups[old] -= 1
        most = max(most, groups[group])
    return most
