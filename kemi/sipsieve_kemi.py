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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent

#: Kamailio's level of log between an error and what is critical.
_ABOVE_ERRORS: Final = -2
#: Whether what the parser says goes to syslog, for who looks for a fault; see sipsieve.cfg.
_PARSER_ERRORS: Final = "SIPSIEVE_PARSER_ERRORS" in os.environ

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
    from sipsieve.abuse import ban_table, cluster, earned_standing, own_addresses, shared_counters
    from sipsieve.config import policy
    from sipsieve.control import running, timer
    from sipsieve.detection import ruleset
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


#: How this node is named among the others; "" where it is alone.
_NODE: Final = os.environ.get("SIPSIEVE_DMQ", "").lower().removeprefix("sip:").partition(";")[0]

_CLUSTER: Final = (
    cluster.Access(
        _NODE,
        _Table(cluster.BEATS).entries,
        lambda key, value, seconds: KSR.htable.sht_setxs(cluster.BEATS, key, value, seconds),
    )
    if _NODE
    else None
)


class Sipsieve:
    """The handler that Kamailio's app_python3 calls. A host's own KEMI class inherits it.

    A host class that has its own `__init__` or `child_init` calls ours from it.
    """

    def __init__(self) -> None:
        #: Reads one of Kamailio's pseudo-variables.
        self._get: Callable[[str], Any] = KSR.pv.get
        self._running = running.Running(self._kamailio(), str(HERE / "sipsieve.toml"))
        self._failed = self._running.failed
        # With an exception pending from the host's last call, Python finds what an object holds itself, but
        # not what its class does: Kamailio would report the method as missing.
        for name in dir(self):
            if name.startswith("sipsieve_"):
                setattr(self, name, getattr(self, name))

    # Kamailio's life

    def child_init(self, rank: int) -> int:
        """Called in every process after the fork."""
        try:
            self._running.born(rank)
        except BaseException as error:
            self._failed(error)
        return 0

    def sipsieve_ready(self, msg: Any = None, parameter: str = "") -> int:
        """Asked by sipsieve.cfg at start: a host class that does not inherit this one has no such method.

        `parameter` says by which prefixes the native ban check is set up, as in `32|64`.
        """
        try:
            prefixes = self._running.policy.limits
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
            self._running.restore()
        except BaseException as error:
            self._failed(error)
        return PASS

    def sipsieve_tick(self, msg: Any = None, parameter: str = "") -> int:
        """Once a second, in a timer process: writes summaries."""
        try:
            self._running.tick(time.time())
        except BaseException as error:
            self._failed(error)
        return PASS

    def sipsieve_control(self, msg: Any = None, parameter: str = "") -> int:
        """Ten times a second, in a process of its own: does what operators ask for."""
        try:
            self._running.control(_Table(CONTROL))
        except BaseException as error:
            self._failed(error)
        return PASS

    # Messages

    def sipsieve_message(self, msg: Any, where: str = "") -> int:
        """Decides on the message at hand. `where` is `proto|address|port`; read from KSR where empty.

        Kamailio finds the core's own `message` under this name, unless a host class has its own.
        """
        return (self._running.guard or self._running.arm()).message(msg, where)

    def sipsieve_again(self, msg: Any, where: str = "") -> int:
        """Asked when `sipsieve_message` gave no usable code: an exception that the host's last call left
        pending makes the interpreter report ours as failed, though it had done its work."""
        return (self._running.guard or self._running.arm()).again(msg, where)

    def sipsieve_replaced(self, msg: Any, where: str = "") -> int:
        """Asked after sipsieve.cfg put the scrubbed bytes in place: looks whether they are, and records."""
        return (self._running.guard or self._running.arm()).replaced(msg, where)

    def sipsieve_unparsable(self, msg: Any, where: str = "") -> int:
        """Records a message that Kamailio's parser refused. Never answers: that would crash the server."""
        return (self._running.guard or self._running.arm()).unparsable(msg, where)

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

    def _armed(self, guard: _core.Guard) -> None:
        """Lets the core take each message first."""
        if type(self).sipsieve_message is Sipsieve.sipsieve_message:
            self.sipsieve_message = guard.message  # type: ignore[method-assign]

    def _calls(self) -> dict[str, Any]:
        """What the core calls while it has a message at hand."""
        return {
            "get": self._get,
            "broken": self._broken,
            "in_transaction": _in_transaction,
            "pending": _say_pending,
            "answerable": _answerable,
            "answer": _answer,
            "replace": _replace,
        }

    def _kamailio(self) -> running.Kamailio:
        """Kamailio, as the rest of the guard sees it."""
        htable = KSR.htable
        return running.Kamailio(
            calls=self._calls,
            armed=self._armed,
            tables=timer.Tables(
                lambda name: _Table(name).entries(),
                htable.sht_get,
                htable.sht_seti,
                lambda name: KSR.htable.sht_reset(name),
            ),
            increment=htable.sht_inc,
            expire=htable.sht_setex,
            bans=_BANS,
            standing=_STANDING,
            cluster=_CLUSTER,
            own=_OWN,
            is_off=_is_off,
            turned_by=lambda: KSR.pvx.shv_get(SWITCH_BY),
            passed=lambda: KSR.htable.sht_get(PASSED, "all") or 0,
            prometheus=lambda: getattr(KSR, "xhttp_prom", None),
            crit=lambda text: KSR.crit(text),
            err=lambda text: KSR.err(text),
            warn=lambda text: KSR.warn(text),
        )

    def _passes(self) -> bool:
        """Whether inspection is off; under `cfgengine "python"` no native route asks that."""
        try:
            return _is_off() and KSR.htable.sht_inc(PASSED, "all") is not None
        except BaseException as error:
            self._failed(error)
            return False

    # Failures

    def _broken(self, error: BaseException) -> int:
        """A message on which the guard itself failed: `[failure]` says what becomes of it."""
        self._failed(error)
        try:
            raw = _raw()
            where = f"{KSR.pv.get('$proto')}|{KSR.pv.get('$si')}|{KSR.pv.get('$sp')}"
            decided = self._running.judged(error, raw, where)
            passes = decided.verdict is model.Verdict.ALLOW
            return (self._running.guard or self._running.arm()).fail(where, raw, passes, decided.status, decided.reason)
        except BaseException as second:
            self._failed(second)
        return STOP


def _say_pending() -> None:
    """The host's last Python call left an exception pending (Kamailio 5.6 reports a failed call and leaves it so)."""
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


def _is_off() -> bool:
    """Whether the kill switch is thrown."""
    return bool(KSR.pvx.shv_get(SWITCH) == 1)


@contextmanager
def _quiet_parser() -> Iterator[None]:
    """Kamailio's parser says of what it can't read the message's own text: in the block only what is worse than an error
    goes to syslog."""
    kex = None if _PARSER_ERRORS else getattr(KSR, "kex", None)
    if kex is None:
        yield
        return
    kex.setdebug(_ABOVE_ERRORS)
    try:
        yield
    finally:
        kex.resetdebug()


def _answerable() -> bool:
    """Whether Kamailio can answer the request at hand: a reply to a message without a Via crashes Kamailio 5.6. Where a
    header field could not be read, those before it are not present either, and no reply could be built."""
    with _quiet_parser():
        return bool(KSR.hdr.is_present("Via") > 0 and KSR.hdr.is_present("To") > 0)


def _answer(status: int, phrase: str, retry_after: int) -> None:
    """Answers the request at hand; `retry_after` in seconds, 0 for none."""
    if retry_after:
        KSR.hdr.append_to_reply(f"Retry-After: {retry_after}\r\n")
    KSR.sl.sl_send_reply(status, phrase)


def _replace(new: bytes, by_route: bool) -> int:
    """Puts new bytes in the message's place: 0 done, 1 can't be done, 2 sipsieve.cfg does it, which asks again then."""
    if _is_text(new):
        with _quiet_parser():
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
