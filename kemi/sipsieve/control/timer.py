"""What the timer process does once a second: counts, summaries, bans, the switch, metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from ..abuse import earned_standing
from ..abuse.ban_table import BanTable
from ..abuse.cluster import Cluster
from ..abuse.earned_standing import StandingTable
from ..abuse.limits import WINDOW
from ..abuse.shared_counters import COUNTS, KEPT, LIVE_BANS
from ..decision.revision import Revision
from ..decision_log.backlog import DROPPED, Backlog
from ..decision_log.ledger import Entry
from ..decision_log.writer import Journal
from ..model import Notice
from . import metrics
from .killswitch import KillSwitch
from .scoreboard import Worker
from .shared_memory import Shared

#: Seconds between exports of metrics: more often than Prometheus asks.
_EXPORT_EVERY: Final = 5

#: Seconds between two looks at who has standing, and between two times that it is written down.
_LOOK_EVERY: Final = 5.0
_KEEP_EVERY: Final = 15.0

#: Seconds between sweeps of the counters, and length of their longer window. Their tables tell 4,096 windows apart: without a
#: sweep in 68 hours an old counter of a minute would be taken for one of now, and tell against whoever has its name.
_HOUR: Final = 3600

#: The htables of sipsieve.cfg in which the native ban check counts what it dropped, and reads who was seen.
BANNED: Final = "sipsieve_banned"
SEEN: Final = "sipsieve_seen"


#: What is left undone for strangers, by the scoreboard's step.
_SHEDDING: Final = (
    "over: every refused message has its record and its answer again",
    "refusing strangers takes much of a worker's time: what is refused of them is only counted",
    "refusing strangers takes most of a worker's time: what is refused of them is only counted, and not answered",
    "too many strangers, or refusing them takes nearly all of a worker's time: what they start unproven is neither looked at nor let through",
)


class Tables(NamedTuple):
    """What housekeeping asks of Kamailio's htables, each by its name."""

    entries: Callable[[str], Mapping[str, str]]
    get: Callable[[str, str], object]
    put: Callable[[str, str, int], object]
    reset: Callable[[str], object]


class Housekeeping:
    """The timer process's round."""

    def __init__(
        self,
        shared: Shared,
        journal: Journal,
        backlog: Backlog,
        banlist: BanTable,
        standing: StandingTable,
        keep: Callable[[str], None],
        switch: KillSwitch,
        tables: Tables,
        workers: Callable[[], list[tuple[Worker, int]]],
        notice: Notice,
        cluster: Cluster | None = None,
    ) -> None:
        """`keep` writes down who has standing; `workers` with their memory in bytes; `cluster`: the other nodes, if any."""
        self._shared = shared
        self._board = shared.board
        self._journal = journal
        self._backlog = backlog
        self._ban_table = banlist
        self._standing = standing
        self._keep = keep
        self._looked = self._kept_at = float("-inf")
        self._kept: Mapping[str, str] = {}
        self._switch = switch
        self._tables = tables
        self._workers = workers
        self._notice = notice
        self._cluster = cluster
        self._exporter = metrics.Exporter()
        self._banned: dict[str, int] = {}
        self._overflow = (0, 0)
        self._step = 0
        self._swept = -1

    def round(self, revision: Revision, now: float, steady: float) -> None:
        """One second's work, but for the metrics. `steady`: the time of a clock that is never set."""
        # Each part is kept before the next one can fail: what was taken is handed out once only.
        self._counted(self._shared.ledger.collect(now))
        self._take(self._drops(now))
        self._watch_bans(now, steady)
        self._watch_standing(revision, now, steady)
        self._watch_counts()
        self._sweep(steady)
        self._watch_step(now, steady)
        self._take(self._switch.look(now, revision.policy.log.summary_seconds))
        self._board.journal(self._journal.written, self._journal.lost)

    def write(self, revision: Revision, now: float) -> None:
        """Writes what the round found, and what could not be written before. Raises OSError where the file of counts can't be."""
        self._backlog.write(now, revision.policy.log.summary_seconds)
        self._backlog.save(now)

    def updates(self, revision: Revision, now: float, steady: float, is_off: bool) -> Iterable[metrics.Update]:
        """What Prometheus is to be told: nothing but each five seconds."""
        if int(now) % _EXPORT_EVERY:
            return ()
        window = int(steady) // WINDOW
        for number in (window - 1, window):
            self._exporter.overflowed(number, self._shared.memory.shared_by(number))
        state = {
            metrics.BANS: self._counter(LIVE_BANS),
            metrics.TRACKED: self._shared.counts.begun(window),
            metrics.INSPECTION: int(not is_off),
            metrics.STANDING: self._shared.memory.earned.count(
                steady, revision.policy.bans.earned_minutes, revision.policy.standing.fade_minutes
            ),
        }
        return self._exporter.updates(self._board.totals(), self._workers(), revision.versions, state)

    def _counter(self, name: str) -> int:
        value = self._tables.get(COUNTS, name)
        return value if isinstance(value, int) else 0

    def _take(self, entries: list[Entry]) -> None:
        self._backlog.add(entries)
        self._counted(entries)

    def _counted(self, entries: list[Entry]) -> None:
        for entry in entries:
            self._board.count(entry.method, entry.verdict, entry.transport, entry.messages)

    def _drops(self, now: float) -> list[Entry]:
        """What the native ban check dropped since the last look."""
        counts = {key: int(value) for key, value in self._tables.entries(BANNED).items()}
        entries = []
        for key, count in counts.items():
            # An entry that expired and began anew stands lower than before.
            before = self._banned.get(key, 0)
            more = count - before if count >= before else count
            if more:
                entries.append(Entry(key, "", DROPPED, more, now - 1, now))
                self._tables.put(SEEN, key, int(now))
        self._banned = counts
        return entries

    def _watch_standing(self, revision: Revision, now: float, steady: float) -> None:
        """Hears who earned and who lost standing, here and at other nodes, and writes that down."""
        if steady - self._looked < _LOOK_EVERY:
            return
        self._looked = steady
        table = self._standing.look(now, steady, revision.policy)
        if table != self._kept and steady - self._kept_at >= _KEEP_EVERY:
            self._kept, self._kept_at = table, steady
            self._keep(earned_standing.dump(table))

    def _watch_counts(self) -> None:
        """`htable.flush sipsieve_counts` forgets the native counters too."""
        if not self._counter(KEPT):
            self._shared.memory.forget()
        self._tables.put(COUNTS, KEPT, 1)

    def _sweep(self, steady: float) -> None:
        """Frees, once an hour, the counters whose window is over."""
        hour = int(steady) // _HOUR
        if hour != self._swept:
            self._shared.memory.sweep(int(steady) // WINDOW, hour)
            self._swept = hour

    def _watch_step(self, now: float, steady: float) -> None:
        """Says what is left undone for strangers, and when that is over."""
        step = self._board.step(steady)
        if step != self._step:
            self._notice("shed", now, {"reason": _SHEDDING[step]})
        self._step = step

    def _watch_bans(self, now: float, steady: float) -> None:
        if self._cluster is not None and (missed := self._cluster.look(steady)):
            self._ban_table.announce(missed, now)
        live, stepped = self._ban_table.look(now, steady)
        if stepped:
            # Counters would stay, or go, by as much as the clock was set.
            self._tables.reset(COUNTS)
        self._tables.put(COUNTS, LIVE_BANS, live)
        window = int(steady) // WINDOW
        shared_by = self._shared.memory.shared_by(window)
        known = self._overflow[1] if self._overflow[0] == window else 0
        if shared_by > known:
            detail = {"requests": shared_by - known, "reason": "more sources than [limits] capacity share counters"}
            self._notice("overflow", now, detail)
        self._overflow = (window, shared_by)
