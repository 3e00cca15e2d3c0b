"""The scoreboard as Prometheus metrics: what to add to which counter, what to set which gauge to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from .scoreboard import LATENCIES, Totals, Worker

#: xhttp_prom takes a C int at a time.
_AT_ONCE: Final = 2**31 - 1

MESSAGES: Final = "sipsieve_messages_total"
FINDINGS: Final = "sipsieve_findings_total"
RECORDS: Final = "sipsieve_records_total"
ERRORS: Final = "sipsieve_errors_total"
SHED: Final = "sipsieve_shed_total"
OVERFLOW: Final = "sipsieve_overflow_total"
BUCKET: Final = "sipsieve_decision_seconds_bucket"
COUNT: Final = "sipsieve_decision_seconds_count"
SUM: Final = "sipsieve_decision_seconds_sum"
MEMORY: Final = "sipsieve_worker_memory_bytes"
WORKER_EDITION: Final = "sipsieve_worker_revision"
EDITION: Final = "sipsieve_revision"
BANS: Final = "sipsieve_bans"
TRACKED: Final = "sipsieve_tracked_counters"
STANDING: Final = "sipsieve_standing_sources"
INSPECTION: Final = "sipsieve_inspection"
VERSION: Final = "sipsieve_version_info"


class Update(NamedTuple):
    """One call: a counter to raise by `value`, or a gauge to set to it; `labels` in the order of the definition."""

    kind: str
    name: str
    value: float
    labels: tuple[str, ...] = ()

    @property
    def call(self) -> str:
        """The name of xhttp_prom's function."""
        verb = "counter_inc" if self.kind == "counter" else "gauge_set"
        return f"{verb}_l{len(self.labels)}"

    @property
    def arguments(self) -> tuple[Any, ...]:
        """What that function takes: gauges as text."""
        value = int(self.value) if self.kind == "counter" else f"{self.value:.6f}"
        return (self.name, value, *self.labels)


class Exporter:
    """Remembers what was exported, since counters are raised and not set."""

    def __init__(self) -> None:
        self._shown: dict[tuple[str, tuple[str, ...]], int] = {}
        self._version: tuple[str, ...] = ()
        self._overflow = 0
        self._windows: dict[int, int] = {}

    def overflowed(self, window: int, count: int) -> None:
        """So many counts went to shared counters in that window so far; asked for each window until it is over."""
        self._overflow += max(count - self._windows.get(window, 0), 0)
        self._windows[window] = count
        for old in [number for number in self._windows if number < window - 2]:
            del self._windows[old]

    def updates(
        self,
        totals: Totals,
        workers: Sequence[tuple[Worker, int]],
        versions: Mapping[str, Any],
        state: Mapping[str, float],
    ) -> Iterator[Update]:
        """All updates since the last call. `workers` with their memory in bytes; `state`: further gauges by name."""
        for labels, count in totals.messages.items():
            yield from self._raise(MESSAGES, count, labels)
        for family, count in totals.families.items():
            yield from self._raise(FINDINGS, count, (family,))
        yield from self._raise(RECORDS, totals.written, ("written",))
        yield from self._raise(RECORDS, totals.lost, ("lost",))
        yield from self._raise(ERRORS, totals.errors)
        yield from self._raise(SHED, totals.folded, ("record",))
        yield from self._raise(SHED, totals.silent, ("answer",))
        yield from self._raise(SHED, totals.unproven, ("look",))
        yield from self._raise(OVERFLOW, self._overflow)
        seen = 0
        for end, count in zip((*LATENCIES, float("inf")), totals.latencies, strict=True):
            seen += count
            yield from self._raise(BUCKET, seen, ("+Inf" if end == float("inf") else f"{end:g}",))
        yield from self._raise(COUNT, seen)
        yield Update("gauge", SUM, totals.seconds)
        for worker, memory in workers:
            yield Update("gauge", MEMORY, memory, (str(worker.place),))
            yield Update("gauge", WORKER_EDITION, worker.revision, (str(worker.place),))
        yield Update("gauge", EDITION, versions["revision"])
        version = (str(versions["policy"]), str(versions["rules"]), str(versions["mode"]))
        if self._version and version != self._version:
            yield Update("gauge", VERSION, 0, self._version)
        self._version = version
        yield Update("gauge", VERSION, 1, version)
        for name, value in state.items():
            yield Update("gauge", name, value)

    def _raise(self, name: str, total: int, labels: tuple[str, ...] = ()) -> Iterator[Update]:
        before = self._shown.get((name, labels))
        if before is None:
            # Zero is shown too: what a rate is to be taken of must be there before it grows.
            yield Update("counter", name, 0, labels)
            before = 0
        more = min(total - before, _AT_ONCE)
        if more > 0:
            yield Update("counter", name, more, labels)
            before += more
        self._shown[name, labels] = before
