"""Brings alerts from the outbox to where they are told, and tries again while nobody answers there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from .alerts import Posted, Sink
from .memory import Memory

#: Seconds until a place that failed is tried again: the first time, and at the most. Doubled in between.
_FIRST: Final = 5.0
_LAST: Final = 900.0

#: After so many failures it is tried whether the place takes the one that comes next: then the first is at fault.
_STUCK: Final = 8


@dataclass(slots=True)
class _State:
    """How it stands with one place."""

    failures: int = 0
    #: When it may be tried again, by the monotonic clock.
    after: float = 0.0


class Delivery:
    """Delivers what `memory` keeps. `clock` counts seconds, from whenever."""

    def __init__(
        self,
        memory: Memory,
        sinks: Sequence[Sink],
        warn: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._memory = memory
        self._sinks = sinks
        self._warn = warn
        self._clock = clock
        self._states = {sink.name: _State() for sink in sinks}

    def post(self, alert: dict[str, Any]) -> None:
        """Puts an alert into the outbox for all who want it; call it within the step that it belongs to."""
        self._memory.post(alert["id"], [sink.name for sink in self._sinks if sink.wants(alert)], alert)

    def round(self, now: datetime) -> None:
        """Delivers what is due, in its order. What fails stays where it is."""
        for sink in self._sinks:
            state = self._states[sink.name]
            if self._clock() < state.after:
                continue
            waiting = [posted for posted in self._memory.pending(sink.name) if sink.due(posted[1], now)]
            while waiting:
                batch, waiting = waiting[: sink.batch], waiting[sink.batch :]
                problem = sink.send(batch)
                settled = self._set_aside(sink, state, batch, waiting, problem) if problem else set()
                waiting = [posted for posted in waiting if posted[0] not in settled]
                if problem and not settled:
                    state.failures += 1
                    pause = min(_LAST, _FIRST * 2 ** min(state.failures - 1, 20))
                    state.after = self._clock() + pause
                    self._warn(f"{problem}; will be tried again in {pause:g} s, {len(batch) + len(waiting)} wait")
                    break
                if not problem:
                    self._delivered(sink, state, batch)

    def _delivered(self, sink: Sink, state: _State, batch: Sequence[Posted]) -> None:
        for identity, _ in batch:
            self._memory.delivered(identity, sink.name)
        state.failures = 0

    def _set_aside(
        self, sink: Sink, state: _State, batch: Sequence[Posted], waiting: Sequence[Posted], problem: str
    ) -> set[str]:
        """The alerts that are dealt with where one was refused for itself: the place, asked with another, takes that one. What
        it refuses is kept in a file, so that all others don't wait for it for ever. Empty where the place takes nothing."""
        if state.failures < _STUCK:
            return set()
        *more, last = [*batch, *waiting]
        if not more or sink.send([last]):
            return set()
        self._delivered(sink, state, [last])
        for identity, alert in batch:
            if identity == last[0] or (len(batch) > 1 and not sink.send([(identity, alert)])):
                self._memory.delivered(identity, sink.name)
                continue
            kept = self._memory.set_aside(json.dumps({"sink": sink.name, "problem": problem, "alert": alert}))
            self._memory.delivered(identity, sink.name)
            self._warn(f"{sink.name}: alert {identity} is refused while others are taken; it is kept in {kept}")
        return {last[0], *(identity for identity, _ in batch)}
