"""Writes into the decision log what is not about one message: counts, and notices about the guard itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import _core
from ..decision_log.ledger import Entry
from ..decision_log.record import Recorder
from ..decision_log.writer import Journal
from .shared_memory import Shared


class Accounting:
    """What this process writes down. `recorder` is the one of the revision in force."""

    def __init__(self, shared: Shared, journal: Journal, recorder: Recorder) -> None:
        self.recorder = recorder
        #: How this process's records are named, before their number.
        self.prefix = ""
        #: The number of the last record, where the core finds it too.
        self.sequence = _core.Words(1)
        self.journal = journal
        self._board = shared.board

    def summary(self, entry: Entry, now: float) -> bool:
        """Writes a count. False: it could not be written."""
        line = self.recorder.summary(
            entry.ip, entry.method, entry.verdict, entry.messages, entry.first, entry.last, now, entry.rule
        )
        return self.journal.append(line, now)

    def notice(self, action: str, now: float, detail: Mapping[str, Any]) -> bool:
        """Writes something about the guard itself. False: it could not be written."""
        return self.journal.append(self.recorder.notice(action, now, detail), now)
