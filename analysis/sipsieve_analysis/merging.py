"""Says which rows of two inputs tell of the same event, as expressions that any Ibis engine can run."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

from ibis.expr.types import Table

from .readers.told import MADE

#: Whether a row `e` of an input tells of what a row `b` of a better one tells of: all of a list hold.
Same = Callable[[Table, Table], list[Any]]

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


def _near(e: Table, b: Table) -> list[Any]:
    step = e.time_us // _STEP_US
    return [(b.time_us // _STEP_US).between(step - 1, step + 1)]


def _same_call(e: Table, b: Table) -> list[Any]:
    is_reply = e.type == "reply"
    reply = b.status.identical_to(e.status) & ((b.type == "reply") | b.action.isin(["reject", "drop"]))
    return [
        b.call_id == e.call_id,
        b.method == e.method,
        b.ip.identical_to(e.ip) | is_reply,
        is_reply.ifelse(reply, b.type.identical_to(e.type)),
        e.cseq.isnull() | (b.cseq == e.cseq),
    ]


def _same_source(e: Table, b: Table) -> list[Any]:
    return [e.call_id.isnull(), b.ip == e.ip, b.port == e.port, b.method == e.method, *_near(e, b)]


def _refused_then(e: Table, b: Table) -> list[Any]:
    return [e.ip.isnull(), e.type != "reply", b.action.isin(["reject", "drop"]), *_near(e, b)]


def _counted(e: Table, b: Table) -> list[Any]:
    """A count stands for what its source sent in its interval."""
    return [b.kind == "metric", b.ip == e.ip, b.method == e.method, e.time_us.between(b.time_us, b.end_us)]


def _same_id(e: Table, b: Table) -> list[Any]:
    return [b.call_id == e.call_id, (b.cseq == e.cseq) | ~e.input.startswith("Zeek")]


def _near_unnamed(e: Table, b: Table) -> list[Any]:
    return [
        b.ip == e.ip,
        b.method == e.method,
        e.call_id.fill_null(MADE).endswith(MADE),
        ~b.call_id.identical_to(e.call_id),
        (e.port.fill_null(0) == 0) | (b.port.fill_null(0) == 0) | (b.port == e.port),
        *_near(e, b),
    ]


def _near_without_call(e: Table, b: Table) -> list[Any]:
    return [b.ip == e.ip, e.call_id.isnull(), *_near(e, b)]
