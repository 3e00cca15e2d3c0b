"""How busy sources were together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .asking import Events
from .census import MINUTE_US, only, requests

if TYPE_CHECKING:
    from ibis.expr.types import Table


def busiest(store: Events, ips: Iterable[str], step_us: int) -> int:
    """The most messages of all these sources together in one time step of so many microseconds."""
    store.choose(ips)
    question = "busiest" if step_us == MINUTE_US else ""
    for (n,) in store.rows(question, lambda: peak(requests(store.events), store.chosen, step_us)):
        return int(n or 0)
    return 0


def peak(asked: Table, chosen: Table, step_us: int) -> Table:
    """For `busiest`."""
    t = only(asked, chosen)
    counted = t.group_by(step=t.time_us // step_us).aggregate(n=t.messages.sum())
    return counted.aggregate(n=counted.n.max())
