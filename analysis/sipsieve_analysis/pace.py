"""How busy sources were together."""

from __future__ import annotations

from collections.abc import Iterable

from .census import only, requests
from .events import Events


def busiest(store: Events, ips: Iterable[str], step_us: int) -> int:
    """The most messages of all these sources together in one time step of so many microseconds."""
    t = only(requests(store.events), ips)
    counted = t.group_by(step=t.time_us // step_us).aggregate(n=t.messages.sum())
    return int(counted.n.max().fill_null(0).to_pyarrow().as_py())
