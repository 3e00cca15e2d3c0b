"""Answers a query by expressions over the events table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import ibis
from ibis.expr.types import Table

from .. import census
from ..asking import Events
from ..attribution.destinations import dear_pattern
from ..attribution.exchanges import ABROAD
from ..habits import PLAIN_FAMILIES
from .query import Query

_DAY_US: Final = 86_400_000_000
_BACK: Final = {"last hour": census.HOUR_US, "last day": _DAY_US, "last week": 7 * _DAY_US, "last month": 30 * _DAY_US}


@dataclass(slots=True)
class Counted:
    """An answer: rows of what was asked for, and what all of it adds up to. Times in microseconds."""

    rows: list[dict[str, Any]]
    since_us: int
    until_us: int
    messages: int
    #: How many different ones there are, of which `rows` are those with the most messages.
    different: int


def count(store: Events, query: Query) -> Counted:
    """The answer to a query."""
    asked = census.requests(store.events)
    newest = int(asked.aggregate(t=asked.end_us.max()).to_pyarrow()["t"][0].as_py() or 0)
    since, until = _window(query, newest)
    t = _chosen(asked.filter(asked.time_us >= since, asked.time_us < until), query)
    t, key = _keyed(t, query)
    t = t.mutate(key=key).filter(lambda t: t.key.notnull() & (t.key != ""))
    grouped = t.group_by("key").aggregate(
        messages=t.messages.sum(), sources=t.ip.nunique(), first_us=t.time_us.min(), last_us=t.end_us.max()
    )
    order = ["key"] if query.what in ("days", "hours") else [ibis.desc("messages"), "key"]
    rows = grouped.order_by(order).limit(query.top).to_pyarrow().to_pylist()
    total = (
        grouped.aggregate(messages=grouped.messages.sum().fill_null(0), different=grouped.count())
        .to_pyarrow()
        .to_pylist()[0]
    )
    return Counted(
        [{name: value if name == "key" else int(value) for name, value in row.items()} for row in rows],
        since, min(until, newest + 1), int(total["messages"]), int(total["different"]),
    )  # fmt: skip


def _window(query: Query, newest: int) -> tuple[int, int]:
    """From and until when, counted back from the newest event: an archive may be old."""
    if query.period in _BACK:
        return newest - _BACK[query.period], newest + 1
    if query.period:
        day = newest // _DAY_US * _DAY_US - (_DAY_US if query.period == "yesterday" else 0)
        return day, day + _DAY_US
    since = _day_us(query.since) if query.since else -(2**62)
    until = _day_us(query.until) + _DAY_US if query.until else 2**62
    return since, until


def _day_us(text: str) -> int:
    return (date.fromisoformat(text) - date(1970, 1, 1)).days * _DAY_US


def _chosen(t: Table, query: Query) -> Table:
    if query.method:
        t = t.filter(t.method == query.method)
    if query.action == "refused":
        t = t.filter(t.action.isin(["reject", "drop", "banned"]))
    elif query.action == "passed":
        t = t.filter(t.action.isin(["allow", "scrub"]))
    elif query.action:
        t = t.filter(t.action == query.action)
    if query.source:
        t = t.filter(t.ip == query.source)
    if query.number:
        t = t.filter(t.method == "INVITE", t.user_uri.re_search(ABROAD))
        if query.number == "premium":
            digits = t.user_uri.re_replace("[^0-9]", "").re_replace("^0+", "")
            t = t.filter(digits.re_search(dear_pattern()))
    return t


def _keyed(t: Table, query: Query) -> tuple[Table, Any]:
    """The events with what they are counted by; where rules matter, a row for each rule that fired on one."""
    what = query.what
    if what in ("rules", "families"):
        t = t.mutate(finding=t.findings.unnest())
        t = _of_family(t, t.finding.family, query)
        return t, t.finding.rule if what == "rules" else t.finding.family
    if query.family:
        named = t.findings.map(lambda one: one.family)
        if query.family == "injection":
            t = t.filter(named.filter(lambda one: one.notin(sorted(PLAIN_FAMILIES))).length() > 0)
        else:
            t = t.filter(named.contains(query.family))
    day = (t.time_us // _DAY_US).cast("string")
    keys = {
        "sources": t.ip, "agents": t.agent, "methods": t.method, "actions": t.action, "numbers": t.user_uri,
        "users": ibis.ifelse(t.method == "REGISTER", ibis.coalesce(t.user_to, t.user_from), t.user_uri),
        "days": day, "hours": (t.time_us // census.HOUR_US).cast("string"),
    }  # fmt: skip
    return t, keys[what]


def _of_family(t: Table, family: Any, query: Query) -> Table:
    if query.family == "injection":
        return t.filter(family.notin(sorted(PLAIN_FAMILIES)))
    return t.filter(family == query.family) if query.family else t


def told(row: dict[str, Any], query: Query) -> str:
    """What a row is of, in words: of days and hours their beginning."""
    if query.what in ("days", "hours"):
        step = timedelta(days=int(row["key"])) if query.what == "days" else timedelta(hours=int(row["key"]))
        when = datetime(1970, 1, 1, tzinfo=UTC) + step
        return f"{when:%Y-%m-%d}" if query.what == "days" else f"{when:%Y-%m-%d %H}:00"
    return str(row["key"])
