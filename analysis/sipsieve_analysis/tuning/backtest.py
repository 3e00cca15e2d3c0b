"""Says what a policy would have done to recorded traffic, and what that changes."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from ..operate.would_block import OTHERS
from .recording import Recording
from .records import Known
from .standing import Answers, Standing
from .trials import ALLOW, BANNED, BLOCK, SCRUB, Outcome, Trial, effect_of

#: Sources kept one by one; a flood of forged ones must not fill the memory.
_MOST: Final = 100_000

#: Examples kept of each source.
_EXAMPLES: Final = 3

#: Kinds of changes, the ones that cost calls first.
CHANGES: Final = ("newly_blocked", "newly_scrubbed", "newly_allowed", "no_longer_scrubbed")


@dataclass(slots=True)
class Example:
    """One message on which something changes."""

    time: float
    change: str
    method: str
    #: The decision's id, for `sipsieve explain`; "" in a capture.
    id: str
    rules: tuple[str, ...]
    field: str


@dataclass(slots=True)
class Row:
    """One source under the policy that is tried, and before."""

    ip: str
    standing: Standing = field(default_factory=Standing)
    trusted: bool = False
    messages: int = 0
    before: Counter[str] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    fields: Counter[str] = field(default_factory=Counter)
    #: When it was first banned, in seconds since the epoch; 0: never.
    banned_before: float = 0.0
    banned_after: float = 0.0
    examples: list[Example] = field(default_factory=list)
    #: Limits and rules of destinations by which the policy that is tried refuses, however it was before.
    blocking: Counter[str] = field(default_factory=Counter)
    #: Limits for which it bans.
    banning: set[str] = field(default_factory=set)

    @property
    def blocked(self) -> int:
        """Messages that the policy that is tried blocks."""
        return self.after[BLOCK] + self.after[BANNED]

    @property
    def is_changed(self) -> bool:
        """Whether anything is another than before."""
        return bool(self.changes) or bool(self.banned_after) != bool(self.banned_before)


@dataclass(slots=True)
class Side:
    """What one policy did, summed up."""

    name: str
    effects: Counter[str] = field(default_factory=Counter)
    bans: int = 0


class Backtest:
    """Adds up what a policy changes, against what was recorded or another policy."""

    def __init__(self, trial: Trial, against: Trial | None = None) -> None:
        self._trial = trial
        self._against = against
        self._answers = Answers()
        self.rows: dict[str, Row] = {}
        self.before = Side("recorded" if against is None else "against")
        self.after = Side("policy")
        self.rules: dict[str, Counter[str]] = {change: Counter() for change in CHANGES}
        self.fields: dict[str, Counter[str]] = {change: Counter() for change in CHANGES}
        self.messages = 0
        self.first = self.last = 0.0

    def run(self, recording: Recording) -> None:
        """Tries all of a recording."""
        for batch in recording.batches():
            after = batch.judged(self._trial)
            before = batch.judged(self._against) if self._against else _recorded(batch.known, after)
            for known, old, new in zip(batch.known, before, after, strict=True):
                self._add(known, old, new)

    def _add(self, known: Known, old: Outcome, new: Outcome) -> None:
        self.messages += 1
        self.first = self.first or known.time
        self.last = max(self.last, known.time)
        self.before.effects[old.effect] += 1
        self.after.effects[new.effect] += 1
        row = self._row(known.ip)
        row.messages += 1
        if new.kind == 1:
            if whose := self._answers.answered(new):
                Answers.note(self._row(whose).standing, new)
        elif old.effect in (ALLOW, SCRUB):
            self._answers.asked(known.ip, new)
        row.trusted = row.trusted or new.trusted or old.trusted
        row.before[old.effect] += 1
        row.after[new.effect] += 1
        if new.effect == BLOCK:
            row.blocking.update(rule for rule in new.rules if rule.startswith(("limit-", "destination-")))
        self._bans(known, old, new)
        if old.effect != new.effect:
            self._changed(row, known, old, new)

    def _row(self, ip: str) -> Row:
        row = self.rows.get(ip)
        if row is None:
            row = self.rows.setdefault(ip if len(self.rows) < _MOST else OTHERS, Row(ip))
        return row

    def _bans(self, known: Known, old: Outcome, new: Outcome) -> None:
        if old.ban is not None:
            self.before.bans += 1
            row = self._row(_address(old.ban[0]) or known.ip)
            row.banned_before = row.banned_before or known.time
        if new.ban is not None:
            self.after.bans += 1
            row = self._row(_address(new.ban[0]) or known.ip)
            row.banned_after = row.banned_after or known.time
            row.banning.add(new.ban[2])

    def _changed(self, row: Row, known: Known, old: Outcome, new: Outcome) -> None:
        was, is_ = old.effect in (BLOCK, BANNED), new.effect in (BLOCK, BANNED)
        if was and is_:
            return
        if is_:
            change, telling = "newly_blocked", new
        elif was:
            change, telling = "newly_allowed", old
        elif new.effect == SCRUB:
            change, telling = "newly_scrubbed", new
        else:
            change, telling = "no_longer_scrubbed", old
        row.changes[change] += 1
        rules = telling.rules or ((BANNED,) if telling.effect == BANNED else ("",))
        for rule in dict.fromkeys(rules):
            row.rules[rule] += 1
            self.rules[change][rule] += 1
        if telling.field:
            row.fields[telling.field] += 1
            self.fields[change][telling.field] += 1
        if len(row.examples) < _EXAMPLES:
            row.examples.append(Example(known.time, change, new.method, known.id, rules, telling.field))

    def changed(self) -> list[Row]:
        """Sources on which something changes: trusted and legitimate-looking ones first, then by how much."""
        rows = [row for row in self.rows.values() if row.is_changed]
        return sorted(
            rows,
            key=lambda row: (
                not row.trusted,
                not row.standing.looks_legitimate,
                -row.changes["newly_blocked"],
                -row.changes.total(),
                row.ip,
            ),
        )

    def networks(self) -> list[tuple[str, Counter[str]]]:
        """Changes by network: an IPv4 /24, an IPv6 /48."""
        found: dict[str, Counter[str]] = {}
        for row in self.rows.values():
            if row.changes:
                found.setdefault(network_of(row.ip), Counter()).update(row.changes)
        return sorted(found.items(), key=lambda entry: -entry[1].total())

    def figures(self, thin: Counter[str]) -> dict[str, int]:
        """The numbers that `--fail-if` may ask for."""
        rows = self.rows.values()
        legitimate = [row for row in rows if row.standing.looks_legitimate]
        total: Counter[str] = Counter()
        for row in rows:
            total.update(row.changes)
        return {
            "messages": self.messages,
            "blocked": self.after.effects[BLOCK] + self.after.effects[BANNED],
            "scrubbed": self.after.effects[SCRUB],
            "bans": self.after.bans,
            **{change: total[change] for change in CHANGES},
            "blocked_trusted": sum(row.blocked for row in rows if row.trusted),
            "blocked_legitimate": sum(row.blocked for row in legitimate),
            "newly_blocked_legitimate": sum(row.changes["newly_blocked"] for row in legitimate),
            "legitimate_sources_blocked": sum(row.blocked > 0 for row in legitimate),
            "banned_legitimate": sum(row.banned_after > 0 for row in legitimate),
            "unknown": thin["counted"] + thin["banned"] + thin["folded"] + thin["off"] + thin["errors"] + thin["http"],
        }


def _recorded(known: Iterable[Known], outcomes: Iterable[Outcome]) -> list[Outcome]:
    """The recorded decisions as outcomes; what a message is stays as the trial saw it."""
    return [
        made._replace(
            effect=effect_of(one.action),
            trusted=False,
            rules=one.rules,
            field=one.field,
            ban=(one.ip, one.banned, "") if one.banned else None,
        )
        for one, made in zip(known, outcomes, strict=True)
    ]


def _address(key: str) -> str:
    """The address that a ban's key is, where it is one; "" for a prefix."""
    return key if key.count(".") == 3 else ""


def network_of(ip: str) -> str:
    """The network of an address: an IPv4 /24, an IPv6 /48; what is no address as it is."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return ip
    return str(ipaddress.ip_network(f"{ip}/{24 if address.version == 4 else 48}", strict=False))


def facts_of(row: Row) -> dict[str, Any]:
    """A source as JSON can hold it."""
    return {
        "source": row.ip,
        "trusted": row.trusted,
        "legitimate": row.standing.looks_legitimate,
        "completed_calls": row.standing.calls,
        "registrations": row.standing.registrations,
        "messages": row.messages,
        "before": dict(row.before),
        "after": dict(row.after),
        **{change: row.changes[change] for change in CHANGES},
        "rules": dict(row.rules.most_common(20)),
        "fields": dict(row.fields.most_common(20)),
        "banned_before": row.banned_before or None,
        "banned_after": row.banned_after or None,
        "examples": [
            {"time": one.time, "change": one.change, "method": one.method, "id": one.id, "rules": list(one.rules), "field": one.field}
            for one in row.examples
        ],
    }  # fmt: skip
