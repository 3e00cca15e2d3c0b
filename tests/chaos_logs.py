"""Which messages the troubled server has on record, over all its logs that were moved, cut and put away meanwhile."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

from chaos_surroundings import Tolerant

#: Seconds after which a log that was moved is counted and removed.
PUT_AWAY = 10.0


class Logs:
    """The log of a server, and those that it was moved to."""

    def __init__(self, server: Tolerant) -> None:
        self.server = server
        self._moved: dict[Path, float] = {}
        self._number = 0
        #: Messages of each source on record in logs that were put away, so that hours fit on the disk.
        self._put_away: Counter[str] = Counter()

    def next(self) -> Path:
        """A name that the log may be moved to."""
        return self.server.log.with_name(f"decisions.{self._number}.jsonl")

    def moved(self, path: Path) -> None:
        """The log, or a copy of it, stands there now."""
        self._number += 1
        self._moved[path] = time.monotonic()

    def put_away(self) -> None:
        """Counts and removes what was moved long ago: a worker writes on in a log that was moved for a second."""
        for path in [path for path, moved in self._moved.items() if time.monotonic() - moved > PUT_AWAY]:
            self._put_away += self.count(self.server.records("", path, current=False))
            del self._moved[path]
            path.unlink()

    def accounted(self, source: str) -> int:
        """How many messages of a source are in a record or a count."""
        return self._put_away[source] + self.count(self.server.records("", *self._moved))[source]

    @staticmethod
    def count(records: list[dict[str, Any]]) -> Counter[str]:
        """The messages of each source that records tell of."""
        found: Counter[str] = Counter()
        for record in records:
            if record["event"]["kind"] in ("event", "metric"):
                found[record.get("source", {}).get("ip", "")] += record["event"].get("count", 1)
        return found
