"""sipsieve inside Kamailio: reads each message, asks the engine, carries its decision out.

The only file that touches KSR. Every entry point returns a positive integer, whatever happens:
`PASS` lets the host's routing go on, `STOP` ends the message here, `REPLACE` asks sipsieve.cfg to put
new bytes in place and to come back with `sipsieve_replaced`.
"""

from __future__ import annotations

import base64
import functools
import os
import pwd
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent


#: The Python that Kamailio embeds; packages with C code are made for just one.
_PYTHON: Final = f"python{sys.version_info.major}.{sys.version_info.minor}"


def _find_packages() -> None:
    """Puts this folder and its packages on the path, behind the standard library's first entry."""
    folders = [str(HERE)]
    inside = Path("lib", _PYTHON, "site-packages")
    named = os.environ.get("SIPSIEVE_VENV")
    for packages in (
        *([Path(named, inside)] if named else []),
        HERE.parent / ".venv" / inside,
        HERE.parent / _PYTHON,
    ):
        if packages.is_dir():
            folders.append(str(packages))
            break
    for folder in reversed(folders):
        if folder not in sys.path:
            sys.path.insert(1, folder)


def _code_of_workers() -> str:
    """A folder with our code that the workers' user may write to, where root starts Kamailio for another user by `-u`; "" without."""
    words = Path("/proc/self/cmdline").read_bytes().decode(errors="replace").split("\0")
    if os.geteuid() != 0 or "-u" not in words[:-1]:
        return ""
    name = words[words.index("-u") + 1]
    try:
        user = int(name) if name.isdigit() else pwd.getpwnam(name).pw_uid
    except KeyError:
        return ""
    for folder in (HERE, HERE / "sipsieve", *(Path(path) for path in sys.path if "site-packages" in path)):
        about = folder.stat() if folder.is_dir() else None
        if user and about and (about.st_uid == user or about.st_mode & 0o002):
            return str(folder)
    return ""


_find_packages()

import KSR  # noqa: E402

if _theirs := _code_of_workers():
    KSR.crit(
        f"sipsieve: {_theirs}: the user that Kamailio is to run as may write there, and root would run what it left. "
        f"Give the folder to root (chown -R root {_theirs}), or start Kamailio as that user.\n"
    )
    raise SystemExit(f"sipsieve: {_theirs} is not root's alone")

try:
    from sipsieve import _core, model
    from sipsieve.abuse import ban_table, earned_standing, own_addresses, shared_counters
    from sipsieve.config import policy
    from sipsieve.control import (
        accounting,
        admin,
        feeds,
        geo_files,
        killswitch,
        last_good,
        reload,
        scoreboard,
        shared_memory,
        survivors,
        timer,
    )
    from sipsieve.decision import fail_mode, revision
    from sipsieve.decision_log import backlog, writer
    from sipsieve.detection import ruleset
    from sipsieve.posix import ownership, process
except ImportError as _error:
    # Most likely an upgrade brought another Python.
    if str(HERE) == "/usr/lib/sipsieve/kemi":
        _mend = f"call `sipsieve-packages --python {_PYTHON[6:]}` as root"
    else:
        _mend = f"`{_PYTHON} -m venv DIR`, `DIR/bin/pip install -r {HERE}/requirements.txt`, SIPSIEVE_VENV=DIR"
    KSR.err(
        f"sipsieve: {_error}. Kamailio embeds {_PYTHON}, and the packages are not installed for that one. "
        f"Install them: {_mend}; then start Kamailio again.\n"
    )
    raise

PASS: Final = 1
STOP: Final = 2
REPLACE: Final = 3

#: The htables of sipsieve.cfg that are read here.
NODES: Final = "sipsieve_nodes"
PASSED: Final = "sipsieve_passed"
CONTROL: Final = "sipsieve_control"

#: The other nodes of a cluster, as address:port.
_NODES: Final = tuple(os.environ.get("SIPSIEVE_DMQ_NODES", "").split())

#: The kill switch and who turned it last, variables of sipsieve.cfg.
SWITCH: Final = "sipsieve_off"
SWITCH_BY: Final = "sipsieve_off_by"

#: Workers take a new revision one after the other, so many turns of so many seconds: all within a second.
_TURNS: Final = 16
_TURN: Final = 0.04

#: Seconds between two lines in syslog about a log that can't be written.
_SILENT: Final = 60.0


class _Table:
    """One of Kamailio's htables as a whole."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def entries(self) -> dict[str, str]:
        found: dict[str, str] = {}
        KSR.htable.sht_iterator_start("sipsieve", self._name)
        try:
            while KSR.htable.sht_iterator_next("sipsieve") > 0:
                key = KSR.pv.get("$shtitkey(sipsieve)")
                value = KSR.pv.get("$shtitval(sipsieve)")
                if key is not None and value is not None:
                    found[str(key)] = str(value)
        finally:
            KSR.htable.sht_iterator_end("sipsieve")
        return found

    def put(self, key: str, value: str) -> None:
        KSR.htable.sht_sets(self._name, key, value)

    def remove(self, key: str) -> None:
        KSR.htable.sht_rm(self._name, key)


_OWN: Final = own_addresses.OwnAddresses(
    _NODES, lambda address: bool(KSR.is_myself(address) > 0), own_addresses.local_ipv6()
)

_BANS: Final = ban_table.Access(
    _Table(shared_counters.BANS).entries,
    lambda key, value, seconds: KSR.htable.sht_setxs(shared_counters.BANS, key, value, seconds),
    lambda key: KSR.htable.sht_rm(shared_counters.BANS, key),
)


_STANDING: Final = earned_standing.Access(
    _Table(earned_standing.STANDING).entries,
    lambda key: KSR.htable.sht_get(earned_standing.STANDING, key),
    lambda key, value, seconds: KSR.htable.sht_setxs(earned_standing.STANDING, key, value, seconds),
    lambda key: KSR.htable.sht_rm(earned_standing.STANDING, key),
    KSR.htable.sht_inc,
    KSR.htable.sht_seti,
)


class Sipsieve:
    """The handler that Kamailio's app_python3 calls. A host's own KEMI class inherits it.

    A host class that has its own `__init__` or `child_init` calls ours from it.
    """

    def __init__(self) -> None:
        path = os.environ.get("SIPSIEVE_POLICY") or str(HERE / "sipsieve.toml")
        self._last_good = os.environ.get(last_good.FILE) or last_good.DEFAULT
        first = last_good.start(
            path, self._last_good, os.environ.get(last_good.STRICT) == "1", lambda text: KSR.err(f"sipsieve: {text}\n")
        )
        loaded = first.policy
        self._broken_policy = first.broken
        self._is_worker = False
        #: Reads one of Kamailio's pseudo-variables.
        self._get: Callable[[str], Any] = KSR.pv.get
        self._guard: _core.Guard | None = None
        self._policy_path = path
        self._log_path = os.environ.get("SIPSIEVE_LOG") or loaded.log.path
        self._geo = geo_files.GeoFiles(loaded.geo, lambda text: KSR.warn(f"sipsieve: {text}\n"))
        self._geo_problems = self._geo.load(loaded.geo, time.time())
        with ownership.owner_of(os.path.dirname(self._log_path) or "."):
            self._use(revision.build(1, loaded, first.rules, geo=self._geo.table))
            self._shared = shared_memory.Shared(
                loaded.log.summary_seconds,
                f"{self._log_path}.ledger",
                loaded.limits.capacity,
                loaded.feeds.capacity if loaded.feed else 0,
            )
        self._journal = writer.Journal(self._log_path, self._shared.torn)
        self._accounting = accounting.Accounting(self._shared, self._journal, self._revision.recorder)
        self._backlog = backlog.Backlog(self._shared.ledger, self._accounting.summary)
        # Counts that a killed server left behind, written at once; what can't be, with the timer's ticks.
        self._shared.ledger.collect(time.time(), everything=True)
        self._shared.ledger.attach(0)
        self._counters = _counters(self._shared, loaded)
        self._ban_table = ban_table.BanTable(_BANS, self._never_banned, self._accounting.notice)
        self._standing = earned_standing.StandingTable(_STANDING, self._shared.memory.earned, self._accounting.notice)
        self._survivors = survivors.Survivors(
            self._ban_table,
            self._standing,
            lambda: self._policy,
            lambda: self._counters,
            lambda text: KSR.warn(f"sipsieve: {text}\n"),
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
        # With an exception pending from the host's last call, Python finds what an object holds itself, but
        # not what its class does: Kamailio would report the method as missing.
        for name in dir(self):
            if name.startswith("sipsieve_"):
                setattr(self, name, getattr(self, name))

    # Kamailio's life

    def child_init(self, rank: int) -> int:
        """Called in every process after the fork."""
        try:
            if 0 < rank < shared_memory.WORKERS - 1:
                self._shared.ledger.attach(rank)
                self._board.attach(rank, os.getpid(), self._revision.number, time.time())
                self._turn = rank % _TURNS * _TURN
            self._accounting.prefix = f"{int(time.time()):x}-{os.getpid():x}"
            if rank > 0:
                self._is_worker = True
            self._arm()
            if rank == 1 and os.path.exists(self._log_path) and not os.access(self._log_path, os.W_OK):
                # Root could write it before Kamailio became another user.
                KSR.warn(f"sipsieve: {self._log_path}: cannot be written by the user that Kamailio runs as\n")
        except BaseException as error:
            self._failed(error)
        return 0

    def sipsieve_ready(self, msg: Any = None, parameter: str = "") -> int:
        """Asked by sipsieve.cfg at start: a host class that does not inherit this one has no such method.

        `parameter` says by which prefixes the native ban check is set up, as in `32|64`.
        """
        try:
            prefixes = self._policy.limits
            if parameter not in ("", f"{prefixes.ipv4_prefix}|{prefixes.ipv6_prefix}"):
                checked = parameter.replace("|", " and ")
                KSR.err(
                    f"sipsieve: the policy counts by prefixes {prefixes.ipv4_prefix} and {prefixes.ipv6_prefix}, the ban "
                    f"check of sipsieve.cfg by {checked}. Set SIPSIEVE_IPV4_{prefixes.ipv4_prefix}=1 and "
                    f"SIPSIEVE_IPV6_{prefixes.ipv6_prefix}=1 in Kamailio's environment (32 and 64 need none).\n"
                )
                return STOP
            if os.environ.get("SIPSIEVE_DMQ"):
                for node in _NODES:
                    KSR.htable.sht_seti(NODES, node, 1)
            KSR.htable.sht_seti(shared_counters.COUNTS, shared_counters.KEPT, 1)
            self._survivors.restore(time.time(), time.monotonic())
        except BaseException as error:
            self._failed(error)
        return PASS

    def sipsieve_tick(self, msg: Any = None, parameter: str = "") -> int:
        """Once a second, in a timer process: writes summaries."""
        try:
            self._tick(time.time())
        except BaseException as error:
            self._failed(error)
        return PASS

    def sipsieve_control(self, msg: Any = None, parameter: str = "") -> int:
        """Ten times a second, in a process of its own: does what operators ask for."""
        try:
            if self._administration is None:
                self._administration = self._made_for_administration(time.time())
            self._administration.round(_Table(CONTROL), time.time, time.monotonic)
        except BaseException as error:
            self._failed(error)
        return PASS

    # Messages

    def sipsieve_message(self, msg: Any, where: str = "") -> int:
        """Decides on the message at hand. `where` is `proto|address|port`; read from KSR where empty.

        Kamailio finds the core's own `message` under this name, unless a host class has its own.
        """
        guard = self._guard or self._arm()
        return guard.message(msg, where)

    def sipsieve_again(self, msg: Any, where: str = "") -> int:
        """Asked when `sipsieve_message` gave no usable code: an exception that the host's last call left
        pending makes the interpreter report ours as failed, though it had done its work."""
        return (self._guard or self._arm()).again(msg, where)

    def sipsieve_replaced(self, msg: Any, where: str = "") -> int:
        """Asked after sipsieve.cfg put the scrubbed bytes in place: looks whether they are, and records."""
        return (self._guard or self._arm()).replaced(msg, where)

    def sipsieve_unparsable(self, msg: Any, where: str = "") -> int:
        """Records a message that Kamailio's parser refused. Never answers: that would crash the server."""
        return (self._guard or self._arm()).unparsable(msg, where)

    def ksr_request_route(self, msg: Any) -> int:
        """For `cfgengine "python"` without own routing: decides, then lets `sipsieve_accepted` go on."""
        if self._passes() or self.sipsieve_message(msg) == PASS:
            try:
                self.sipsieve_accepted(msg)
            except BaseException as error:
                self._failed(error)
        return PASS

    def ksr_reply_route(self, msg: Any) -> int:
        """For `cfgengine "python"`: decides on a reply."""
        if not self._passes() and self.sipsieve_message(msg) != PASS:
            KSR.set_drop()
        return PASS

    def sipsieve_accepted(self, msg: Any) -> None:
        """What becomes of an accepted request under `cfgengine "python"`: a host overrides this."""
        KSR.sl.sl_send_reply(200, "OK")

    # What the entry points do

    def _use(self, live: revision.Revision) -> None:
        """From now on this process decides by that revision."""
        self._revision, self._number = live, live.number
        self._policy, self._networks = live.policy, live.networks
        self._engine = live.engine
        self._guard = None
        if self._is_worker:
            self._arm()

    def _arm(self) -> _core.Guard:
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
            "get": self._get,
            "follow": self._followed,
            "broken": self._broken,
            "failed": self._failed,
            "in_transaction": _in_transaction,
            "pending": _say_pending,
            "took": self._board.took,
            "offence": self._offence,
            "ban": self._ban,
            "standing": self._stands,
            "answerable": _answerable,
            "answer": _answer,
            "replace": _replace,
            "spared": self._never_banned,
        }
        self._guard = guard = _core.Guard(plan)
        if type(self).sipsieve_message is Sipsieve.sipsieve_message:
            self.sipsieve_message = guard.message  # type: ignore[method-assign]
        return guard

    def _followed(self) -> _core.Guard:
        """The guard to go on with, now that there is a newer revision."""
        self._follow(time.time())
        return self._guard or self._arm()

    def _follow(self, now: float) -> None:
        """Takes the newest revision, when it is this worker's turn: not all of them stand still at once."""
        broadcast = self._shared.broadcast
        if 0 <= now - broadcast.since < self._turn:
            return
        try:
            packed = broadcast.newest()
            if packed is None:
                return
            live = revision.unpack(packed, self._geo.table)
            self._counters = _counters(self._shared, live.policy)
            self._accounting.recorder = live.recorder
            self._use(live)
            self._board.switched(self._number, now)
            del packed
            process.give_back()
        except Exception as error:
            # Tried once: the old revision goes on, and the board shows who stayed behind.
            self._failed(error)
            self._number = broadcast.head[0]
            self._guard = None

    def _passes(self) -> bool:
        """Whether inspection is off; under `cfgengine "python"` no native route asks that."""
        try:
            return _is_off() and KSR.htable.sht_inc(PASSED, "all") is not None
        except BaseException as error:
            self._failed(error)
            return False

    def _offence(self, key: str, scope: str) -> int:
        """Notes that a source is to be banned: for the how-manieth time; 0 where it is, or must not be."""
        return 0 if self._networks.never_banned(key) else self._counters.offence(key, model.Scope(scope))

    def _ban(self, key: str, seconds: int, rule: str, offences: int, scope: str, reason: str, now: float) -> None:
        self._ban_table.impose(model.Ban(key, seconds, rule, offences, model.Scope(scope), reason), now)

    def _stands(self, key: str, what: str, credit: int, now: float) -> None:
        self._standing.told(key, what, credit, now, self._policy)

    def _never_banned(self, key: str) -> bool:
        return self._networks.never_banned(key) or _OWN.hold(key)

    def _tick(self, now: float) -> None:
        if self._newest[0] != self._number:
            self._follow(now)
        self._board.attach(0, os.getpid(), self._revision.number, now)
        steady = time.monotonic()
        self._housekeeping.round(self._revision, now, steady)
        if (prometheus := getattr(KSR, "xhttp_prom", None)) is not None:
            for update in self._housekeeping.updates(self._revision, now, steady, _is_off()):
                getattr(prometheus, update.call)(*update.arguments)
        lost = self._board.lost()
        if lost > self._lost and steady - self._lost_said >= _SILENT:
            more = lost - self._lost
            self._lost, self._lost_said = lost, steady
            KSR.err(
                f"sipsieve: {self._log_path}: the decision log can't be written: {more} records became counts, which are kept "
                "until it can. Is the disk full, or the folder gone?\n"
            )
        try:
            self._housekeeping.write(now)
        except OSError as error:
            self._failed(error)

    def _workers(self) -> list[tuple[scoreboard.Worker, int]]:
        """The workers with their memory in bytes; not the two timer processes of ours."""
        return [(w, process.resident(w.pid)) for w in self._board.workers() if 0 < w.place < shared_memory.WORKERS - 1]

    def _made_for_housekeeping(self) -> timer.Housekeeping:
        tables = timer.Tables(
            lambda name: _Table(name).entries(),
            KSR.htable.sht_get,
            KSR.htable.sht_seti,
            lambda name: KSR.htable.sht_reset(name),
        )
        switch = killswitch.KillSwitch(
            _is_off,
            lambda: KSR.pvx.shv_get(SWITCH_BY),
            lambda: KSR.htable.sht_get(PASSED, "all") or 0,
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
            tables,
            self._workers,
            self._accounting.notice,
        )

    # Operators

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
            KSR.htable.sht_get,
            _STANDING.entries,
            self._workers,
            _is_off,
            lambda: self._counters,
            feeder,
            self._geo,
        )
        held = reload.Control(self._revision, self._load, self._shared.broadcast, time.time, self._geo)
        return admin.Administration(held, server, self._adopt, self._accounting.notice, self._failed)

    def _adopt(self, live: revision.Revision, now: float) -> None:
        self._accounting.recorder = live.recorder
        self._use(live)
        self._board.switched(self._number, now)

    # Failures

    def _broken(self, error: BaseException) -> int:
        """A message on which the guard itself failed: `[failure]` says what becomes of it."""
        self._failed(error)
        try:
            raw = _raw()
            where = f"{KSR.pv.get('$proto')}|{KSR.pv.get('$si')}|{KSR.pv.get('$sp')}"
            proto, ip, port = where.split("|")
            trusted = self._networks.source(ip, int(port), proto.lower()).trusted
            decided = fail_mode.decision(error, raw, trusted, self._policy)
            passes = decided.verdict is model.Verdict.ALLOW
            return (self._guard or self._arm()).fail(where, raw, passes, decided.status, decided.reason)
        except BaseException as second:
            self._failed(second)
        return STOP

    def _failed(self, error: BaseException) -> None:
        self._failures += 1
        try:
            self._board.failed()
            line = self._errors.line(error, time.monotonic())
            if line:
                KSR.err(f"sipsieve: {line}\n")
        except BaseException:
            self._failures += 1

    def _say_start(self) -> None:
        now, steady = time.time(), round(time.monotonic(), 6)
        self._journal.mend()
        detail = {"policy_mode": self._policy.mode, "rules": len(self._engine.ruleset.rules), "steady": steady,
                  "own": _OWN.listed(own_addresses.local_ipv4())}  # fmt: skip
        if not self._accounting.notice("start", now, detail):
            KSR.warn(
                f"sipsieve: {self._log_path}: cannot be written by this user; decisions are counted, not recorded, "
                "until it can. Make its folder writable for Kamailio's user, or set SIPSIEVE_LOG.\n"
            )
        if self._broken_policy:
            said = f"the policy or its rules are broken, the last good ones of {self._last_good} are in force"
            KSR.crit(f"sipsieve: {said}: {self._broken_policy}. Mend them, then `sipsieve reload`.\n")
            self._accounting.notice("last_good", now, {"reason": self._broken_policy})
        for problem in self._geo_problems:
            self._accounting.notice("geo", now, {"reason": problem[:500]})
        if not self._shared.durable:
            KSR.warn(
                f"sipsieve: {self._log_path}.ledger: no such file, or memory, can be kept; what summaries count does not "
                "survive a kill. Its folder must be writable for Kamailio's user, with 13 MB left.\n"
            )
        if self._shared.memory.damaged:
            KSR.warn(
                f"sipsieve: {self._log_path}.ledger was damaged, or of another version, and is now {self._log_path}"
                ".ledger.damaged; what it counted since the last summaries is not in the log. It can be deleted.\n"
            )
        self._backlog.write(now)
        if os.path.isdir(os.path.dirname(self._log_path) or "."):
            try:
                self._backlog.save(now)
            except OSError as error:
                KSR.warn(
                    f"sipsieve: {self._log_path}.ledger: cannot be written: {error.strerror}; counts do not survive a stop of the machine\n"
                )
        # Each process opens the log for itself.
        self._journal.close()


def _counters(memory: shared_memory.Shared, loaded: policy.Policy) -> shared_counters.SharedCounters:
    """The engine's counters, kept in Kamailio's htables: atomic, and shared by all workers."""
    return shared_counters.SharedCounters(
        memory.memory,
        KSR.htable.sht_inc,
        KSR.htable.sht_get,
        KSR.htable.sht_seti,
        KSR.htable.sht_setex,
        time.monotonic,
        loaded.bans.capacity,
        loaded.bans.forget_seconds,
        _OWN.hold,
    )


def _say_pending() -> None:
    """The host's last Python call left an exception pending (Kamailio 5.6 reports a failed call and leaves it so)."""
    KSR.err("sipsieve: the host's last Python call left an exception pending\n")


def _one_in(setting: str) -> int:
    """`[log] allow` as a number: 1 each, N one in N, 0 none."""
    if setting.startswith("sample:"):
        return int(setting.partition(":")[2])
    return 1 if setting == "each" else 0


def _raw(get: Callable[[str], str] = KSR.pv.get) -> bytes:
    """The message as received, byte for byte."""
    try:
        return get("$mb").encode()
    except UnicodeDecodeError as error:
        return error.object


def _is_text(value: bytes) -> bool:
    """Whether KSR can take these bytes as a string: UTF-8 without NUL."""
    if b"\0" in value:
        return False
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_off() -> bool:
    """Whether the kill switch is thrown."""
    return bool(KSR.pvx.shv_get(SWITCH) == 1)


def _answerable() -> bool:
    """Whether Kamailio can answer the request at hand: a reply to a message without a Via crashes Kamailio 5.6. Where a
    header field could not be read, those before it are not present either, and no reply could be built."""
    return bool(KSR.hdr.is_present("Via") > 0 and KSR.hdr.is_present("To") > 0)


def _answer(status: int, phrase: str, retry_after: int) -> None:
    """Answers the request at hand; `retry_after` in seconds, 0 for none."""
    if retry_after:
        KSR.hdr.append_to_reply(f"Retry-After: {retry_after}\r\n")
    KSR.sl.sl_send_reply(status, phrase)


def _replace(new: bytes, by_route: bool) -> int:
    """Puts new bytes in the message's place: 0 done, 1 can't be done, 2 sipsieve.cfg does it, which asks again then."""
    if _is_text(new):
        return 0 if KSR.textopsx.msg_set_buffer(new.decode()) > 0 else 1
    if not by_route:
        return 1
    # Only native code can set bytes that are not UTF-8: it decodes this.
    KSR.pv.sets("$var(sipsieve_new)", base64.b64encode(new).decode())
    return 2


@functools.cache
def _tm() -> Any:
    """The tm module, None without. Asked once: Python is slow to say that something is not there."""
    return getattr(KSR, "tm", None)


def _in_transaction() -> bool | None:
    """Whether the reply at hand answers a transaction of this server; None without the tm module."""
    tm = _tm()
    return None if tm is None else tm.t_check_trans() > 0


def mod_init() -> Sipsieve:
    """What app_python3 calls to get its handler."""
    try:
        return Sipsieve()
    except (policy.PolicyError, ruleset.RuleError) as error:
        # app_python3 prints a traceback; the line that matters comes last and readable.
        KSR.err(f"sipsieve: {error}\n")
        raise SystemExit(f"sipsieve: {error}") from None
