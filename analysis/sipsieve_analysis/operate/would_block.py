"""Sums up what was blocked, or would have been, with the sources first that look like customers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from .decisions import Record, action_of, findings_of, is_message, ours_of, source_of, text_at, would_block

#: Sources and transactions remembered; a flood of forged sources must not fill the memory. What is
#: beyond goes to one row and is counted.
_SOURCES: Final = 100_000
_TRANSACTIONS: Final = 500_000
OTHERS: Final = "others"


@dataclass(slots=True)
class Row:
    """One source: what it got through, what was (or would have been) blocked, and why."""

    ip: str
    allowed: int = 0
    blocked: int = 0
    completed: int = 0
    registered: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    fields: Counter[str] = field(default_factory=Counter)
    decisions: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    @property
    def standing(self) -> str:
        """Why it looks like a customer; "" where nothing says so."""
        if self.completed:
            return "completed calls"
        return "registered" if self.registered else ""

    def facts(self) -> dict[str, Any]:
        """The row as JSON can hold it."""
        return {
            "source": self.ip,
            "standing": self.standing,
            "blocked": self.blocked,
            "allowed": self.allowed,
            "completed_calls": self.completed,
            "registrations": self.registered,
            "decisions": dict(self.decisions),
            "rules": dict(self.rules.most_common()),
            "fields": dict(self.fields.most_common()),
            "examples": self.examples,
        }


class Sum:
    """Adds records up. `observed` counts what would have been blocked, else what was."""

    def __init__(self, observed: bool) -> None:
        self._observed = observed
        self._rows: dict[str, Row] = {}
        #: Who sent a request, by Call-ID and CSeq, until its answer is seen.
        self._asked: dict[tuple[str, str, str], str] = {}
        self.rules: Counter[str] = Counter()
        self.fields: Counter[str] = Counter()
        self.messages = 0
        self.blocked = 0
        self.first = self.last = ""

    def add(self, records: Iterable[Record]) -> None:
        """Counts these records, which stand in the order of their time."""
        for record in records:
            stamp = str(record["@timestamp"])
            self.first = self.first or stamp
            self.last = stamp
            if is_message(record):
                self._message(record)
            elif record["event"].get("kind") == "metric":
                count = record["event"].get("count")
                if isinstance(count, int):
                    self._count(record, count)

    def rows(self) -> list[Row]:
        """The sources of which something was blocked: those in good standing first, then by number."""
        rows = [row for row in self._rows.values() if row.blocked]
        return sorted(rows, key=lambda row: (not row.completed, not row.registered, -row.blocked, row.ip))

    def _row(self, ip: str) -> Row:
        row = self._rows.get(ip)
        if row is None:
            if len(self._rows) >= _SOURCES:
                ip = OTHERS
            row = self._rows.setdefault(ip, Row(ip))
        return row

    def _count(self, record: Record, count: int) -> None:
        self.messages += count
        row = self._row(source_of(record))
        action = action_of(record)
        if action == "allow":
            row.allowed += count
            sip = record.get("sip")
            # Only a call that was set up is ended with BYE.
            if isinstance(sip, dict) and sip.get("method") == "BYE":
                row.completed += count
        elif not self._observed:
            row.blocked += count
            row.decisions[action] += count
            self.blocked += count

    def _message(self, record: Record) -> None:
        self.messages += 1
        sip = record.get("sip")
        if not isinstance(sip, dict):
            return
        method, action = str(sip.get("method", "")), action_of(record)
        transaction = (str(sip.get("call_id", "")), text_at(sip, "cseq", "code"), method)
        if sip.get("type") == "response":
            self._answered(transaction, sip.get("code"))
            return
        row = self._row(source_of(record))
        if would_block(record) if self._observed else self._was_blocked(record):
            self._blocked(row, record)
        elif action == "allow":
            row.allowed += 1
            if method == "BYE":
                row.completed += 1
            elif method in ("INVITE", "REGISTER"):
                # Only what would have passed speaks for its sender: an attack that was let through is no call.
                if len(self._asked) >= _TRANSACTIONS:
                    self._asked.clear()
                self._asked[transaction] = row.ip

    @staticmethod
    def _was_blocked(record: Record) -> bool:
        return action_of(record) in ("reject", "drop", "scrub") and not would_block(record)

    def _answered(self, transaction: tuple[str, str, str], status: object) -> None:
        if not (isinstance(status, int) and 200 <= status <= 299):
            return
        ip = self._asked.pop(transaction, None)
        if ip is not None:
            row = self._row(ip)
            if transaction[2] == "INVITE":
                row.completed += 1
            else:
                row.registered += 1

    def _blocked(self, row: Row, record: Record) -> None:
        self.blocked += 1
        row.blocked += 1
        row.decisions[action_of(record)] += 1
        # In the order of the findings: what comes equally often is shown alike each time.
        for name in dict.fromkeys(str(entry.get("rule")) for entry in findings_of(record)):
            row.rules[name] += 1
            self.rules[name] += 1
        place = str(ours_of(record).get("field", ""))
        if place:
            row.fields[place] += 1
            self.fields[place] += 1
        if len(row.examples) < 3 and record["event"].get("id"):
            row.examples.append(str(record["event"]["id"]))
