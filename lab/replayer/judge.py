"""Compares what a scenario's expectations say with what was answered, decided and achieved."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .player import Outcome
from .scenario import Decision, Goal, Loaded, Step

Record = Mapping[str, Any]

#: Looks at the back office: does the goal show there? `None` where this stage has none.
Probe = Callable[[Goal, str], bool | None]


@dataclass
class Report:
    """What one replay of a scenario at one target came to."""

    name: str
    title: str
    kind: str
    target: str
    checks: int = 0
    broken: list[str] = field(default_factory=list)
    """A sentence for each expectation that did not hold."""
    reached: dict[str, list[str]] = field(default_factory=dict)
    """What an attacker achieved, by variant of the back office."""
    goals: int = 0
    legitimate: tuple[int, int] = (0, 0)
    """Legitimate requests or calls that got through, of how many."""

    @property
    def held(self) -> bool:
        """Whether every expectation held."""
        return not self.broken

    def check(self, holds: bool, sentence: str) -> None:
        """Counts an expectation, and keeps its sentence where it does not hold."""
        self.checks += 1
        if not holds:
            self.broken.append(sentence)


def judge(
    loaded: Loaded,
    target: str,
    outcomes: Sequence[Outcome],
    records: Sequence[Record],
    addresses: Mapping[str, str],
    probe: Probe,
) -> Report:
    """The report on one replay. `records` are the decision log's since the scenario began."""
    scenario = loaded.scenario
    guarded = target == "edge"
    report = Report(loaded.name, scenario.title, scenario.kind, target)
    for number, (step, outcome) in enumerate(zip(scenario.step, outcomes, strict=True), 1):
        _step(report, f"step {number}", step, outcome, guarded)
    if guarded:
        for wanted in scenario.decision:
            found = [record for record in records if matches(wanted, record, addresses)]
            if wanted.count >= 0:
                report.check(
                    len(found) == wanted.count, f"{_of(wanted)}: {len(found)} records, {wanted.count} expected"
                )
            else:
                report.check(
                    len(found) >= wanted.at_least,
                    f"{_of(wanted)}: {len(found)} records, at least {wanted.at_least} expected",
                )
        for unwanted in scenario.never:
            found = [record for record in records if matches(unwanted, record, addresses)]
            report.check(not found, f"{_of(unwanted)}: {len(found)} records, none expected")
        for ban in scenario.ban:
            address = addresses[ban.source]
            held = any(
                record.get("ban", {}).get("source") == address and ban.rule in ("", record["ban"].get("rule"))
                for record in records
            )
            name = f"{ban.source} ({address}){f' by {ban.rule}' if ban.rule else ''}"
            report.check(held is not ban.absent, f"a ban of {name}" if ban.absent else f"no ban of {name}")
    for goal in scenario.goal:
        _goal(report, goal, outcomes, guarded, probe)
    return report


def _step(report: Report, at: str, step: Step, outcome: Outcome, guarded: bool) -> None:
    allowed = step.answers if guarded else step.plain
    wanted_exit = step.exit if guarded else step.plain_exit
    report.check(not outcome.error, f"{at}: {outcome.error}")
    if allowed:
        odd = sorted({status for status in outcome.answers if status not in allowed})
        report.check(not odd, f"{at}: answered {_statuses(odd)}, expected {_statuses(allowed)}")
    if guarded and step.last >= 0:
        last = outcome.answers[-1] if outcome.answers else -1
        report.check(
            last == step.last, f"{at}: the last answer is {_statuses([last])}, expected {_statuses([step.last])}"
        )
    if wanted_exit >= 0:
        tail = outcome.output.strip().splitlines()[-1:] or [""]
        report.check(
            outcome.exit == wanted_exit, f"{at}: exit code {outcome.exit}, expected {wanted_exit} ({tail[0][:200]!r})"
        )
    if step.legitimate:
        passed, total = report.legitimate
        good, all_ = legitimate(step, outcome)
        report.legitimate = (passed + good, total + all_)
        report.check(good == all_, f"{at}: {good} of {all_} legitimate requests or calls got through")


def legitimate(step: Step, outcome: Outcome) -> tuple[int, int]:
    """How many of a legitimate step's requests or calls were served, of how many."""
    if step.sipp:
        counts = re.findall(r"Successful call\s*\|\s*\d+\s*\|\s*(\d+)", outcome.output)
        return (int(counts[-1]) if counts else 0), step.calls
    good = sum(200 <= status <= 299 or status in (401, 407, 480, 486) for status in outcome.answers)
    return good, len(outcome.answers)


def _goal(report: Report, goal: Goal, outcomes: Sequence[Outcome], guarded: bool, probe: Probe) -> None:
    report.goals += 1
    if goal.answered or goal.output:
        outcome = outcomes[(goal.answered or goal.step) - 1]
        if goal.answered:
            reached = any(200 <= status <= 299 for status in outcome.answers)
        else:
            reached = bool(re.search(goal.output, outcome.output))
        _reached(report, "", goal, reached, goal.guarded if guarded else True)
        return
    for variant in ("vulnerable", "parameterized"):
        seen = probe(goal, variant)
        if seen is not None:
            _reached(
                report, variant, goal, seen, goal.guarded if guarded else variant == "vulnerable" or goal.parameterized
            )


def _reached(report: Report, variant: str, goal: Goal, reached: bool, expected: bool) -> None:
    if reached:
        report.reached.setdefault(variant, []).append(goal.say)
    where = f" ({variant} back office)" if variant else ""
    report.check(reached == expected, f"{goal.say}{where}: {'happened' if reached else 'did not happen'}")


def matches(wanted: Decision, record: Record, addresses: Mapping[str, str]) -> bool:
    """Whether a record of the decision log is one of those wanted."""
    if record.get("event", {}).get("kind") != "event":
        return False
    findings = record.get("findings", [])
    return (
        (not wanted.source or record.get("source", {}).get("ip") == addresses[wanted.source])
        and (not wanted.method or record.get("sip", {}).get("method") == wanted.method)
        and (not wanted.action or record["event"].get("action") in wanted.action.split("|"))
        and (not wanted.rule or wanted.rule in record.get("rule", {}).get("id", []))
        and (not wanted.family or any(finding.get("family") == wanted.family for finding in findings))
        and (not wanted.field or any(finding.get("field") == wanted.field for finding in findings))
    )


def _of(wanted: Decision) -> str:
    named = {
        name: getattr(wanted, name)
        for name in ("source", "method", "action", "rule", "family", "field")
        if getattr(wanted, name)
    }
    return "decision " + ", ".join(f"{name} {value}" for name, value in named.items())


def _statuses(statuses: Sequence[int]) -> str:
    return ", ".join("nothing" if status == 0 else str(status) for status in statuses)
