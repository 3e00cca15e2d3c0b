"""Accounts for each decision of one process once: by its own record, or by a count in a summary record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import _core
from ..decision_log.ledger import Entry
from ..decision_log.record import Recorder
from ..decision_log.throttle import Throttle
from ..decision_log.writer import Journal
from ..model import Decision, Source
from .shared_memory import Shared


class Accounting:
    """What this process writes down. `recorder` is the one of the revision in force."""

    def __init__(self, shared: Shared, journal: Journal, recorder: Recorder) -> None:
        self.recorder = recorder
        #: How this process's records are named, before their number.
        self.prefix = ""
        #: The number of the last record, where the core finds it too.
        self.sequence = _core.Words(1)
        self.throttle = Throttle()
        self.journal = journal
        self._ledger = shared.ledger
        self._board = shared.board

    def record(self, decision: Decision, raw: bytes, source: Source, now: float) -> None:
        """Puts a decision on record; where like ones flood the log, it is only counted."""
        verdict = "error" if decision.error else str(decision.verdict)
        if decision.findings:
            rule = decision.findings[0].rule
            if not self.throttle.writes((source.key, decision.method, verdict, rule), now):
                method = decision.method[:16] if decision.method.isalnum() else ""
                self._board.found(finding.family for finding in decision.findings)
                self.count(source, method, verdict, now, rule[:26])
                return
        identity = f"{self.prefix}-{self.sequence.add(0, 1):x}"
        line = self.recorder.decision(decision, raw, source, now, identity)
        self.write(line, now, source, decision.method, verdict)
        if decision.findings:
            self._board.found(finding.family for finding in decision.findings)

    def write(self, line: bytes, now: float, source: Source, method: str, verdict: str = "allow") -> None:
        """Writes a decision's record."""
        if self.journal.append(line, now):
            self._board.count(method, verdict, source.transport)
        else:
            # What has no record becomes a count, and the count is written when writing works again.
            self.count(source, method, verdict, now)
        self._board.journal(self.journal.written, self.journal.lost)

    def count(self, source: Source, method: str, verdict: str, now: float, rule: str = "") -> None:
        """Counts a decision that gets no record of its own."""
        left = self._ledger.tally(source.ip, method, verdict, now, source.transport, rule)
        if left:
            self.left(left)

    def left(self, entries: list[Entry]) -> None:
        """Writes counts that the timer process did not fetch in time; nearly never."""
        for entry in entries:
            self._board.count(entry.method, entry.verdict, entry.transport, entry.messages)
            self.summary(entry, entry.last)

    def summary(self, entry: Entry, now: float) -> bool:
        """Writes a count. False: it could not be written."""
        line = self.recorder.summary(
            entry.ip, entry.method, entry.verdict, entry.messages, entry.first, entry.last, now, entry.rule
        )
        return self.journal.append(line, now)

    def notice(self, action: str, now: float, detail: Mapping[str, Any]) -> bool:
        """Writes something about the guard itself. False: it could not be written."""
        return self.journal.append(self.recorder.notice(action, now, detail), now)
