"""Says which rows of two inputs tell of the same event, as expressions that any Ibis engine can run.

Each pair of rows is found by something that is equal in both, so that an engine looks it up: to compare each row of one input
with each of the other takes minutes for some ten thousand.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, Final

from .later import later
from .readers.told import MADE

if TYPE_CHECKING:
    import ibis
    from ibis.expr.types import Table
else:
    ibis = later("ibis")

#: Of a row `e` of an input and rows `b` of better ones: those of `b` to look among, and when one tells of what `e` tells
#: of: all of a list hold.
Same = Callable[["Table", "Table"], tuple["Table", list[Any]]]

#: Two looks at one event may be so far apart, in microseconds, and what lies in the step before or behind.
_STEP_US: Final = 2_000_000


def rules(kind: str, told: Collection[str] = ()) -> tuple[Same, ...]:
    """How rows of an input of that kind are found in better ones; the inputs in `told` tell of messages, and show none."""
    return (_same_call, _same_source, _refused_then, _counted) if kind not in told else (
        _same_id, _near_unnamed, _near_without_call, _counted)  # fmt: skip


def orphans(events: Table) -> tuple[Table, Table]:
    """Answers under a Call-ID that was made here, and the requests that they belong to: one goes with the other."""
    answers = events.filter(events.type == "reply", events.call_id.endswith(MADE))
    asked = events.filter(events.type == "request", events.call_id.notnull())
    return answers, asked


def _near(e: Table, b: Table, concerned: Any) -> tuple[Table, Any]:
    """The rows of `b`, each under its own step of time and those beside it, and that `e` is in it; rows of `e` that are not
    concerned are in none, so that they are compared with nothing."""
    step = b.time_us // _STEP_US
    spread = b.mutate(step=ibis.array([step - 1, step, step + 1]).unnest())
    return spread, ibis.ifelse(concerned, e.time_us // _STEP_US, ibis.null("int64")) == spread.step


def _same_call(e: Table, b: Table) -> tuple[Table, list[Any]]:
    is_reply = e.type == "reply"
    reply = b.status.identical_to(e.status) & ((b.type == "reply") | b.action.isin(["reject", "drop"]))
    return b, [
        b.call_id == e.call_id,
        b.method == e.method,
        b.ip.identical_to(e.ip) | is_reply,
        is_reply.ifelse(reply, b.type.identical_to(e.type)),
        e.cseq.isnull() | (b.cseq == e.cseq),
    ]


def _same_source(e: Table, b: Table) -> tuple[Table, list[Any]]:
    b, near = _near(e, b, e.call_id.isnull())
    return b, [near, b.ip == e.ip, b.port == e.port, b.method == e.method]


def _refused_then(e: Table, b: Table) -> tuple[Table, list[Any]]:
    refused = b.filter(b.action.isin(["reject", "drop"])).select("time_us")
    b, near = _near(e, refused, e.ip.isnull() & (e.type != "reply"))
    return b, [near]


def _counted(e: Table, b: Table) -> tuple[Table, list[Any]]:
    """A count stands for what its source sent in its interval."""
    b = b.filter(b.kind == "metric")
    return b, [b.ip == e.ip, b.method == e.method, e.time_us.between(b.time_us, b.end_us)]


def _same_id(e: Table, b: Table) -> tuple[Table, list[Any]]:
    return b, [b.call_id == e.call_id, (b.cseq == e.cseq) | ~e.input.startswith("Zeek")]


def _near_unnamed(e: Table, b: Table) -> tuple[Table, list[Any]]:
    b, near = _near(e, b, e.call_id.fill_null(MADE).endswith(MADE))
    return b, [
        near,
        b.ip == e.ip,
        b.method == e.method,
        ~b.call_id.identical_to(e.call_id),
        (e.port.fill_null(0) == 0) | (b.port.fill_null(0) == 0) | (b.port == e.port),
    ]


def _near_without_call(e: Table, b: Table) -> tuple[Table, list[Any]]:
    b, near = _near(e, b, e.call_id.isnull())
    return b, [near, b.ip == e.ip]
