"""Answers operators on the running server: status, what applies to a source, changes; and puts each on record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from ..abuse import bans, earned_standing
from ..abuse.limits import WINDOW
from ..abuse.shared_counters import BANS, COUNTS, LIVE_BANS
from ..decision.revision import Revision
from ..model import Notice, Standings
from . import rpc_table, status
from .feeds import Feeder
from .geo_files import GeoFiles
from .reload import Answer, Control
from .scoreboard import Worker
from .shared_memory import Shared

#: Sources with standing that a status names.
_SHOWN: Final = 20


class Place(NamedTuple):
    """Where this server has its files, and since when it runs (seconds since the epoch)."""

    policy_file: str
    log: str
    started: float

    @property
    def resolved(self) -> str:
        """The policy's own path: what is installed is a link to it, which may be turned while the server runs."""
        return str(Path(self.policy_file).resolve())


class Server(NamedTuple):
    """What an answer says of the server at hand. `get` reads an entry of an htable, `standing` that of standing whole; `workers` with their memory."""

    place: Place
    shared: Shared
    get: Callable[[str, str], object]
    standing: Callable[[], Mapping[str, str]]
    workers: Callable[[], list[tuple[Worker, int]]]
    is_off: Callable[[], bool]
    counters: Callable[[], Standings]
    feeder: Feeder
    geo: GeoFiles


class Administration:
    """The process that does what operators ask for."""

    def __init__(
        self,
        control: Control,
        server: Server,
        adopt: Callable[[Revision, float], None],
        notice: Notice,
        failed: Callable[[BaseException], None],
    ) -> None:
        """`adopt` makes this process decide by a new revision; `failed` counts an error of the guard itself."""
        self._control = control
        self._server = server
        self._adopt = adopt
        self._notice = notice
        self._failed = failed
        self._unwritten: list[tuple[str, Mapping[str, Any], float]] = []

    def round(self, table: rpc_table.Table, clock: Callable[[], float], steady: Callable[[], float]) -> None:
        """Takes back what is over, answers what is asked, writes what was changed. `steady`: a clock never set."""
        if over := self._control.expire(clock()):
            self._note(over, clock())
        self._server.feeder.round(self._control.revision.policy, clock())
        rpc_table.serve(table, lambda asked: self.answer(asked, clock(), steady()))
        self._write(clock())

    def answer(self, asked: Mapping[str, Any], now: float, steady: float) -> Mapping[str, Any]:
        """What to say to one request; an error of ours is an answer too."""
        try:
            if asked.get("do") == "status":
                return self._status(now, steady)
            if asked.get("do") == "source":
                return self._source(str(asked.get("ip", "")), now, steady)
            if asked.get("do") in ("feeds", "refresh"):
                return self._feeds(asked, now)
            answer = self._control.handle(asked, now)
        except Exception as error:
            self._failed(error)
            return {"ok": False, "error": f"{type(error).__name__}: {error}"}
        self._note(answer, now)
        return answer.content

    def _note(self, answer: Answer, now: float) -> None:
        """Every change is on record, refused ones too."""
        self._unwritten += [(action, detail, now) for action, detail in answer.notices]
        if answer.content["ok"]:
            self._adopt(self._control.revision, now)

    def _write(self, now: float) -> None:
        # Left for the next round where the log can't be written; the record keeps the time of the change.
        while self._unwritten:
            action, detail, when = self._unwritten[0]
            if not self._notice(action, when, detail):
                break
            del self._unwritten[0]

    def _status(self, now: float, steady: float) -> dict[str, Any]:
        server = self._server
        # Of the running window and the one before.
        windows = (int(steady) // WINDOW - 1, int(steady) // WINDOW)
        return {
            "ok": True,
            "now": now,
            "started": server.place.started,
            "revision": self._control.revision.versions,
            "since": server.shared.broadcast.since or server.place.started,
            "policy_file": server.place.resolved,
            "log": server.place.log,
            "inspection": "off" if server.is_off() else "on",
            "set": {key: setting._asdict() for key, setting in self._control.set.items()},
            "counters": {
                "begun": sum(server.shared.counts.begun(window) for window in windows),
                "sharing": sum(server.shared.memory.shared_by(window) for window in windows),
            },
            "bans": server.get(COUNTS, LIVE_BANS) or 0,
            "standing": self._standing_of_all(now, steady),
            "geo": server.geo.facts(now),
            "workers": [worker._asdict() | {"memory": memory} for worker, memory in server.workers()],
            "totals": status.facts(server.shared.board.totals()),
        }

    def _feeds(self, asked: Mapping[str, Any], now: float) -> dict[str, Any]:
        feeder, name = self._server.feeder, str(asked.get("name", ""))
        if asked.get("do") == "refresh" and not feeder.refresh(name):
            return {"ok": False, "error": f"{name or 'feed'}: the policy in force has no such list"}
        return {"ok": True, "now": now, **feeder.status(self._control.revision.policy, now)}

    def _standing_of_all(self, now: float, steady: float) -> dict[str, Any]:
        """How many sources have standing, and those that showed themselves last; and who lost it."""
        policy = self._control.revision.policy
        enough, fades = policy.bans.earned_minutes, policy.standing.fade_minutes
        read = [earned_standing.entry(key, value) for key, value in self._server.standing().items()]
        known = sorted((one for one in read if one and one.until > now), key=lambda one: -one.last)
        return {
            "sources": self._server.shared.memory.earned.count(steady, enough, fades),
            "latest": [one._asdict() for one in known if not one.lost][:_SHOWN],
            "lost": [one._asdict() for one in known if one.lost][:_SHOWN],
        }

    def _standing_of(self, key: str, now: float, steady: float) -> dict[str, Any]:
        """What a source has earned: its credit, how much is enough, and what the table says of it."""
        policy = self._control.revision.policy
        one = earned_standing.entry(key, self._server.get(earned_standing.STANDING, key))
        credit = self._server.shared.memory.earned.credit(key, steady, policy.standing.fade_minutes)
        return {
            "credit": credit,
            "enough": policy.bans.earned_minutes,
            "known": one._asdict() if one and one.until > now else None,
        }

    def _source(self, ip: str, now: float, steady: float) -> dict[str, Any]:
        revision = self._control.revision
        key = revision.networks.source(ip, 0, "udp").key
        value = self._server.get(BANS, key)
        ban = bans.entry(key, value) if isinstance(value, str) else None
        return {
            "ok": True,
            "counters": revision.engine.standing(ip, steady, self._server.counters()),
            "ban": ban._asdict() if ban else None,
            "standing": self._standing_of(key, now, steady),
            "feed": self._server.feeder.find(ip),
            "set": {name: setting.text for name, setting in self._control.set.items()},
            "policy_file": self._server.place.resolved,
        }
