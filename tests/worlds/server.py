"""A world's log as a server writes it: proxied answers, nonces, dialogs, copies, the guard's own tables, and bans."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from sipsieve._core import Memory
from sipsieve.abuse.shared_counters import BANS, SharedCounters
from sipsieve.config import policy
from sipsieve.decision.engine import Engine
from sipsieve.decision_log import privacy
from sipsieve.decision_log.record import recorder_of
from sipsieve.detection import ruleset
from sipsieve.model import Ban, Scope, Source, Verdict

from .world import SERVER, Sent, World

_NONCE = re.compile(rb'nonce="[^"]*"')


class Tables:
    """Kamailio's htables, as far as bans need them, with their entries' ends."""

    def __init__(self) -> None:
        self.now = 0.0
        self._entries: dict[tuple[str, str], tuple[object, float]] = {}

    def get(self, table: str, name: str) -> object:
        value, end = self._entries.get((table, name), (None, 0.0))
        return value if self.now < end else None

    def inc(self, table: str, name: str) -> int | None:
        if table == "sipsieve_counts":
            return 1
        known = self.get(table, name)
        count = (known if isinstance(known, int) else 0) + 1
        self._entries[(table, name)] = (count, float("inf"))
        return count

    def set(self, table: str, name: str, value: object) -> None:
        self._entries[(table, name)] = (value, float("inf"))

    def expire(self, table: str, name: str, seconds: int) -> None:
        value, _ = self._entries[(table, name)]
        self._entries[(table, name)] = (value, self.now + seconds)


class Server:
    """The guard, with all that a running server gives it, before a backend."""

    def __init__(self, toml: str = "", copies: float = 0.03, steady: float = 1_000_000.25) -> None:
        """`copies`: the part of requests that is retransmitted; `steady`: the steady clock's second at the first message."""
        self.settings = policy.loads(toml)
        rules = ruleset.load()
        self.engine = Engine(self.settings, rules)
        mask = privacy.mask_of(self.settings.privacy, privacy.key_of(self.settings.privacy))
        self.recorder = recorder_of(rules.version, self.settings, self.settings.mode, mask)
        self.tables = Tables()
        self._copies, self._steady = copies, steady
        self._counters = SharedCounters(
            Memory(self.settings.limits.capacity, "", 1, 10), self.tables.inc, self.tables.get, self.tables.set,
            self.tables.expire, lambda: self.tables.now, self.settings.bans.capacity, self.settings.bans.forget_seconds,
            lambda key: False,
        )  # fmt: skip
        self._answered: set[str] = set()
        self._nonces: dict[str, bytes] = {}
        self._drops: dict[str, list[float]] = defaultdict(list)
        self._number = 0

    def write(self, world: World, path: Path) -> Path:
        """Writes the decision log of a world."""
        with path.open("wb") as out:
            out.writelines(self.records(world))
        return path

    def records(self, world: World) -> Iterator[bytes]:
        """The decision log of a world, line by line."""
        rng = random.Random(world.seed)
        sent = sorted(world.messages, key=lambda message: message.time)
        copies = [
            Sent(one.time + 0.5, one.ip, one.port, one.transport, one.raw, 0, one.call_id, one.method)
            for one in sent
            if rng.random() < self._copies
        ]
        begin = sent[0].time - 1
        offset = begin - self._steady
        yield self.recorder.notice("start", begin, {"steady": self._steady})
        #: What was sent with its own bytes: a copy has those of its first.
        first: dict[bytes, bytes] = {}
        for one in sorted([*sent, *copies], key=lambda message: message.time):
            raw = first.setdefault(one.raw, self._dressed(one))
            source = self.engine.networks.source(one.ip, one.port, one.transport)
            now = one.time - offset
            self.tables.now = now
            if self._is_out(source):
                self._drops[one.ip].append(one.time)
                continue
            if times := self._drops.pop(one.ip, None):
                yield self.recorder.summary(one.ip, "", "banned", len(times), times[0], times[-1], one.time)
            verdict, enforced, line = self._decide(raw, source, one.time, now)
            yield line
            passed = verdict in (Verdict.ALLOW, Verdict.SCRUB) or not enforced
            if passed and one.status and world.with_replies:
                backend = self.engine.networks.source("10.0.0.5", 5060, "udp")
                self.tables.now = now + 0.02
                yield self._decide(self._reply(one, raw), backend, one.time + 0.02, now + 0.02)[2]
        for ip, times in self._drops.items():
            yield self.recorder.summary(ip, "", "banned", len(times), times[0], times[-1], times[-1])

    def _is_out(self, source: Source) -> bool:
        entry = self.tables.get(BANS, source.key)
        if not isinstance(entry, str):
            return False
        return entry[0] == "a" or (entry[0] == "uw"[source.cell.endswith("w")] and not source.cell.endswith("t"))

    def _decide(self, raw: bytes, source: Source, time: float, now: float) -> tuple[Verdict, bool, bytes]:
        decision = self.engine.decide(raw, source, now, self._counters, lambda: True)
        if decision.ban is not None:
            self._impose(decision.ban)
        self._number += 1
        return (
            decision.verdict,
            decision.enforced,
            self.recorder.decision(decision, raw, source, time, f"s-{self._number}", int(now)),
        )

    def _impose(self, ban: Ban) -> None:
        self.tables.set(BANS, ban.key, f"{Scope(ban.scope)}|{ban.rule}")
        self.tables.expire(BANS, ban.key, ban.seconds)

    def _dressed(self, one: Sent) -> bytes:
        raw = one.raw
        if one.ip in self._nonces:
            raw = _NONCE.sub(b'nonce="' + self._nonces[one.ip] + b'"', raw, count=1)
        if one.method in ("ACK", "BYE") and one.call_id in self._answered:
            raw = re.sub(rb"(\r\nTo: [^\r]*)", rb"\1;tag=srv", raw, count=1)
        return raw

    def _reply(self, one: Sent, raw: bytes) -> bytes:
        lines = World.reply(Sent(one.time, one.ip, one.port, one.transport, raw, one.status)).split(b"\r\n")
        via = next((n for n, line in enumerate(lines) if line.startswith(b"Via")), 1)
        lines[via] += f";received={one.ip};rport={one.port}".encode()
        lines.insert(via, f"Via: SIP/2.0/UDP {SERVER};branch=z9hG4bKproxy".encode())
        if one.status in (401, 407):
            nonce = f"{self._number:x}".encode()
            self._nonces[one.ip] = nonce
            lines.insert(-2, b'WWW-Authenticate: Digest realm="x", nonce="' + nonce + b'"')
        if one.method == "INVITE" and one.status == 200:
            self._answered.add(one.call_id)
            lines = [line + b";tag=srv" if line.startswith(b"To:") else line for line in lines]
        return b"\r\n".join(lines)
