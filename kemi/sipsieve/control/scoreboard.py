"""What each process has done, in shared memory, for `sipsieve status` and the metrics."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from .. import _core
from ..config.policy import Actions

#: Upper ends of the latency histogram in seconds; a decision on a clean message takes a few microseconds.
LATENCIES: Final = (5e-6, 10e-6, 20e-6, 50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 2e-3, 5e-3, 20e-3, 0.1)

#: Names by which messages are counted; the last of each takes what is not listed.
METHODS: Final = (
    "INVITE", "REGISTER", "OPTIONS", "ACK", "BYE", "CANCEL", "SUBSCRIBE", "NOTIFY", "MESSAGE", "INFO", "PRACK",
    "UPDATE", "REFER", "PUBLISH", "other",
)  # fmt: skip
ACTIONS: Final = ("allow", "scrub", "reject", "drop", "banned", "error", "other")
TRANSPORTS: Final = ("udp", "tcp", "tls", "ws", "wss", "sctp", "other")
FAMILIES: Final = (
    *Actions.__struct_fields__,
    "limits",
    "content_length_zero",
    "destinations",
    "accounts",
    "feed",
    "network",
    "other",
)

_PID: Final = 0
_EDITION: Final = 1
_SWITCHED: Final = 2
WRITTEN: Final = 3
_LOST: Final = 4
_ERRORS: Final = 5
_TIMED: Final = 6
_NANOSECONDS: Final = 7
SHORT: Final = 8
STEP: Final = 9
FOLDED: Final = 10
_SILENT: Final = 11
_UNPROVEN: Final = 12
_BUCKETS: Final = 13
_FAMILY: Final = _BUCKETS + len(LATENCIES) + 1
_MESSAGES: Final = _FAMILY + len(FAMILIES)
CELLS: Final = _MESSAGES + len(METHODS) * len(ACTIONS) * len(TRANSPORTS)

_METHOD_AT: Final = {name: number for number, name in enumerate(METHODS)}
_ACTION_AT: Final = {name: number for number, name in enumerate(ACTIONS)}
_TRANSPORT_AT: Final = {name: number for number, name in enumerate(TRANSPORTS)}
_FAMILY_AT: Final = {name: number for number, name in enumerate(FAMILIES)}


class Worker(NamedTuple):
    """One process: its place on the board, process id, revision and since when (s), records written and lost."""

    place: int
    pid: int
    revision: int
    switched: float
    written: int
    lost: int
    errors: int


class Totals(NamedTuple):
    """Sums over all processes since the server's start."""

    #: By method, decision, transport; zeros left out.
    messages: dict[tuple[str, str, str], int]
    #: Findings by rule family; zeros left out.
    families: dict[str, int]
    #: How many timed decisions took up to each of `LATENCIES`, and beyond; not added up.
    latencies: tuple[int, ...]
    seconds: float
    written: int
    lost: int
    errors: int
    #: Messages that passed with nothing found.
    short: int = 0
    #: Messages refused under pressure that were only counted, to which no answer was sent either, that were not looked at.
    folded: int = 0
    silent: int = 0
    unproven: int = 0


class Scoreboard:
    """A row of counters for each process; each writes only its own, so no lock is needed."""

    def __init__(self, places: int) -> None:
        self.words = _core.Words(places * CELLS)
        self._places = places
        #: Where this process's row begins.
        self.row = 0
        self._at: dict[tuple[str, str, str], int] = {}

    def attach(self, place: int, pid: int, revision: int, now: float) -> None:
        """Makes this process the writer of a row."""
        self.row = place * CELLS
        self.words[self.row + _PID] = pid
        self.switched(revision, now)

    def switched(self, revision: int, now: float) -> None:
        """From now on this process decides by that revision."""
        self.words[self.row + _EDITION] = revision
        self.words[self.row + _SWITCHED] = int(now * 1e6)

    def count(self, method: str, action: str, transport: str, messages: int = 1) -> None:
        """Counts messages."""
        key = (method, action, transport)
        at = self._at.get(key)
        if at is None:
            # A sender can make up methods without end; they share a place and are not remembered.
            at = _place(*key)
            if method in _METHOD_AT:
                self._at[key] = at
        self.words.add(self.row + at, messages)

    def found(self, families: Iterable[str]) -> None:
        """Counts one message under each family that fired on it."""
        for family in set(families):
            self.words.add(self.row + _FAMILY + _FAMILY_AT.get(family, len(FAMILIES) - 1), 1)

    def took(self, seconds: float) -> None:
        """Counts how long a decision took, from the first byte read to the answer given."""
        seconds = max(seconds, 0.0)
        number = 0
        for end in LATENCIES:
            if seconds <= end:
                break
            number += 1
        self.words.add(self.row + _BUCKETS + number, 1)
        self.words.add(self.row + _TIMED, 1)
        self.words.add(self.row + _NANOSECONDS, int(seconds * 1e9))

    def journal(self, written: int, lost: int) -> None:
        """How many records this process has written and lost since its start."""
        self.words[self.row + WRITTEN] = written
        self.words[self.row + _LOST] = lost

    @property
    def plan(self) -> dict[str, object]:
        """Where the core counts in this process's row."""
        return {
            "board": self.words,
            "row": self.row,
            "methods": METHODS,
            "actions": ACTIONS,
            "transports": TRANSPORTS,
            "messages_at": _MESSAGES,
            "families": FAMILIES,
            "families_at": _FAMILY,
            "written": WRITTEN,
            "lost": _LOST,
            "short": SHORT,
            "step": STEP,
            "folded": FOLDED,
        }

    def failed(self) -> None:
        """Counts an error of the guard itself."""
        self.words.add(self.row + _ERRORS, 1)

    def workers(self) -> list[Worker]:
        """The processes that attached."""
        found = []
        for place in range(self._places):
            row = self.words.row(place * CELLS, CELLS)
            if row[_PID]:
                found.append(
                    Worker(
                        place, row[_PID], row[_EDITION], row[_SWITCHED] / 1e6, row[WRITTEN], row[_LOST], row[_ERRORS]
                    )
                )
        return found

    def lost(self) -> int:
        """Records that could not be written, of all processes."""
        return sum(self.words[place * CELLS + _LOST] for place in range(self._places))

    def step(self, steady: float) -> int:
        """How much is left undone for strangers by the process that sheds most: 0 nothing, 1 records, 2 answers too, 3 looking.

        `steady`: seconds of the clock that is never set. What no message has renewed in the last second or two is over.
        """
        cells = [self.words[place * CELLS + STEP] for place in range(self._places)]
        return max((cell & 3 for cell in cells if int(steady) - (cell >> 2) <= 1), default=0)

    def totals(self) -> Totals:
        """The sums."""
        sums = [0] * CELLS
        for place in range(self._places):
            row = self.words.row(place * CELLS, CELLS)
            if row[_PID]:
                sums = [one + other for one, other in zip(sums, row, strict=True)]
        messages = {
            (method, action, transport): count
            for method in METHODS
            for action in ACTIONS
            for transport in TRANSPORTS
            if (count := sums[_place(method, action, transport)])
        }
        return Totals(
            messages,
            {family: count for family, at in _FAMILY_AT.items() if (count := sums[_FAMILY + at])},
            tuple(sums[_BUCKETS : _BUCKETS + len(LATENCIES) + 1]),
            sums[_NANOSECONDS] / 1e9,
            sums[WRITTEN],
            sums[_LOST],
            sums[_ERRORS],
            sums[SHORT],
            sums[FOLDED],
            sums[_SILENT],
            sums[_UNPROVEN],
        )


def _place(method: str, action: str, transport: str) -> int:
    row = _METHOD_AT.get(method, len(METHODS) - 1) * len(ACTIONS) + _ACTION_AT.get(action, len(ACTIONS) - 1)
    return _MESSAGES + row * len(TRANSPORTS) + _TRANSPORT_AT.get(transport, len(TRANSPORTS) - 1)
