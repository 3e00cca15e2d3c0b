"""The scoreboard's totals as data that JSON can hold."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from .scoreboard import LATENCIES, Totals

#: What a quantile says that lies beyond the histogram's last step (0.1 s).
BEYOND: Final = 1.0


def facts(totals: Totals) -> dict[str, Any]:
    """Messages by decision, method and transport, findings by family, records, errors, latency."""
    decisions: Counter[str] = Counter()
    methods: Counter[str] = Counter()
    transports: Counter[str] = Counter()
    for (method, action, transport), count in totals.messages.items():
        decisions[action] += count
        methods[method] += count
        transports[transport] += count
    timed = sum(totals.latencies)
    return {
        "messages": sum(decisions.values()),
        "decisions": dict(decisions),
        "methods": dict(methods),
        "transports": dict(transports),
        "families": totals.families,
        "short_way": totals.short,
        "records_written": totals.written,
        "records_lost": totals.lost,
        "shed": {"record": totals.folded, "answer": totals.silent, "look": totals.unproven},
        "errors": totals.errors,
        "latency": {
            "timed": timed,
            "mean": totals.seconds / timed if timed else None,
            "p50": quantile(totals.latencies, 0.5),
            "p99": quantile(totals.latencies, 0.99),
        },
    }


def quantile(counts: tuple[int, ...], share: float) -> float | None:
    """The upper end, in seconds, of the histogram's step that this share of decisions stays within."""
    wanted = sum(counts) * share
    if not wanted:
        return None
    seen = 0
    for count, end in zip(counts, LATENCIES, strict=False):
        seen += count
        if seen >= wanted:
            return end
    return BEYOND
