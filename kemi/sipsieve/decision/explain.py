"""Shows step by step how a decision on one message comes about. Never used on the way of live messages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from .. import _core
from ..detection.message import parts
from ..model import Decision, Finding, Part, PartKind, Scope, Source
from .engine import Engine

#: Transforms in a row that are tried to name how a form came about.
_DEPTH: Final = 8

#: Values looked at for that, and the longest that is: beyond, the forms are shown without their names.
_MOST_VALUES: Final = 2000
_LONGEST: Final = 4096


class Form(NamedTuple):
    """One form of a part that rules were matched against, and the transforms that lead to it, in order."""

    value: bytes
    transforms: tuple[str, ...]


@dataclass(slots=True, frozen=True)
class Reading:
    """One part: its forms, and the findings on it."""

    part: Part
    forms: tuple[Form, ...]
    findings: tuple[Finding, ...]


@dataclass(slots=True, frozen=True)
class Explanation:
    """Everything that led to `decision`; `readings` in message order, `raw` as it was received."""

    raw: bytes
    source: Source
    readings: tuple[Reading, ...]
    decision: Decision
    #: The findings whose scores add up to the message's; the others say the same of the same value, or are
    #: of a family that is only logged.
    counted: tuple[Finding, ...]

    @property
    def score(self) -> int:
        """What the findings add up to."""
        return sum(finding.score for finding in self.counted)


class NoCounters:
    """Counters of a server that has seen nothing yet: explaining a message counts nowhere."""

    def add(self, key: str, amount: int = 1) -> int:
        """Always the first."""
        return amount

    def get(self, key: str) -> int:
        """Nothing was counted."""
        return 0

    def offence(self, key: str, scope: Scope) -> int:
        """Always the first."""
        return 1

    def mark(self, identity: int, value: int, now: float) -> None:
        """Forgets at once."""

    def marked(self, identity: int, now: float, life: int) -> int:
        """Knows nothing."""
        return 0

    def copies(self, identity: int, now: float) -> int:
        """Always new."""
        return 1

    def remember_dialog(self, identity: int) -> None:
        """Forgets at once."""

    def knows_dialog(self, identity: int) -> bool:
        """Knows none."""
        return False


def explain(engine: Engine, raw: bytes, source: Source, now: float) -> Explanation:
    """Decides on `raw` as the engine would on the first message of `source`, and shows the steps.

    `now` in seconds since the epoch. Never raises on input.
    """
    decision = engine.decide(raw, source, now, NoCounters())
    readings: list[Reading] = []
    if len(raw) <= engine.policy.detection.max_bytes:
        for part in parts(raw):
            found = tuple(
                finding
                for finding in decision.findings
                if finding.field == part.field and finding.span in ((part.start, part.end), (0, 0))
            )
            values = [part.value] if part.kind is PartKind.NAME else _core.forms(part.value, part.stood)
            names = chains(part.value, values)
            forms = tuple(Form(value, names.get(value, ())) for value in values)
            readings.append(Reading(part, forms, found))
    counted = engine.counted(decision.findings)
    return Explanation(raw, source, tuple(readings), decision, tuple(counted))


def chains(value: bytes, forms: Iterable[bytes]) -> dict[bytes, tuple[str, ...]]:
    """For each form the shortest row of named transforms that makes it of `value`; a form that none makes is left out."""
    wanted = set(forms)
    reached: dict[bytes, tuple[str, ...]] = {value: ()}
    edge = [value] if len(value) <= _LONGEST else []
    for _ in range(_DEPTH):
        if wanted <= reached.keys() or len(reached) > _MOST_VALUES:
            break
        following: list[bytes] = []
        for known in edge:
            for transform in _core.transforms():
                made = _core.transform(transform, known)
                if made and made not in reached:
                    reached[made] = (*reached[known], transform)
                    following.append(made)
        edge = following
    return {form: reached[form] for form in wanted if form in reached}
