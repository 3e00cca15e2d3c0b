"""What one of Kamailio's processes holds and does of the guard, whatever the entry point that Kamailio calls.

It takes up the policy, decides by the newest revision, keeps books, and says what went wrong. Kamailio itself it knows
by the functions of `Kamailio` alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from .. import _core, model
from ..abuse import ban_table, cluster, earned_standing, own_addresses, shared_counters
from ..config import policy
from ..decision import fail_mode, revision
from ..decision_log import backlog, writer
from ..detection import ruleset
from ..posix import ownership, process
from . import (
    accounting,
    admin,
    feeds,
    geo_files,
    killswitch,
    last_good,
    reload,
    rpc_table,
    scoreboard,
    shared_memory,
    survivors,
    timer,
)

#: Workers take a new revision one after the other, so many turns of so many seconds: all within a second.
_TURNS: Final = 16
_TURN: Final = 0.04

#: Seconds between two lines in syslog about a log that can't be written.
_SILENT: Final = 60.0


class Kamailio(NamedTuple):
    """What a process asks of Kamailio, and tells it."""

    #: What the core calls while it has a message at hand, by the names that `_core.Guard` knows.
    calls: Callable[[], Mapping[str, Any]]
    #: Hears of each guard that decides from now on.
    armed: Callable[[_core.Guard], None]
    tables: timer.Tables
    #: Adds one to an entry of an htable; puts a number there that expires.
    increment: Callable[[str, str], int]
    expire: Callable[[str, str, int], object]
    bans: ban_table.Access
    standing: earned_standing.Access
    #: None where this server is no node of a cluster.
    cluster: cluster.Access | None
    own: own_addresses.OwnAddresses
    #: The kill switch, who turned it, and how many messages passed meanwhile.
    is_off: Callable[[], bool]
    turned_by: Callable[[], object]
    passed: Callable[[], int]
    #: The module that counts for Prometheus, None without.
    prometheus: Callable[[], Any]
    #: Lines for syslog.
    crit: Callable[[str], object]
    err: Callable[[str], object]
    warn: Callable[[str], object]


class Running:
    """The guard in one process. Made before Kamailio forks, so that all processes share what they count."""

    def __init__(self, kamailio: Kamailio, installed: str) -> None:
        """`installed` is the policy's file where the environment names none."""
        self._kamailio = kamailio
        self._is_worker = False
        path = os.environ.get("SIPSIEVE_POLICY") or installed
        self._last_good = os.environ.get(last_good.FILE) or last_good.DEFAULT
        first = last_good.start(
            path,
            self._last_good,
            os.environ.get(last_good.STRICT) == "1",
            lambda text: kamailio.err(f"sipsieve: {text}\n"),
        )
        loaded = first.policy
        self._broken_policy = first.broken
        self.guard: _core.Guard | None = None
        self._policy_path = path
        self._log_path = os.environ.get("SIPSIEVE_LOG") or loaded.log.path
        self._geo = geo_files.GeoFiles(loaded.geo, lambda text: kamailio.warn(f"sipsieve: {text}\n"))
        self._geo_problems = self._geo.load(loaded.geo, time.time())
        with ownership.owner_of(os.path.dirname(self._log_path) or "."):
            self._use(revision.build(1, loaded, first.rules, geo=self._geo.table))
            self._shared = shared_memory.Shared(
                loaded.log.summary_seconds,
                f"{self._log_path}.ledger",
                loaded.limits.capacity,
                loaded.feeds.capacity if loaded.feed else 0,
            )
        self._journal = writer.Journal(self._log_path, self._shared.end)
        self._accounting = accounting.Accounting(self._shared, self._journal, self._revision.recorder)
        self._backlog = backlog.Backlog(self._shared.ledger, self._accounting.summary)
        # Counts that a killed server left behind, written at once; what can't be, with the timer's ticks.
        self._shared.ledger.collect(time.time(), everything=True)
        self._shared.ledger.attach(0)
        self._counters = self._counters_of(loaded)
        self._ban_table = ban_table.BanTable(kamailio.bans, self.never_banned, self._accounting.notice)
        self._standing = earned_standing.StandingTable(
            kamailio.standing, self._shared.memory.earned, self._accounting.notice
        )
        self._survivors = survivors.Survivors(
            self._ban_table,
            self._standing,
            lambda: self.policy,
            lambda: self._counters,
            lambda text: kamailio.warn(f"sipsieve: {text}\n"),
        )
        self._shared.broadcast.begin(1)
        self._newest = self._shared.broadcast.head
        self._board = self._shared.board
        self._started = time.time()
        self._turn = 0.0
        self._administration: admin.Administration | None = None
        self._housekeeping = self._made_for_housekeeping()
        self._failures = 0
        self._lost, self._lost_said = 0, -_SILENT
        self._errors = fail_mode.Errors()
        with ownership.owner_of(os.path.dirname(self._log_path) or "."):
            self._say_start()

    def born(self, rank: int) -> None:
        """After the fork, in each process: workers have a rank from 1 on."""
        if 0 < rank < shared_memory.WORKERS - 1:
            self._shared.ledger.attach(rank)
            self._board.attach(rank, os.getpid(), self._revision.number, time.time())
            self._turn = rank % _TURNS * _TURN
        # Chance sets machines apart: in containers that start together the same processes have the same numbers.
        self._accounting.prefix = f"{int(time.time()):x}-{os.getpid():x}{os.urandom(4).hex()}"
        if rank > 0:
            self._is_worker = True
        self.arm()
        if rank == 1 and os.path.exists(self._log_path) and not os.access(self._log_path, os.W_OK):
            # Root could write it before Kamailio became another user.
            self._kamailio.warn(f"sipsieve: {self._log_path}: cannot be written by the user that Kamailio runs as\n")

    def restore(self) -> None:
        """Takes back what outlived the last stop."""
        self._survivors.restore(time.time(), time.monotonic())

    def control(self, table: rpc_table.Table) -> None:
        """What operators asked for in this table, in the process that is for them."""
        if self._administration is None:
            self._administration = self._made_for_administration(time.time())
        self._administration.round(table, time.time, time.monotonic)

    def judged(self, error: BaseException, raw: bytes, where: str) -> model.Decision:
        """What becomes of a message on which the guard failed; `where` is `proto|address|port`."""
        proto, ip, port = where.split("|")
        trusted = self._networks.source(ip, int(port), proto.lower()).trusted
        return fail_mode.decision(error, raw, trusted, self.policy)

    def _use(self, live: revision.Revision) -> None:
        """From now on this process decides by that revision."""
        self._revision, self._number = live, live.number
        self.policy, self._networks = live.policy, live.networks
        self._engine = live.engine
        self.guard = None
        if self._is_worker:
            self.arm()

    def arm(self) -> _core.Guard:
        """Lets the core take each message first, by the revision in force."""
        live, engine = self._revision, self._engine
        plan = {
            "judge": engine.judge,
            "recorder": live.recorder.core,
            "memory": self._shared.memory,
            "feeds": self._shared.feeds if live.policy.feed else None,
            "journal": self._journal,
            "sequence": self._accounting.sequence,
            "spent": self._shared.spent,
            "budget": live.policy.log.bytes_per_second,
            "max_bytes": live.policy.log.max_bytes,
            "head": self._newest,
            "number": self._number,
            "every": _one_in(live.policy.log.allow),
            "shed_fold": live.policy.shedding.fold_percent,
            "shed_silent": live.policy.shedding.silent_percent,
            "shed_unproven": live.policy.shedding.unproven_percent,
            "shed_strangers": live.policy.shedding.strangers_per_second,
            "prefix": f"{self._accounting.prefix}-",
            **self._board.plan,
            **self._kamailio.calls(),
            "follow": self._followed,
            "failed": self.failed,
            "took": self._board.took,
            "offence": self._offence,
            "ban": self._ban,
            "standing": self._stands,
            "spared": self.never_banned,
        }
        self.guard = guard = _core.Guard(plan)
        self._kamailio.armed(guard)
        return guard

    def _followed(self) -> _core.Guard:
        """The guard to go on with, now that there is a newer revision."""
        self._follow(time.time())
        return self.guard or self.arm()

    def _follow(self, now: float) -> None:
        """Takes the newest revision, when it is this worker's turn: not all of them stand still at once."""
        broadcast = self._shared.broadcast
        if 0 <= now - broadcast.since < self._turn:
            return
        try:
            packed = broadcast.newest()
            if packed is None:
                return
            live = revision.unpack(packed, self._geo.table, self._revision.ruleset)
            self._counters = self._counters_of(live.policy)
            self._accounting.recorder = live.recorder
            self._use(live)
            self._board.switched(self._number, now)
            del packed
            process.give_back()
        except Exception as error:
            # Tried once: the old revision goes on, and the board shows who stayed behind.
            self.failed(error)
            self._number = broadcast.head[0]
            self.guard = None

    def _offence(self, key: str, scope: str) -> int:
        """Notes that a source is to be banned: for the how-manieth time; 0 where it is, or must not be."""
        return 0 if self._networks.never_banned(key) else self._counters.offence(key, model.Scope(scope))

    def _ban(self, key: str, seconds: int, rule: str, offences: int, scope: str, reason: str, now: float) -> None:
        self._ban_table.impose(model.Ban(key, seconds, rule, offences, model.Scope(scope), reason), now)

    def _stands(self, key: str, what: str, credit: int, now: float) -> None:
        self._standing.told(key, what, credit, now, self.policy)

    def never_banned(self, key: str) -> bool:
        """Whether a source, by its key, must not be banned: the policy says so, or it is the server's own or another node's."""
        return self._networks.never_banned(key) or self._kamailio.own.hold(key)

    def tick(self, now: float) -> None:
        """One second's work in the timer process."""
        if self._newest[0] != self._number:
            self._follow(now)
        self._board.attach(0, os.getpid(), self._revision.number, now)
        steady = time.monotonic()
        self._housekeeping.round(self._revision, now, steady)
        if (prometheus := self._kamailio.prometheus()) is not None:
            for update in self._housekeeping.updates(self._revision, now, steady, self._kamailio.is_off()):
                getattr(prometheus, update.call)(*update.arguments)
        lost = self._board.lost()
        if lost > self._lost and steady - self._lost_said >= _SILENT:
            more = lost - self._lost
            self._lost, self._lost_said = lost, steady
            self._kamailio.err(
                f"sipsieve: {self._log_path}: the decision log can't be written: {more} records became counts, which are kept "
                "until it can. Is the disk full, or the folder gone?\n"
            )
        try:
            self._housekeeping.write(self._revision, now)
        except OSError as error:
            self.failed(error)

    def _workers(self) -> list[tuple[scoreboard.Worker, int]]:
        """The workers with their memory in bytes; not the two timer processes of ours."""
        return [(w, process.resident(w.pid)) for w in self._board.workers() if 0 < w.place < shared_memory.WORKERS - 1]

    def _made_for_housekeeping(self) -> timer.Housekeeping:
        switch = killswitch.KillSwitch(
            self._kamailio.is_off,
            self._kamailio.turned_by,
            self._kamailio.passed,
            self._accounting.notice,
        )
        return timer.Housekeeping(
            self._shared,
            self._journal,
            self._backlog,
            self._ban_table,
            self._standing,
            self._survivors.keep_standing,
            switch,
            self._kamailio.tables,
            self._workers,
            self._accounting.notice,
            cluster.Cluster(shared) if (shared := self._kamailio.cluster) is not None else None,
        )

    def _load(self) -> tuple[policy.Policy, ruleset.Ruleset]:
        loaded = last_good.load(self._policy_path)
        last_good.keep(self._policy_path, loaded.policy, self._last_good)
        return loaded.policy, loaded.rules

    def _made_for_administration(self, now: float) -> admin.Administration:
        """In the process that operators talk to, which has the last place on the board."""
        self._board.attach(shared_memory.WORKERS - 1, os.getpid(), self._revision.number, now)
        place = admin.Place(self._policy_path, self._log_path, self._started)
        feeder = feeds.Feeder(self._shared.feeds, self._accounting.notice)
        server = admin.Server(
            place,
            self._shared,
            self._kamailio.tables.get,
            self._kamailio.standing.entries,
            self._workers,
            self._kamailio.is_off,
            lambda: self._counters,
            feeder,
            self._geo,
        )
        held = reload.Control(self._revision, self._load, self._shared.broadcast, time.time, self._geo)
        return admin.Administration(held, server, self._adopt, self._accounting.notice, self.failed)

    def _adopt(self, live: revision.Revision, now: float) -> None:
        self._accounting.recorder = live.recorder
        self._use(live)
        self._board.switched(self._number, now)
        # What rules were compiled in, some 20 MB.
        process.give_back()

    def failed(self, error: BaseException) -> None:
        """Counts an error of the guard itself, and says it in syslog, each kind once a minute."""
        self._failures += 1
        try:
            self._board.failed()
            line = self._errors.line(error, time.monotonic())
            if line:
                self._kamailio.err(f"sipsieve: {line}\n")
        except BaseException:
            self._failures += 1

    def _say_start(self) -> None:
        now, steady = time.time(), round(time.monotonic(), 6)
        self._journal.mend()
        detail = {"policy_mode": self.policy.mode, "rules": len(self._engine.ruleset.rules), "steady": steady,
                  "own": self._kamailio.own.listed(own_addresses.local_ipv4())}  # fmt: skip
        if not self._accounting.notice("start", now, detail):
            self._kamailio.warn(
                f"sipsieve: {self._log_path}: cannot be written by this user; decisions are counted, not recorded, "
                "until it can. Make its folder writable for Kamailio's user, or set SIPSIEVE_LOG.\n"
            )
        if self._broken_policy:
            said = f"the policy or its rules are broken, the last good ones of {self._last_good} are in force"
            self._kamailio.crit(f"sipsieve: {said}: {self._broken_policy}. Mend them, then `sipsieve reload`.\n")
            self._accounting.notice("last_good", now, {"reason": self._broken_policy})
        for problem in self._geo_problems:
            self._accounting.notice("geo", now, {"reason": problem[:500]})
        if not self._shared.durable:
            self._kamailio.warn(
                f"sipsieve: {self._log_path}.ledger: no such file, or memory, can be kept; what summaries count does not "
                "survive a kill. Its folder must be writable for Kamailio's user, with 13 MB left.\n"
            )
        if self._shared.memory.damaged:
            self._kamailio.warn(
                f"sipsieve: {self._log_path}.ledger was damaged, or of another version, and is now {self._log_path}"
                ".ledger.damaged; what it counted since the last summaries is not in the log. It can be deleted.\n"
            )
        self._backlog.write(now)
        if os.path.isdir(os.path.dirname(self._log_path) or "."):
            try:
                self._backlog.save(now)
            except OSError as error:
                self._kamailio.warn(
                    f"sipsieve: {self._log_path}.ledger: cannot be written: {error.strerror}; counts do not survive a stop of the machine\n"
                )
        # Each process opens the log for itself.
        self._journal.close()

    def _counters_of(self, loaded: policy.Policy) -> shared_counters.SharedCounters:
        """The engine's counters, kept in Kamailio's htables: atomic, and shared by all workers."""
        kamailio = self._kamailio
        return shared_counters.SharedCounters(
            self._shared.memory,
            kamailio.increment,
            kamailio.tables.get,
            kamailio.tables.put,
            kamailio.expire,
            time.monotonic,
            loaded.bans.capacity,
            loaded.bans.forget_seconds,
            kamailio.own.hold,
        )


def _one_in(setting: str) -> int:
    """`[log] allow` as a number: 1 each, N one in N, 0 none."""
    if setting.startswith("sample:"):
        return int(setting.partition(":")[2])
    return 1 if setting == "each" else 0
