"""Who has standing, since when and by what proof: the table that operators see, nodes share and a restart takes up."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from .._core import Earned
from ..config.policy import Policy
from ..model import Notice
from .bans import network
from .shared_counters import COUNTS

#: The htable of sipsieve.cfg.
STANDING: Final = "sipsieve_standing"

#: The entry of `COUNTS` with how many sources are in the table; the timer process sets it right.
LIVE: Final = "standing"

#: Bytes that a state file may have: 100,000 sources of 150 bytes.
MAX_STATE: Final = 32 * 1024 * 1024

#: Seconds for which it is remembered that a source lost its standing, and in which no proof gives it back: within that time each
#: node has heard of it.
LOST_MEMORY: Final = 3600
PAUSE: Final = 120

#: The most credits of a source; see the core's table.
_MOST: Final = 9

_FORMAT: Final = 1
_WHY: Final = re.compile(r"[a-z0-9-]{1,64}", re.ASCII)
_PROOF: Final = re.compile(r"(call|registration)(,(call|registration))?", re.ASCII)


class Entry(NamedTuple):
    """A source as it stands in the table. Times in seconds since the epoch.

    `credit`: minutes with a proof at `last`, the time of the last that was told. `lost`: by which rule it lost its standing, at
    `last`; "" where it has it.
    """

    key: str
    credit: int
    last: int
    since: int
    until: int
    proofs: tuple[str, ...] = ()
    lost: str = ""

    @property
    def value(self) -> str:
        """As text for the table."""
        if self.lost:
            return f"l|{self.last}|{self.lost}"
        return f"s|{self.credit}|{self.last}|{self.since}|{self.until}|{','.join(self.proofs)}"


class Access(NamedTuple):
    """What Kamailio's tables can do. `put` takes key, value and the seconds that it stands; `raise_` raises an entry of `COUNTS`."""

    entries: Callable[[], Mapping[str, str]]
    get: Callable[[str], object]
    put: Callable[[str, str, int], object]
    remove: Callable[[str], object]
    raise_: Callable[[str, str], int | None]
    set_count: Callable[[str, str, int], object]


def entry(key: str, value: object) -> Entry | None:
    """Reads a table's entry; None where it is not one of ours: another node, or an operator, may write there too."""
    if not isinstance(value, str) or network(key) is None:
        return None
    kind, *parts = value.split("|")
    if kind == "l" and len(parts) == 2 and _is_number(parts[0]) and _WHY.fullmatch(parts[1]):
        last = int(parts[0])
        return Entry(key, 0, last, last, last + LOST_MEMORY, (), parts[1])
    if kind != "s" or len(parts) != 5 or not all(map(_is_number, parts[:4])) or not _PROOF.fullmatch(parts[4]):
        return None
    credit, last, since, until = map(int, parts[:4])
    return Entry(key, credit, last, since, until, tuple(parts[4].split(","))) if 1 <= credit <= _MOST else None


def dump(entries: Mapping[str, str]) -> str:
    """The table as the text that is kept."""
    return json.dumps({"format": _FORMAT, "standing": dict(sorted(entries.items()))}, indent=0)


def load(text: str, now: float, most: int) -> list[Entry]:
    """What a kept text says that still holds, at most `most` entries, the longest first. Raises `ValueError`."""
    decoded: Any = json.loads(text)
    if not isinstance(decoded, dict) or not isinstance(decoded.get("standing"), dict):
        raise ValueError("not a state file of standing")
    if decoded.get("format") != _FORMAT:
        raise ValueError("a state file of another version")
    found = [entry(str(key), value) for key, value in decoded["standing"].items()]
    lasting = [one for one in found if one is not None and one.until > now]
    return sorted(lasting, key=lambda one: -one.until)[:most]


class StandingTable:
    """Who has standing. Workers say who earned and who lost it; the timer process takes up what other nodes say."""

    def __init__(self, table: Access, earned: Earned, notice: Notice) -> None:
        """`earned`: the core's table, by which messages are judged."""
        self._table = table
        self._earned = earned
        self._notice = notice
        self._known: Mapping[str, str] = {}

    def told(self, key: str, what: str, credit: int, now: float, policy: Policy) -> None:
        """A source has so much credit by that proof; 0: it lost what it had, by that rule."""
        known = entry(key, self._table.get(key))
        if not credit:
            lost = Entry(key, 0, int(now), int(now), int(now) + LOST_MEMORY, (), what)
            self._table.put(key, lost.value, LOST_MEMORY)
            self._notice(
                "disgrace", now, {"source": key, "rule": what, "reason": "it lost the standing that it had earned"}
            )
            return
        if known and known.lost:
            if now - known.last < PAUSE:
                # Another node, or worker, has just heard what it did.
                self._earned.lose(key)
                return
            known = None
        if known is None and (self._table.raise_(COUNTS, LIVE) or 0) > policy.standing.capacity:
            return
        since = known.since if known else int(now)
        proofs = tuple(sorted({what, *(known.proofs if known else ())}))
        left = 60 * policy.standing.fade_minutes * (credit - policy.bans.earned_minutes + 1)
        self._table.put(key, Entry(key, credit, int(now), since, int(now) + left, proofs).value, left)

    def restore(self, text: str, now: float, steady: float, policy: Policy) -> int:
        """Takes up what was kept. Returns how many sources have standing by it. Raises `ValueError`."""
        entries = load(text, now, policy.standing.capacity)
        for one in entries:
            self._table.put(one.key, one.value, max(1, one.until - int(now)))
            self._take(one, now, steady, policy)
        return sum(not one.lost for one in entries)

    def look(self, now: float, steady: float, policy: Policy) -> Mapping[str, str]:
        """Takes up what was told since the last look, here and by other nodes. Returns the table."""
        table = dict(self._table.entries())
        for key, value in list(table.items()):
            if self._known.get(key) == value:
                continue
            one = entry(key, value)
            if one is None:
                self._table.remove(key)
                del table[key]
            else:
                self._take(one, now, steady, policy)
        self._known = table
        self._table.set_count(COUNTS, LIVE, len(table))
        return table

    def _take(self, one: Entry, now: float, steady: float, policy: Policy) -> None:
        if one.lost:
            self._earned.lose(one.key)
        else:
            age = max(0, int(now) - one.last) // 60
            self._earned.restore(one.key, one.credit, age, steady, policy.standing.fade_minutes)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 12
