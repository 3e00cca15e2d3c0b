"""Puts messages that no guard saw through the guard's own engine, and hands back decision records."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from sipsieve._core import Messages
from sipsieve._core import Replay as CoreReplay
from sipsieve.abuse.sources import Networks
from sipsieve.config import policy
from sipsieve.control import geo_files
from sipsieve.decision.engine import Engine
from sipsieve.decision_log.record import Recorder
from sipsieve.detection import ruleset
from sipsieve.model import Scope

if TYPE_CHECKING:
    from sipsieve._core import EventColumns

#: Counters kept; older ones belong to windows long past.
_MOST: Final = 500_000


class MemoryCounters:
    """The engine's counters in this process: exact, and bounded by forgetting what is oldest."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._copies: dict[int, tuple[float, int]] = {}
        self._dialogs: dict[int, None] = {}
        self._offences: dict[str, int] = {}
        self._marks: dict[int, tuple[float, int]] = {}

    def add(self, key: str, amount: int = 1) -> int:
        """See `sipsieve.model.Counters`."""
        if len(self._counts) >= _MOST:
            self._counts.clear()
        self._counts[key] = count = self._counts.get(key, 0) + amount
        return count

    def get(self, key: str) -> int:
        """See `sipsieve.model.Counters`."""
        return self._counts.get(key, 0)

    def offence(self, key: str, scope: Scope) -> int:
        """See `sipsieve.model.Counters`. Nobody is shut out of a recording, so each excess is an offence."""
        if len(self._offences) >= _MOST:
            self._offences.clear()
        self._offences[key] = count = self._offences.get(key, 0) + 1
        return count

    def mark(self, identity: int, value: int, now: float) -> None:
        """See `sipsieve.model.Counters`."""
        if len(self._marks) >= _MOST:
            self._marks.clear()
        self._marks[identity] = (now, value)

    def marked(self, identity: int, now: float, life: int) -> int:
        """See `sipsieve.model.Counters`."""
        since, value = self._marks.get(identity, (now, 0))
        return value if 0 <= now - since <= life else 0

    def copies(self, identity: int, now: float) -> int:
        """See `sipsieve.model.Counters`."""
        if len(self._copies) >= _MOST:
            self._copies.clear()
        since, count = self._copies.get(identity, (now, 0))
        if not 0 <= now - since <= 32:
            since, count = now, 0
        self._copies[identity] = (since, count + 1)
        return count + 1

    def remember_dialog(self, identity: int) -> None:
        """See `sipsieve.model.Counters`."""
        if len(self._dialogs) >= _MOST:
            self._dialogs.clear()
        self._dialogs[identity] = None

    def knows_dialog(self, identity: int) -> bool:
        """See `sipsieve.model.Counters`."""
        return identity in self._dialogs


class Replay:
    """The engine at its defaults, with records written as the guard would have written them, by the core on all cores."""

    def __init__(self, threads: int = 0, raw_bytes: int = 0, rules: ruleset.Ruleset | None = None) -> None:
        """`raw_bytes`: so much of each message is kept in its record; `rules`: others than the built-in ones."""
        settings = policy.loads("")
        rules = rules or ruleset.load()
        # Nothing was enforced when these messages passed.
        recorder = Recorder(rules.version, settings.version, "observe", settings.log.excerpt_bytes, raw_bytes)
        judge = Engine(settings, rules, Networks(settings, geo_files.offline(settings.geo))).judge
        self._core = CoreReplay(judge, recorder.core, threads or len(os.sched_getaffinity(0)))

    def records(self, messages: Messages) -> bytes:
        """The decision records of these messages, as lines of JSON."""
        return self._core.records(messages)

    def columns(self, messages: Messages, kind: str) -> EventColumns:
        """The same as columns of events; `kind` is what the messages came from."""
        return self._core.columns(messages, kind)
