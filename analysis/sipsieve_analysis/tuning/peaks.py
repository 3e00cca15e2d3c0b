"""Measures what each source had in its busiest minute, limit by limit, as the guard's core counts it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec

from sipsieve.abuse.limits import NAMES
from sipsieve.config.policy import Limit, Limits, NetworkPolicy, NetworkRule, Policy
from sipsieve.detection.ruleset import Ruleset

from ..operate.would_block import OTHERS
from .called import Call, Calls
from .forgotten import Forgotten, Logins
from .recording import Recording
from .standing import Answers, Standing
from .trials import ALLOW, SCRUB, Trial

#: Sources kept one by one.
_MOST: Final = 100_000

#: Counts everything from the first on, and is never passed: nothing of it is a limit.
_OPEN: Final = Limit(per_minute=1, burst=10_000_000)

#: The part of a source's messages that may be forged in its name, without telling anything about it.
_FORGED: Final = 0.02

#: Limits of which a proposal may be made. HTTP is not in a decision log.
LIMITS: Final = tuple(name for name in NAMES if name != "http")


@dataclass(slots=True)
class Measured:
    """One source: its busiest minute by limit, what answers tell of it, and what rules found."""

    ip: str
    standing: Standing = field(default_factory=Standing)
    trusted: bool = False
    messages: int = 0
    peaks: dict[str, int] = field(default_factory=dict)
    methods: Counter[str] = field(default_factory=Counter)
    #: By rule and field, what rules found in messages that are not let through as they are.
    found: Counter[tuple[str, str]] = field(default_factory=Counter)
    first: float = 0.0
    last: float = 0.0
    #: What it called out of the site.
    calls: list[Call] = field(default_factory=list)
    #: What it is where all its logins fail as those of a forgotten phone do.
    forgotten: Forgotten | None = None

    @property
    def looks_legitimate(self) -> bool:
        """See `Standing`."""
        return self.standing.looks_legitimate


def percentile(values: list[int], part: float) -> int:
    """The value that this part (0 to 1) of the sorted `values` does not pass; 0 of none."""
    return values[min(len(values) - 1, math.ceil(part * len(values)) - 1)] if values else 0


class Peaks:
    """All sources of a recording."""

    def __init__(self) -> None:
        self.sources: dict[str, Measured] = {}
        self.messages = 0
        self.first = self.last = 0.0

    @classmethod
    def of(cls, recording: Recording, trial: Trial) -> Peaks:
        """Measures a recording; `trial` as `measuring` makes it."""
        peaks, answers, logins, calls = cls(), Answers(), Logins(), Calls(trial.policy.dialling)
        for batch in recording.batches():
            for known, made in zip(batch.known, batch.judged(trial), strict=True):
                peaks.messages += 1
                peaks.first = peaks.first or known.time
                peaks.last = max(peaks.last, known.time)
                source = peaks._source(known.ip)
                source.messages += 1
                source.first = source.first or known.time
                source.last = known.time
                source.trusted = source.trusted or made.trusted
                counted = peaks._source(made.refused) if made.refused else source
                for limit, count in made.counts:
                    if count > counted.peaks.get(limit, 0):
                        counted.peaks[limit] = count
                if made.kind == 1:
                    logins.answered(known.time, made)
                    if whose := answers.answered(made):
                        Answers.note(peaks._source(whose).standing, made)
                    continue
                source.methods[made.method[:16]] += 1
                rules = [rule for rule in made.rules if not rule.startswith("limit-")]
                if not rules:
                    answers.asked(known.ip, made._replace(effect=ALLOW))
                    logins.asked(known, made)
                    if (call := calls.of(known, made)) is not None:
                        source.calls.append(call)
                elif made.effect not in (ALLOW, SCRUB):
                    source.found.update((rule, made.field) for rule in rules)
        for source in peaks.sources.values():
            if not source.trusted and source.found.total() <= _FORGED * source.messages:
                source.forgotten = logins.forgotten(source.ip, source.methods)
        return peaks

    def _source(self, ip: str) -> Measured:
        source = self.sources.get(ip)
        if source is None:
            name = ip if len(self.sources) < _MOST else OTHERS
            source = self.sources.setdefault(name, Measured(name))
        return source

    def legitimate(self) -> Iterator[Measured]:
        """Those that look legitimate and are not trusted, whom no limit holds for."""
        return (source for source in self.sources.values() if source.looks_legitimate and not source.trusted)

    def forgotten(self) -> Iterator[Measured]:
        """Those whose password seems to be an old one."""
        return (source for source in self.sources.values() if source.forgotten is not None)

    def others(self) -> Iterator[Measured]:
        """Those of whom nothing says that they are legitimate."""
        return (source for source in self.sources.values() if not source.looks_legitimate and not source.trusted)


def measuring(policy: Policy, ruleset: Ruleset) -> Trial:
    """A trial that counts what the policy would count and limits nothing."""
    network = policy.network
    if not isinstance(network, NetworkPolicy):
        network = tuple(
            NetworkRule(cidr=rule.cidr, country=rule.country, asn=rule.asn, outside=rule.outside, trusted=rule.trusted)
            for rule in network
        )
    limits: Limits = msgspec.structs.replace(policy.limits, enabled=True, **dict.fromkeys(NAMES, _OPEN))
    bans = msgspec.structs.replace(policy.bans, enabled=False)
    open_ = msgspec.structs.replace(policy, network=network, limits=limits, bans=bans, destinations=())
    return Trial(open_, ruleset)
