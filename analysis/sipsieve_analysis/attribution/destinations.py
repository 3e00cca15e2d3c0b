"""Finds calls that somebody earns from: who dials dear numbers one after the other, and which numbers many are made to ring back."""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sipsieve._core import Numbers
from sipsieve.config import destinations

from ..later import later

if TYPE_CHECKING:
    import ibis
    from ibis.expr.types import Table
else:
    ibis = later("ibis")

#: Callers and numbers that are looked at, those with the most calls first.
_MOST: Final = 200_000

#: What is dear abroad. Premium numbers of a country are voted with by thousands at once: nobody rings these back.
_ABROAD: Final = ("satellite", "networks", "high-fraud")
_DEAR: Final = ("premium", *_ABROAD)

_MINUTE_US: Final = 60 * 1_000_000
_HOUR_US: Final = 60 * _MINUTE_US

#: Different dear numbers of one caller within ten minutes, and their part of all that it dials: an office has other calls.
_AT_ONCE: Final = 5
_PART: Final = 0.8

#: Different numbers of one dear block of a hundred that one caller dials within an hour.
_BLOCK: Final = 6

#: Ways in which one caller dials one number (its last nine digits) within an hour, and answered calls among them: more of these
#: is somebody who redials.
_SPELLINGS: Final = 6
_LED_OUT: Final = 2
_TAIL: Final = 9

#: Callers of one dear block of a hundred within an hour, and calls of each there.
_CALLERS: Final = 4
_EACH: Final = 2


@dataclass(slots=True)
class Dialled:
    """One number as one caller dialled it. Times in microseconds."""

    ip: str
    user: str
    dialled: str
    calls: int
    answered: int
    first_us: int
    #: International, and what it is for people.
    number: str = ""
    label: str = ""
    #: Whether it is dear, and dear abroad.
    dear: bool = False
    abroad: bool = False

    @property
    def caller(self) -> tuple[str, str]:
        """Who dials: many share an address."""
        return self.ip, self.user


@dataclass(slots=True)
class Costly:
    """Dear calls of one address, and why these are no ordinary ones."""

    why: str
    answered: int

    def said(self, has_answers: bool) -> str:
        """In words; `has_answers`: whether the log holds the answers of servers."""
        end = f"{self.answered} calls answered" if self.answered else "none answered"
        return f"{self.why}, {end if has_answers else 'the log does not show the answers'}"


@dataclass(slots=True)
class RungBack:
    """Numbers that many ring back. Times in microseconds."""

    why: str
    block: str
    callers: list[Dialled] = field(default_factory=list)

    @property
    def answered(self) -> int:
        """Calls that cost."""
        return sum(call.answered for call in self.callers)


@functools.cache
def _numbers(dear: tuple[str, ...]) -> Numbers:
    return destinations.numbers(destinations.ANYWHERE, dear)


@functools.cache
def dear_pattern() -> str:
    """What matches the beginning of a dear number, written internationally without a plus: for engines that count by expressions."""
    known = destinations.numbering()
    prefixes = {
        prefix
        for name in _DEAR
        for prefix in (
            *known.classes[name].prefixes,
            *(own for country in known.classes[name].countries for own in known.countries[country]),
        )
    }
    return f"^(?:{'|'.join(sorted(prefixes))})"


def numbers(asked: Table, exchanged: Table | None) -> Table:
    """Numbers by caller, for `dialled`; `exchanged` has the answers, where the log holds any."""
    q = asked.filter(
        asked.method == "INVITE", asked.ip != "", asked.user_uri.re_search(r"^[+0-9*#][0-9*#.()\-]{6,31}$")
    )
    q = q.mutate(user=q.user_from.fill_null(""), number=q.user_uri)
    rows = q.group_by("ip", "user", "number").aggregate(
        calls=ibis.greatest(q.call_id.nunique(), 1), first_us=q.time_us.min()
    )
    if exchanged is None:
        rows = rows.mutate(answered=ibis.literal(0))
    else:
        good = exchanged.filter(exchanged.good, exchanged.method == "INVITE", exchanged.number.notnull())
        good = good.mutate(user=good.user.fill_null(""))
        counts = good.group_by("ip", "user", "number").aggregate(n=good.call_id.nunique())
        joined = rows.left_join(counts, ["ip", "user", "number"])
        rows = joined.select("ip", "user", "number", "calls", "first_us", answered=joined.n.fill_null(0))
    return rows.order_by([ibis.desc("calls"), "ip", "user", "number"]).limit(_MOST)


def dialled(rows: Iterable[dict[str, Any]]) -> list[Dialled]:
    """What the rows of `numbers` say."""
    return [_told(row) for row in rows]


def _told(row: dict[str, Any]) -> Dialled:
    made = Dialled(row["ip"], row["user"], row["number"], int(row["calls"]), int(row["answered"]), int(row["first_us"]))
    uri = f"sip:{made.dialled}@x".encode()
    if (found := _numbers(_DEAR).find(uri)) is not None:
        made.number, _, made.label, made.dear, _ = found
        elsewhere = _numbers(_ABROAD).find(uri)
        made.abroad = elsewhere is not None and elsewhere[3]
    return made


def costly(calls: Iterable[Dialled]) -> dict[str, Costly]:
    """Addresses that dial dear numbers as nobody does who only wants to talk."""
    by_caller: dict[tuple[str, str], list[Dialled]] = defaultdict(list)
    for call in calls:
        by_caller[call.caller].append(call)
    found: dict[str, Costly] = {}
    for (ip, _), mine in by_caller.items():
        dear = sorted((call for call in mine if call.dear), key=lambda call: (call.first_us, call.number))
        why, meant = _hunt(mine)
        if not why and len({call.number for call in dear}) >= _AT_ONCE:
            why = _in_a_block(dear) or _at_once(dear, len({call.number or call.dialled for call in mine}))
            meant = dear
        if why:
            answered = sum(call.answered for call in meant)
            before = found.get(ip)
            found[ip] = Costly(before.why if before else why, answered + (before.answered if before else 0))
    return found


def _hunt(mine: list[Dialled]) -> tuple[str, list[Dialled]]:
    """The search for the prefix that leads out, and its calls."""
    tails: dict[str, list[Dialled]] = defaultdict(list)
    for call in mine:
        digits = "".join(filter(str.isdigit, call.dialled))
        if len(digits) > _TAIL:
            tails[digits[-_TAIL:]].append(call)
    for tail, calls in tails.items():
        if len(calls) < _SPELLINGS or sum(call.answered > 0 for call in calls) > _LED_OUT:
            continue
        ordered = sorted(calls, key=lambda call: call.first_us)
        if (ways := _most([(call.first_us, call.dialled) for call in ordered], _HOUR_US)) >= _SPELLINGS:
            return f"the number …{tail} dialled in {ways} ways within an hour", calls
    return "", []


def _in_a_block(dear: list[Dialled]) -> str:
    blocks: dict[str, list[Dialled]] = defaultdict(list)
    for call in dear:
        blocks[call.number[:-2]].append(call)
    for block in blocks.values():
        if (most := _most([(call.first_us, call.number) for call in block], _HOUR_US)) >= _BLOCK:
            return f"{most} numbers of one block of a hundred below {block[0].label} dialled within an hour"
    return ""


def _at_once(dear: list[Dialled], numbers: int) -> str:
    different = {call.number for call in dear}
    most = _most([(call.first_us, call.number) for call in dear], 10 * _MINUTE_US)
    if most < _AT_ONCE or len(different) < _PART * numbers:
        return ""
    return f"{most} dear numbers below {dear[0].label} within ten minutes, {len(different)} of the {numbers} that it dialled at all"


def _most(calls: list[tuple[int, str]], span_us: int) -> int:
    """The most different numbers within any stretch of time; `calls` in their order, each with its time."""
    within: Counter[str] = Counter()
    most = start = 0
    for time, number in calls:
        within[number] += 1
        while time - calls[start][0] > span_us:
            gone = calls[start][1]
            within[gone] -= 1
            if not within[gone]:
                del within[gone]
            start += 1
        most = max(most, len(within))
    return most


def is_dear(dialled_: str) -> bool:
    """Whether a number is in one of the guard's classes of dear ones."""
    found = _numbers(_DEAR).find(f"sip:{dialled_}@x".encode())
    return found is not None and found[3]


def rung_back(calls: Iterable[Dialled]) -> list[RungBack]:
    """Blocks of dear numbers abroad that many callers dial within an hour, each once or twice: missed calls that are rung back."""
    blocks: dict[str, list[Dialled]] = defaultdict(list)
    for call in calls:
        if call.abroad:
            blocks[call.number[:-2]].append(call)
    found = []
    for block, mine in sorted(blocks.items()):
        count: dict[tuple[str, str], int] = defaultdict(int)
        for call in mine:
            count[call.caller] += call.calls
        few = sorted((call for call in mine if count[call.caller] <= _EACH), key=lambda call: (call.first_us, call.ip))
        first = last = start = 0
        for end, call in enumerate(few):
            while call.first_us - few[start].first_us > _HOUR_US:
                start += 1
            if end - start > last - first:
                first, last = start, end
        best = few[first : last + 1]
        callers = len({call.caller for call in best})
        # Somebody who calls there every day is known there: then these are no strangers to each other.
        if callers >= _CALLERS and callers * 2 > len(count):
            why = f"{callers} callers dialled numbers of one block of a hundred below {best[0].label} within an hour, each but once or twice"
            found.append(RungBack(why, f"+{block}xx", best))
    return found
