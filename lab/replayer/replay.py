"""Replays a scenario on a stage: every step in turn, then the judgement."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Protocol

from .judge import Report, judge
from .player import Job, Outcome
from .scenario import Goal, Loaded, Step, job

#: Seconds without a new record after which the decision log is taken as complete.
SETTLED = 0.3

#: Seconds after which what does not hold will not: a busy machine writes late.
LATEST = 5.0

#: Seconds without any answer where each message has to have one.
PATIENCE = 5.0


class Stage(Protocol):
    """Where scenarios are replayed."""

    uas: str

    def addresses(self, loaded: Loaded) -> dict[str, str]:
        """The scenario's sources, each with its address here."""
        ...

    def target(self, name: str) -> tuple[str, int]:
        """Where `edge` or `edge-plain` listens."""
        ...

    def begin(self, loaded: Loaded, target: str) -> None:
        """A scenario begins: state is as new, and records count from here."""
        ...

    def play(self, job: Job, step: Step, loaded: Loaded) -> Outcome:
        """Carries one step out."""
        ...

    def records(self) -> list[dict[str, Any]]:
        """The decision log since `begin`."""
        ...

    def probe(self, goal: Goal, variant: str) -> bool | None:
        """Whether a goal shows in the back office; None where there is none."""
        ...


def replay(loaded: Loaded, stage: Stage, target: str) -> Report:
    """Replays one scenario at `edge` or `edge-plain`, and judges it."""
    stage.begin(loaded, target)
    addresses = stage.addresses(loaded)
    host, port = stage.target(target)
    outcomes = []
    for step in loaded.scenario.step:
        work = job(loaded, step, addresses, host, port, stage.uas)
        allowed = step.answers if target == "edge" else step.plain
        if 0 not in (allowed or (0,)):
            work.quiet = PATIENCE
        outcomes.append(stage.play(work, step, loaded))
    end = time.monotonic() + LATEST
    records = _settled(stage, end) if target == "edge" else []
    while True:
        report = judge(loaded, target, outcomes, records, addresses, stage.probe)
        if report.held or time.monotonic() > end:
            return report
        time.sleep(0.1)
        records = stage.records() if target == "edge" else []


def _settled(stage: Stage, end: float) -> Sequence[dict[str, Any]]:
    records = stage.records()
    last = time.monotonic()
    while time.monotonic() < min(last + SETTLED, end):
        time.sleep(0.05)
        more = stage.records()
        if len(more) != len(records):
            records, last = more, time.monotonic()
    return records
