"""Notices that another node of the cluster missed what was said, by what the nodes put into a table that all of them see.

Each node keeps one entry there: its newest beat, and for each node that it had not heard for a while the beat that it heard
again. Whoever finds itself named tells its bans once more: that an ask arrived shows that words pass in one direction, and
that it was made, in the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

#: The htable of sipsieve.cfg, one entry a node.
BEATS: Final = "sipsieve_beats"

#: Seconds between two beats.
BEAT: Final = 2.0

#: Seconds without a new beat after which something may be lost: Kamailio's tm sends again for `fr_timer`, 10 seconds at least
#: in what this project ships, so that what is lost was followed by a longer silence.
SILENT: Final = 8.0

#: Seconds for which an ask is repeated, and for which an entry stands.
LASTS: Final = 60.0

#: Nodes that one entry may name; a cluster has a handful.
_MOST: Final = 16

_ENTRY: Final = re.compile(r"([0-9]{1,18})((?: [0-9a-z.:_\[\]-]{1,80}=[0-9]{1,18})*)", re.ASCII)


class Access(NamedTuple):
    """What is known of the table: `own` names this node in it. `put` takes key, value and the seconds that it stands."""

    own: str
    entries: Callable[[], Mapping[str, str]]
    put: Callable[[str, str, int], object]


class _Heard(NamedTuple):
    beat: str
    at: float


class Cluster:
    """Looks at the table once a second, in one process. Times are of a clock that is never set, in seconds."""

    def __init__(self, table: Access) -> None:
        self._table = table
        self._began: float | None = None
        self._beaten = float("-inf")
        self._heard: dict[str, _Heard] = {}
        #: By node, the beat that ended its silence, and when that was.
        self._asks: dict[str, _Heard] = {}
        #: By node, its last ask that was taken up.
        self._taken: dict[str, str] = {}

    def look(self, steady: float) -> list[str]:
        """Beats, and returns the nodes that missed what was said here and can hear it now, each return once."""
        began = self._began = steady if self._began is None else self._began
        heard: dict[str, _Heard] = {}
        taken: dict[str, str] = {}
        missed = []
        for node, value in self._table.entries().items():
            found = _ENTRY.fullmatch(value)
            if node == self._table.own or found is None or len(heard) >= _MOST:
                continue
            known = self._heard.get(node, _Heard("", began))
            if found[1] != known.beat:
                if steady - known.at > SILENT:
                    self._asks[node] = _Heard(found[1], steady)
                known = _Heard(found[1], steady)
            heard[node] = known
            ask = dict(word.split("=") for word in found[2].split()).get(self._table.own)
            if ask is not None:
                taken[node] = ask
                if ask != self._taken.get(node):
                    missed.append(node)
        self._heard, self._taken = heard, taken
        self._asks = {node: ask for node, ask in self._asks.items() if steady - ask.at < LASTS}
        if steady - self._beaten >= BEAT:
            self._beaten = steady
            asks = "".join(f" {node}={ask.beat}" for node, ask in self._asks.items())
            self._table.put(self._table.own, f"{int(steady * 1000)}{asks}", int(LASTS))
        return missed
