"""Shows step by step how a decision on one message comes about. Never used on the way of live messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from . import normalize
from .engine import Engine
from .message import parse
from .model import Decision, Finding, Part, Source
from .normalize import variants
from .parts import parts

#: Transforms in a row that are tried to name how a form came about.
_DEPTH: Final = 4

#: The named transforms that a form may owe its shape to.
_TRANSFORMS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "unfold": normalize.unfold,
    "quoted_pair": normalize.quoted_pair,
    "percent": normalize.percent,
    "comments": normalize.comments,
    "spaces": normalize.spaces,
}


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

    @property
    def score(self) -> int:
        """What the findings add up to, each rule once, as the verdict counts it."""
        return sum({finding.rule: finding.score for finding in self.decision.findings}.values())


class NoCounters:
    """Counters of a server that has seen nothing yet: explaining a message counts nowhere."""

    def add(self, key: str, amount: int = 1) -> int:
        """Always the first."""
        return amount

    def get(self, key: str) -> int:
        """Nothing was counted."""
        return 0

    def offence(self, key: str, forgeable: bool) -> int:
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

    def remember_dialog(self, key: str) -> None:
        """Forgets at once."""

    def knows_dialog(self, key: str) -> bool:
        """Knows none."""
        return False


def explain(engine: Engine, raw: bytes, source: Source, now: float) -> Explanation:
    """Decides on `raw` as the engine would on the first message of `source`, and shows the steps.

    `now` in seconds since the epoch. Never raises on input.
    """
    decision = engine.decide(raw, source, now, NoCounters())
    message = parse(raw)
    readings: list[Reading] = []
    if len(raw) <= engine.policy.detection.max_bytes:
        for part in parts(message):
            found = tuple(
                finding
                for finding in decision.findings
                if finding.field == part.field and finding.span in ((part.start, part.end), (0, 0))
            )
            forms = tuple(Form(value, transforms_of(part.value, value)) for value in variants(part))
            readings.append(Reading(part, forms, found))
    return Explanation(raw, source, tuple(readings), decision)


def transforms_of(value: bytes, form: bytes) -> tuple[str, ...]:
    """The shortest row of named transforms that makes `form` of `value`; () if none does, or none is needed."""
    reached: dict[bytes, tuple[str, ...]] = {value: ()}
    edge = [value]
    for _ in range(_DEPTH):
        if form in reached:
            break
        following: list[bytes] = []
        for known in edge:
            for name, transform in _TRANSFORMS.items():
                made = transform(known)
                if made not in reached:
                    reached[made] = (*reached[known], name)
                    following.append(made)
        edge = following
    return reached.get(form, ())
