"""sipsieve inside Kamailio: reads each message, asks the engine, carries its decision out.

The only file that touches KSR. Every entry point returns a positive integer, whatever happens:
`PASS` lets the host's routing go on, `STOP` ends the message here, `REPLACE` asks sipsieve.cfg to put
new bytes in place and to come back with `sipsieve_replaced`.
"""

from __future__ import annotations

import base64
import ctypes
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from sipsieve._native import FastPath
    from sipsieve.shape import Shape

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


_find_packages()

import KSR  # noqa: E402

try:
    from sipsieve import (
        answered,
        bans,
        challenge,
        compiled,
        control,
        counting,
        edition,
        fastpath,
        folding,
        journal,
        ledger,
        limits,
        metrics,
        model,
        native,
        ownership,
        policy,
        record,
        requests,
        ruleset,
        scoreboard,
        shared,
        sieve,
        status,
        warden,
    )
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
BANNED: Final = "sipsieve_banned"
SEEN: Final = "sipsieve_seen"
NODES: Final = "sipsieve_nodes"

#: The other nodes of a cluster, as address:port.
_NODES: Final = tuple(os.environ.get("SIPSIEVE_DMQ_NODES", "").split())
PASSED: Final = "sipsieve_passed"

#: The kill switch and who turned it last, variables of sipsieve.cfg.
SWITCH: Final = "sipsieve_off"
SWITCH_BY: Final = "sipsieve_off_by"

CONTROL: Final = "sipsieve_control"

#: Workers take a new edition one after the other, so many turns of so many seconds: all within a second.
_TURNS: Final = 16
_TURN: Final = 0.04

#: One decision in 64 is timed: two looks at the clock cost more than the rest of the account.
_TIMED: Final = 63

_ALLOW: Final = model.Verdict.ALLOW
_NOTHING: Final = (b"", "")

#: Seconds between exports of metrics: more often than Prometheus asks.
_EXPORT_EVERY: Final = 5

#: Summaries that could not be written yet, kept by the timer process; older ones are given up and counted.
_PENDING: Final = 10_000


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


class Sipsieve:
    """The handler that Kamailio's app_python3 calls. A host's own KEMI class inherits it.

    A host class that has its own `__init__` or `child_init` calls ours from it.
    """

    def __init__(self) -> None:
        path = os.environ.get("SIPSIEVE_POLICY") or str(HERE / "sipsieve.toml")
        loaded = policy.load(path)
        self._is_worker = False
        self._fast: FastPath | None = None
        self._policy_path = path
        self._log_path = os.environ.get("SIPSIEVE_LOG") or loaded.log.path
        self._kept = os.environ.get("SIPSIEVE_CACHE") or f"{self._log_path}.patterns"
        with ownership.owner_of(os.path.dirname(self._log_path) or "."):
            # Compiling takes seconds; what has not changed since the last start is not compiled again.
            with compiled.kept(self._kept):
                self._use(
                    edition.build(
                        1, loaded, ruleset.load(own=loaded.detection.rules, exceptions=loaded.detection.exceptions)
                    )
                )
            self._shared = shared.Shared(loaded.log.summary_seconds, f"{self._log_path}.ledger", loaded.limits.capacity)
        self._tally = self._shared.ledger.tally
        # Counts that a killed server left behind, written at once; what can't be, with the timer's ticks.
        self._pending: list[ledger.Entry] = self._shared.ledger.drain(time.time(), everything=True)
        self._shared.ledger.attach(0)
        self._counters = _counters(self._shared, loaded)
        self._warden = warden.Warden(self._never_banned)
        self._folding = folding.Folding()
        self._overflow = (0, 0)
        self._journal = journal.Journal(self._log_path, self._shared.journal)
        self._shared.publication.begin(1)
        self._newest = self._shared.publication.head
        self._board = self._shared.board
        self._started = time.time()
        self._turn = 0.0
        self._control: control.Control | None = None
        self._exporter = metrics.Exporter()
        self._notices: list[tuple[str, dict[str, Any], float]] = []
        #: The number of this process's last record, where the fast path finds it too.
        self._sequence = memoryview(bytearray(8)).cast("Q")
        self._allowed = 0
        self._result = 0
        self._asked = (b"", "")
        self._scrubbed: tuple[model.Decision, bytes, model.Source, float] | None = None
        self._banned: dict[str, int] = {}
        self._switch = (False, "start")
        self._passed = 0
        self._passed_since = 0.0
        self._given_up = 0
        self._failures = 0
        self._prefix = ""
        with ownership.owner_of(os.path.dirname(self._log_path) or "."):
            self._say_start()
        self._looked_at = self.sipsieve_message
        # With an exception pending from the host's last call, Python finds what an object holds itself, but
        # not what its class does: Kamailio would report the method as missing.
        for name in dir(self):
            if name.startswith("sipsieve_"):
                setattr(self, name, getattr(self, name))

    # Kamailio's life

    def child_init(self, rank: int) -> int:
        """Called in every process after the fork."""
        try:
            if 0 < rank < shared.WORKERS - 1:
                self._shared.ledger.attach(rank)
                self._board.attach(rank, os.getpid(), self._edition.number, time.time())
                self._turn = rank % _TURNS * _TURN
            self._prefix = f"{int(time.time()):x}-{os.getpid():x}"
            if rank > 0:
                self._is_worker = True
                self._hasten()
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
            limits = self._policy.limits
            if parameter not in ("", f"{limits.ipv4_prefix}|{limits.ipv6_prefix}"):
                native = parameter.replace("|", " and ")
                KSR.err(
                    f"sipsieve: the policy counts by prefixes {limits.ipv4_prefix} and {limits.ipv6_prefix}, the ban "
                    f"check of sipsieve.cfg by {native}. Set SIPSIEVE_IPV4_{limits.ipv4_prefix}=1 and "
                    f"SIPSIEVE_IPV6_{limits.ipv6_prefix}=1 in Kamailio's environment (32 and 64 need none).\n"
                )
                return STOP
            if os.environ.get("SIPSIEVE_DMQ"):
                for node in _NODES:
                    KSR.htable.sht_seti(NODES, node, 1)
            KSR.htable.sht_seti(counting.COUNTS, counting.KEPT, 1)
            self._restore_bans(time.time())
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
            now = time.time()
            if self._control is None:
                self._control = control.Control(
                    self._edition, self._load, self._shared.publication, self._kept, time.time
                )
                self._board.attach(shared.WORKERS - 1, os.getpid(), self._edition.number, now)
            if over := self._control.expire(now):
                self._note(over, now)
            requests.serve(_Table(CONTROL), lambda asked: self._asked_for(asked, time.time()))
            self._write_notices(now)
        except BaseException as error:
            self._failed(error)
        return PASS

    # Messages

    def sipsieve_message(self, msg: Any, where: str = "") -> int:
        """Decides on the message at hand. `where` is `proto|address|port`; read from KSR where empty."""
        self._result, self._asked = 0, _NOTHING
        try:
            _settle()
            result = self._message(where)
        except BaseException as error:
            result = self._broken(error)
        self._result = result
        return result

    def sipsieve_again(self, msg: Any, where: str = "") -> int:
        """Asked when `sipsieve_message` gave no usable code: an exception that the host's last call left
        pending makes the interpreter report ours as failed, though it had done its work."""
        try:
            if self._result and self._asked == (_raw(), where):
                return self._result
        except BaseException as error:
            self._failed(error)
        return self.sipsieve_message(msg, where)

    def sipsieve_replaced(self, msg: Any, where: str = "") -> int:
        """Asked after sipsieve.cfg put the scrubbed bytes in place: looks whether they are, and records."""
        try:
            scrubbed, self._scrubbed = self._scrubbed, None
            if scrubbed is None:
                raise RuntimeError("asked about a scrub that was not begun")
            decision, raw, source, now = scrubbed
            if _raw() == decision.replacement:
                self._record(decision, raw, source, now)
                result = PASS
            else:
                result = self._finish(_unscrubbed(decision), raw, source, now)
        except BaseException as error:
            result = self._broken(error)
        self._result = result
        return result

    def sipsieve_unparsable(self, msg: Any, where: str = "") -> int:
        """Records a message that Kamailio's parser refused. Never answers: that would crash the server."""
        try:
            now = time.time()
            if self._newest[0] != self._number:
                self._follow(now)
            raw = _raw()
            source = self._source(where)
            decision = self._engine.decide(raw, source, time.monotonic(), self._counters, unparsable=True)
            self._ban(decision, source, now)
            self._record(decision, raw, source, now)
        except BaseException as error:
            self._failed(error)
        return PASS

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

    def _use(self, live: edition.Edition) -> None:
        """From now on this process decides by that edition."""
        self._edition, self._number = live, live.number
        self._policy, self._networks = live.policy, live.networks
        self._engine, self._recorder = live.engine, live.recorder
        self._every = _allow_every(live.policy.log.allow)
        self._sources: dict[str, model.Source] = {}
        if self._is_worker:
            self._hasten()

    def _hasten(self) -> None:
        """Lets the compiled fast path take ordinary messages first, where it is built."""
        log, known, fixed = self._policy.log, self._engine.shapes.table, self._recorder.allowed()
        # Sampled records and those with masks are made here.
        if native.module is None or not isinstance(known, native.module.KnownShapes) or (self._every and not fixed):
            self._fast = None
            self.sipsieve_message = self._looked_at
            return
        plan = fastpath.Plan(
            get=KSR.pv.get,
            slow=self._looked_at,
            opened=self._counters.opened,
            over=self._judged,
            tally=self._place,
            write=self._write,
            second=record.second,
            took=self._board.took,
            failed=self._failed,
            in_transaction=_in_transaction,
            body_is_plain=self._edition.ruleset.body_is_plain,
            counts=self._shared.counts,
            head=self._newest,
            crowded=self._counters.crowded,
            copies=self._counters.retransmissions.words,
            marks=self._counters.marks.buffer,
            answered=self._counters.answered.words,
            ledger=self._shared.ledger.words,
            clock=self._shared.ledger.clock,
            sequence=self._sequence,
            secret=native.SECRET,
            methods=sieve.METHODS,
            counters=limits.COUNTERS,
            number=self._number,
            sdp=self._policy.detection.sdp,
            interval=log.summary_seconds,
            life=answered.LIFE,
            nonce_life=challenge.NONCE_LIFE,
            retransmissions=limits.RETRANSMISSIONS,
            every=self._every,
            most_senders=fastpath.MOST_SENDERS,
            fixed=fixed,
            prefix=f"{self._prefix}-".encode(),
        )
        self._fast = native.module.FastPath(plan, known)
        self.sipsieve_message = self._fast.message

    def _follow(self, now: float) -> None:
        """Takes the newest edition, when it is this worker's turn: not all of them stand still at once."""
        publication = self._shared.publication
        if 0 <= now - publication.since < self._turn:
            return
        try:
            packed = publication.newest()
            if packed is None:
                return
            live = edition.unpack(packed)
            self._counters = _counters(self._shared, live.policy)
            self._use(live)
            self._board.switched(self._number, now)
            del packed
            _give_back()
        except Exception as error:
            # Tried once: the old edition goes on, and the board shows who stayed behind.
            self._number = publication.head[0]
            self._hasten()
            self._failed(error)

    def _passes(self) -> bool:
        """Whether inspection is off; under `cfgengine "python"` no native route asks that."""
        try:
            return _is_off() and KSR.htable.sht_inc(PASSED, "all") is not None
        except BaseException as error:
            self._failed(error)
            return False

    def _judged(self, where: str, shape: Shape, name: str, count: int) -> int:
        """Goes on with a message that the fast path has counted."""
        self._result, self._asked = 0, _NOTHING
        try:
            now, raw = time.time(), _raw()
            self._asked = (raw, where)
            source = self._sources.get(where) or self._source(where)
            decision = self._engine.counted(raw, shape, name, count, source, time.monotonic(), self._counters)
            result = self._carry_out(decision, raw, source, where, now)
        except BaseException as error:
            result = self._broken(error)
        self._result = result
        return result

    def _place(self, source: model.Source, method: str, now: float) -> int:
        """Counts a message that the fast path passed, and says where the next ones are counted."""
        self._count(source, method, "allow", now)
        return self._shared.ledger.place(source.ip, method, "allow", source.transport)

    def _write(self, line: bytes, now: float, source: model.Source, method: str) -> None:
        """Writes the record of a message that the fast path passed."""
        if self._journal.append(line, now):
            self._board.count(method, "allow", source.transport)
        else:
            self._count(source, method, "allow", now)
        self._board.journal(self._journal.written, self._journal.lost)

    def _message(self, where: str) -> int:
        now = time.time()
        if self._newest[0] != self._number:
            self._follow(now)
        raw = _raw()
        self._asked = (raw, where)
        source = self._sources.get(where) or self._source(where)
        decision = self._engine.decide(raw, source, time.monotonic(), self._counters, _in_transaction)
        return self._carry_out(decision, raw, source, where, now)

    def _carry_out(self, decision: model.Decision, raw: bytes, source: model.Source, where: str, now: float) -> int:
        if decision.verdict is _ALLOW and not decision.findings:
            if decision.ban is not None:
                self._ban(decision, source, now)
            self._allowed += 1
            if not self._allowed & _TIMED:
                self._board.took(time.time() - now)
            if self._every and self._allowed % self._every == 0:
                self._record(decision, raw, source, now)
            elif left := self._tally(source.ip, decision.method, "allow", now, source.transport, ""):
                self._pass_on(left, now)
            return PASS
        if decision.enforced and decision.verdict is model.Verdict.SCRUB:
            replacement = decision.replacement or b""
            if _is_text(replacement):
                if KSR.textopsx.msg_set_buffer(replacement.decode()) < 0:
                    decision = _unscrubbed(decision)
            elif where:
                # Only native code can set bytes that are not UTF-8: it decodes this and asks again.
                KSR.pv.sets("$var(sipsieve_new)", base64.b64encode(replacement).decode())
                self._scrubbed = (decision, raw, source, now)
                return REPLACE
            else:
                decision = _unscrubbed(decision)
        return self._finish(decision, raw, source, now)

    def _finish(self, decision: model.Decision, raw: bytes, source: model.Source, now: float) -> int:
        """Bans, records and answers, in this order: what was answered is in the log, whoever is killed when."""
        result = PASS
        self._ban(decision, source, now)
        if decision.enforced and decision.verdict in (model.Verdict.REJECT, model.Verdict.DROP):
            result = STOP
            if decision.status and not _answerable():
                decision = decision._replace(
                    verdict=model.Verdict.DROP, status=0, reason=f"{decision.reason}; no answer could be built"
                )
        if not self._sequence[0] & _TIMED:
            self._board.took(time.time() - now)
        self._record(decision, raw, source, now)
        if result == STOP and decision.status:
            if decision.retry_after:
                KSR.hdr.append_to_reply(f"Retry-After: {decision.retry_after}\r\n")
            KSR.sl.sl_send_reply(decision.status, decision.phrase)
        return result

    def _source(self, where: str) -> model.Source:
        if not where:
            where = f"{KSR.pv.get('$proto')}|{KSR.pv.get('$si')}|{KSR.pv.get('$sp')}"
        proto, ip, port = where.split("|")
        if len(self._sources) >= fastpath.MOST_SENDERS:
            self._sources.clear()
        source = self._sources[where] = self._networks.source(ip, int(port), proto.lower())
        if self._fast is not None:
            self._fast.meet(where, *fastpath.sender(source, self._engine.limits))
        return source

    def _ban(self, decision: model.Decision, source: model.Source, now: float) -> None:
        ban = decision.ban
        if ban is None:
            return
        until = int(now) + ban.seconds
        self._put_ban(bans.Entry(ban.key, ban.rule, int(now), until, ban.offences, ban.udp_only, ban.reason), now)
        # fail2ban reads this line: its first fields stand in this order.
        detail = {
            "network": str(bans.network(ban.key)),
            "source": ban.key,
            "rule": ban.rule,
            "seconds": ban.seconds,
            "offences": ban.offences,
            "udp_only": ban.udp_only,
            "reason": ban.reason,
        }
        self._journal.append(self._recorder.notice("ban", now, detail), now)

    def _put_ban(self, entry: bans.Entry, now: float) -> None:
        KSR.htable.sht_setxs(counting.BANS, entry.key, entry.value, max(1, entry.until - int(now)))

    def _never_banned(self, key: str) -> bool:
        return self._networks.never_banned(key) or _is_own(key)

    def _restore_bans(self, now: float) -> None:
        """What `sipsieve bans keep` wrote before the server stopped."""
        path = os.environ.get("SIPSIEVE_STATE") or self._policy.bans.state
        try:
            with open(path, encoding="ascii") as file:
                text = file.read(bans.MAX_STATE)
            entries = bans.restore(text, now, self._policy.bans.capacity)
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            KSR.warn(f"sipsieve: {path}: bans could not be restored ({type(error).__name__}); starting without them\n")
            return
        for entry in entries:
            if not self._never_banned(entry.key):
                self._put_ban(entry, now)
                self._counters.remember_offence(entry.key, entry.udp_only, entry.offences)

    def _watch_bans(self, now: float) -> None:
        """Once a second: lifts what must not be banned, and mends what a clock that was set did."""
        table = _Table(counting.BANS).entries()
        removals, puts, stepped = self._warden.look(table, now, time.monotonic())
        for key, why in removals:
            KSR.htable.sht_rm(counting.BANS, key)
            self._journal.append(self._recorder.notice("unban", now, {"source": key[:64], "reason": why}), now)
        if stepped:
            # Counters would stay, or go, by as much as the clock was set.
            KSR.htable.sht_reset(counting.COUNTS)
            self._journal.append(self._recorder.notice("clock", now, {"reason": "the clock was set"}), now)
        for entry in puts:
            self._put_ban(entry, now)
        KSR.htable.sht_seti(counting.COUNTS, counting.LIVE_BANS, len(table) - len(removals))
        window = int(time.monotonic()) // 60
        shared_by = self._counters.get(f"overflow:{window}")
        known = self._overflow[1] if self._overflow[0] == window else 0
        if shared_by > known:
            detail = {"requests": shared_by - known, "reason": "more sources than [limits] capacity share counters"}
            self._journal.append(self._recorder.notice("overflow", now, detail), now)
        self._overflow = (window, shared_by)

    # Accounts

    def _record(self, decision: model.Decision, raw: bytes, source: model.Source, now: float) -> None:
        verdict = "error" if decision.error else str(decision.verdict)
        if decision.findings:
            rule = decision.findings[0].rule
            if not self._folding.writes((source.key, decision.method, verdict, rule), now):
                method = decision.method[:16] if decision.method.isalnum() else ""
                self._board.found(finding.family for finding in decision.findings)
                self._count(source, method, verdict, now, rule[:26])
                return
        self._sequence[0] += 1
        line = self._recorder.decision(decision, raw, source, now, f"{self._prefix}-{self._sequence[0]:x}")
        if self._journal.append(line, now):
            self._board.count(decision.method, verdict, source.transport)
        else:
            # What has no record becomes a count, and the count is written when writing works again.
            self._count(source, decision.method, verdict, now)
        if decision.findings:
            self._board.found(finding.family for finding in decision.findings)
        self._board.journal(self._journal.written, self._journal.lost)

    def _count(self, source: model.Source, method: str, verdict: str, now: float, rule: str = "") -> None:
        self._pass_on(self._tally(source.ip, method, verdict, now, source.transport, rule), now)

    def _pass_on(self, left: list[ledger.Entry], now: float) -> None:
        """Writes counts that the timer process did not fetch in time."""
        for entry in left:
            self._board.count(entry.method, entry.verdict, entry.transport, entry.messages)
            self._summary(entry, now)

    def _summary(self, entry: ledger.Entry, now: float) -> bool:
        line = self._recorder.summary(
            entry.ip, entry.method, entry.verdict, entry.messages, entry.first, entry.last, now, entry.rule
        )
        return self._journal.append(line, now)

    def _tick(self, now: float) -> None:
        if self._newest[0] != self._number:
            self._follow(now)
        self._board.attach(0, os.getpid(), self._edition.number, now)
        known = len(self._pending)
        self._pending += self._shared.ledger.drain(now)
        self._pending += self._drops(now)
        self._watch_bans(now)
        self._watch_counts()
        self._watch_switch(now)
        for entry in self._pending[known:]:
            self._board.count(entry.method, entry.verdict, entry.transport, entry.messages)
        self._board.journal(self._journal.written, self._journal.lost)
        if (prometheus := getattr(KSR, "xhttp_prom", None)) is not None and not int(now) % _EXPORT_EVERY:
            self._export(prometheus)
        done = 0
        for entry in self._pending:
            if not self._summary(entry, now):
                break
            done += 1
        del self._pending[:done]
        if len(self._pending) > _PENDING:
            given_up = self._pending[:-_PENDING]
            del self._pending[:-_PENDING]
            self._given_up += sum(entry.messages for entry in given_up)
        if self._given_up and self._journal.append(
            self._recorder.notice(
                "lost", now, {"count": self._given_up, "reason": "the decision log could not be written"}
            ),
            now,
        ):
            self._given_up = 0

    def _export(self, prometheus: Any) -> None:
        get, counts = KSR.htable.sht_get, counting.COUNTS
        window = int(time.monotonic()) // limits.WINDOW
        for number in (window - 1, window):
            self._exporter.overflowed(number, get(counts, f"overflow:{number}") or 0)
        state = {
            metrics.BANS: get(counts, counting.LIVE_BANS) or 0,
            metrics.TRACKED: get(counts, f"cells:{window}") or 0,
            metrics.INSPECTION: int(not _is_off()),
        }
        updates = self._exporter.updates(self._board.totals(), self._workers(), self._edition.versions, state)
        for update in updates:
            getattr(prometheus, update.call)(*update.arguments)

    def _workers(self) -> list[tuple[scoreboard.Worker, int]]:
        """The workers with their memory in bytes; not the two timer processes of ours."""
        return [(w, _resident(w.pid)) for w in self._board.workers() if 0 < w.place < shared.WORKERS - 1]

    def _drops(self, now: float) -> list[ledger.Entry]:
        """What the native ban check dropped since the last look."""
        counts = {key: int(value) for key, value in _Table(BANNED).entries().items()}
        entries = []
        for key, count in counts.items():
            # An entry that expired and began anew stands lower than before.
            before = self._banned.get(key, 0)
            more = count - before if count >= before else count
            if more:
                entries.append(ledger.Entry(key, "", "banned", more, now - 1, now))
                KSR.htable.sht_seti(SEEN, key, int(now))
        self._banned = counts
        return entries

    def _watch_counts(self) -> None:
        """Once a second: `htable.flush sipsieve_counts` forgets the native counters too."""
        if self._shared.counts is not None and not KSR.htable.sht_get(counting.COUNTS, counting.KEPT):
            self._shared.counts.forget()
        KSR.htable.sht_seti(counting.COUNTS, counting.KEPT, 1)

    def _watch_switch(self, now: float) -> None:
        """Writes who turned inspection off or on, and counts what passed while it was off."""
        switch = (_is_off(), _text(KSR.pvx.shv_get(SWITCH_BY)))
        # Turned twice between two looks, the text alone tells of it.
        if switch != self._switch and self._journal.append(
            self._recorder.notice("off" if switch[0] else "on", now, {"reason": switch[1]}), now
        ):
            self._switch = switch
            self._passed_since = 0.0
        if now - self._passed_since >= self._policy.log.summary_seconds:
            passed = KSR.htable.sht_get(PASSED, "all") or 0
            # Kamailio counts in 32 bits.
            if more := (passed - self._passed) & 0xFFFFFFFF:
                self._pending.append(ledger.Entry(*ledger.OVERFLOW, "off", more, self._passed_since or now, now))
            self._passed = passed
            self._passed_since = now

    # Operators

    def _load(self) -> tuple[policy.Policy, ruleset.Ruleset]:
        with compiled.kept(self._kept):
            loaded = policy.load(self._policy_path)
            return loaded, ruleset.load(own=loaded.detection.rules, exceptions=loaded.detection.exceptions)

    def _asked_for(self, asked: Mapping[str, Any], now: float) -> Mapping[str, Any]:
        assert self._control is not None
        try:
            if asked.get("do") == "status":
                return self._status(now)
            if asked.get("do") == "source":
                return self._standing(str(asked.get("ip", "")))
            answer = self._control.handle(asked, now)
        except Exception as error:
            self._failed(error)
            return {"ok": False, "error": f"{type(error).__name__}: {error}"}
        self._note(answer, now)
        return answer.content

    def _standing(self, ip: str) -> dict[str, Any]:
        assert self._control is not None
        key = self._networks.source(ip, 0, "udp").key
        value = KSR.htable.sht_get(counting.BANS, key)
        ban = bans.entry(key, value) if isinstance(value, str) else None
        return {
            "ok": True,
            "counters": self._engine.standing(ip, time.monotonic(), self._counters),
            "ban": ban._asdict() if ban else None,
            "set": {name: setting.text for name, setting in self._control.set.items()},
            "policy_file": str(Path(self._policy_path).resolve()),
        }

    def _note(self, answer: control.Answer, now: float) -> None:
        """Every change is on record, refused ones too."""
        assert self._control is not None
        self._notices += [(action, detail, now) for action, detail in answer.notices]
        if answer.content["ok"]:
            self._use(self._control.edition)
            self._board.switched(self._number, now)

    def _write_notices(self, now: float) -> None:
        while self._notices:
            action, detail, when = self._notices[0]
            if not self._journal.append(self._recorder.notice(action, when, detail), now):
                break
            del self._notices[0]

    def _status(self, now: float) -> dict[str, Any]:
        assert self._control is not None
        return {
            "ok": True,
            "now": now,
            "started": self._started,
            "edition": self._control.edition.versions,
            "since": self._shared.publication.since or self._started,
            "policy_file": str(Path(self._policy_path).resolve()),
            "log": self._log_path,
            "fast_path": native.missing(),
            "inspection": "off" if _is_off() else "on",
            "set": {key: setting._asdict() for key, setting in self._control.set.items()},
            "bans": KSR.htable.sht_get(counting.COUNTS, counting.LIVE_BANS) or 0,
            "workers": [worker._asdict() | {"memory": memory} for worker, memory in self._workers()],
            "totals": status.facts(self._board.totals()),
        }

    # Failures

    def _broken(self, error: BaseException) -> int:
        """A message on which the guard itself failed: `[failure]` says what becomes of it."""
        self._failed(error)
        try:
            now = time.time()
            raw = _raw()
            source = self._source("")
            setting = self._policy.failure.trusted if source.trusted else self._policy.failure.strangers
            is_reply = raw[:4].upper() == b"SIP/"
            is_open = setting == "open" or self._policy.mode == "observe" or is_reply
            decision = model.Decision(
                model.Verdict.ALLOW if is_open else model.Verdict.REJECT,
                model.Kind.REPLY if is_reply else model.Kind.REQUEST,
                "",
                status=0 if is_open else 503,
                phrase="Service Unavailable",
                reason=f"{type(error).__name__}: {error}"[:200],
                error=True,
            )
            if raw[:4] == b"ACK ":
                decision = decision._replace(status=0)
            return self._finish(decision, raw, source, now)
        except BaseException as second:
            self._failed(second)
        return STOP

    def _failed(self, error: BaseException) -> None:
        self._failures += 1
        try:
            self._board.failed()
            # Text from the wire does not belong in syslog: the type and place suffice there.
            frame = error.__traceback__
            while frame is not None and frame.tb_next is not None:
                frame = frame.tb_next
            place = f"{Path(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno}" if frame else "?"
            KSR.err(f"sipsieve: {type(error).__name__} at {place}\n")
        except BaseException:
            self._failures += 1

    def _say_start(self) -> None:
        now = time.time()
        self._journal.mend()
        if native.module is None:
            KSR.warn(f"sipsieve: {native.missing()}\n")
        detail = {"policy_mode": self._policy.mode, "rules": len(self._engine.ruleset.rules)}
        if not self._journal.append(self._recorder.notice("start", now, detail), now):
            KSR.warn(
                f"sipsieve: {self._log_path}: cannot be written by this user; decisions are counted, not recorded, "
                "until it can. Make its folder writable for Kamailio's user, or set SIPSIEVE_LOG.\n"
            )
        if not self._shared.durable:
            KSR.warn(
                f"sipsieve: {self._log_path}.ledger: no such file can be kept; what summaries count does not "
                "survive a kill. Its folder must be writable for Kamailio's user, with 13 MB left.\n"
            )
        self._pending = [entry for entry in self._pending if not self._summary(entry, now)]
        # Each process opens the log for itself.
        self._journal.close()


def _counters(memory: shared.Shared, loaded: policy.Policy) -> counting.SharedCounters:
    """The engine's counters, kept in Kamailio's htables: atomic, and shared by all workers."""
    return counting.SharedCounters(
        memory.counts,
        KSR.htable.sht_inc,
        KSR.htable.sht_get,
        KSR.htable.sht_seti,
        KSR.htable.sht_setex,
        memory.retransmissions,
        memory.marks,
        memory.answered,
        time.monotonic,
        loaded.limits.capacity,
        loaded.bans.capacity,
        loaded.bans.forget_seconds,
        _is_own,
    )


def _is_own(key: str) -> bool:
    """Whether a key stands for an address that this server, or another node of its cluster, listens on."""
    if ":" not in key:
        if any(node.startswith(f"{key}:") for node in _NODES):
            return True
        return key.count(".") == 3 and bool(KSR.is_myself(key) > 0)
    groups = [int(group, 16) for group in key.split(":") if group]
    for line in _LOCAL_IPV6:
        local = [int(line[at : at + 4], 16) for at in range(0, 32, 4)]
        address = ":".join(f"{group:x}" for group in local)
        if local[: len(groups)] == groups and KSR.is_myself(f"[{address}]") > 0:
            return True
    return False


def _local_ipv6() -> tuple[str, ...]:
    """The machine's IPv6 addresses as 32 hexadecimal digits."""
    try:
        return tuple(line.split()[0] for line in Path("/proc/net/if_inet6").read_text().splitlines())
    except OSError:
        return ()


_LOCAL_IPV6: Final = _local_ipv6()


def _allow_every(setting: str) -> int:
    """`[log] allow` as a number: 1 each, N one in N, 0 none."""
    if setting.startswith("sample:"):
        return int(setting.partition(":")[2])
    return 1 if setting == "each" else 0


def _settle() -> None:
    """Gets rid of an exception that the host's last Python call left pending (Kamailio 5.6 reports a
    failed call and leaves it so): the next call of a built-in function turns it into a SystemError."""
    try:
        time.time()
    except SystemError:
        KSR.err("sipsieve: the host's last Python call left an exception pending\n")


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


def _unscrubbed(decision: model.Decision) -> model.Decision:
    """What becomes of a message whose bytes could not be replaced: a request is refused, a reply passes."""
    reason = f"{decision.reason}; could not be scrubbed"
    if decision.kind is model.Kind.REPLY:
        return decision._replace(verdict=model.Verdict.ALLOW, reason=reason, replacement=None)
    return decision._replace(
        verdict=model.Verdict.REJECT, status=403, phrase="Forbidden", reason=reason, replacement=None
    )


def _give_back() -> None:
    """Returns the memory that unpacking took; glibc keeps it otherwise. Other C libraries do that by themselves."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def _resident(pid: int) -> int:
    """Memory of a process in bytes, shared pages included; 0 where it can't be read."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
    except (OSError, ValueError, IndexError):
        return 0


def _is_off() -> bool:
    """Whether the kill switch is thrown."""
    return bool(KSR.pvx.shv_get(SWITCH) == 1)


def _text(value: object) -> str:
    """A text from outside, as it can be written into a record."""
    return record.escaped(str(value).encode("utf-8", "replace"), 512)


def _answerable() -> bool:
    """Whether Kamailio can answer the request at hand. A reply to a message without a Via crashes Kamailio
    5.6; None may also mean that an earlier header could not be read, and then no reply can be built either."""
    return KSR.hdr.get("Via") is not None and KSR.hdr.get("To") is not None


def _in_transaction() -> bool | None:
    """Whether the reply at hand answers a transaction of this server; None without the tm module."""
    tm = getattr(KSR, "tm", None)
    return None if tm is None else tm.t_check_trans() > 0


def mod_init() -> Sipsieve:
    """What app_python3 calls to get its handler."""
    try:
        return Sipsieve()
    except (policy.PolicyError, ruleset.RuleError) as error:
        # app_python3 prints a traceback; the line that matters comes last and readable.
        KSR.err(f"sipsieve: {error}\n")
        raise SystemExit(f"sipsieve: {error}") from None
