"""A world: messages with their senders, and the truth about them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from sipsieve.config import policy
from sipsieve.decision.engine import Engine
from sipsieve.decision_log.record import Recorder
from sipsieve.detection import ruleset
from sipsieve.model import Verdict
from sipsieve_analysis.readers.replayed import MemoryCounters

#: Monday, 16 November 2026, 00:00 UTC.
START = 1_794_787_200.0
HOUR = 3600.0
DAY = 86400.0
SERVER = "192.0.2.10"


@dataclass(slots=True)
class Sent:
    """One message on its way to the server, with what the server behind the guard answers (0: nothing)."""

    time: float
    ip: str
    port: int
    transport: str
    raw: bytes
    status: int = 0
    call_id: str = ""
    method: str = ""


@dataclass(slots=True)
class Truth:
    """One attacker: its addresses, what it wants, what it does."""

    name: str
    addresses: set[str]
    intents: set[str]
    campaigns: set[str]
    spoofed: bool = False


@dataclass
class World:
    """All messages of a world and its labels."""

    seed: int
    messages: list[Sent] = field(default_factory=list)
    attackers: list[Truth] = field(default_factory=list)
    legitimate: set[str] = field(default_factory=set)
    #: Whether the log holds the server's answers.
    with_replies: bool = True
    #: Messages that attackers sent in the names of legitimate sources.
    forged: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self._used: set[str] = set()

    def address(self, near: str = "") -> str:
        """A new public address, in the /24 of `near` where one is given."""
        while True:
            if near:
                ip = near.rpartition(".")[0] + f".{self.random.randint(1, 254)}"
            else:
                ip = (
                    f"{self.random.choice((5, 23, 37, 45, 51, 62, 77, 81, 91, 103, 141, 156, 185, 193, 212))}."
                    + ".".join(str(self.random.randint(1, 254)) for _ in range(3))
                )
            if ip not in self._used:
                self._used.add(ip)
                return ip

    def send(
        self, time: float, ip: str, method: str, *, port: int = 5060, user: str = "", caller: str = "", agent: str = "", call_id: str = "",
        cseq: int = 1, status: int = 0, from_: str = "", to: str = "", body: bytes | None = None, authorization: str = "", transport: str = "udp",
        headers: tuple[str, ...] = (), change: tuple[bytes, bytes] | None = None, contact: bool = True, tag: str = "",
    ) -> None:  # fmt: skip
        """Adds a request. `change` replaces bytes of the finished message: what makes it malformed."""
        rng = self.random
        call_id = call_id or f"{rng.getrandbits(64):016x}@{ip}"
        tag = tag or f"{rng.getrandbits(32):x}"
        caller = caller or user or "anonymous"
        target = f"sip:{user}@{SERVER}" if user and method != "REGISTER" else f"sip:{SERVER}"
        lines = [
            f"{method} {target} SIP/2.0",
            f"Via: SIP/2.0/{transport.upper()} {ip}:{port};branch=z9hG4bK{rng.getrandbits(48):x};rport",
            "Max-Forwards: 70",
            f"From: {from_ or f'<sip:{caller}@{SERVER}>;tag={tag}'}",
            f"To: {to or f'<sip:{user or caller}@{SERVER}>'}",
            f"Call-ID: {call_id}",
            f"CSeq: {cseq} {method}",
        ]
        if contact and method in ("INVITE", "REGISTER", "SUBSCRIBE"):
            lines.append(f"Contact: <sip:{caller}@{ip}:{port}>")
        if agent:
            lines.append(f"User-Agent: {agent}")
        if authorization:
            lines.append(
                f'Authorization: Digest username="{authorization}", realm="{SERVER}", nonce="{rng.getrandbits(64):x}", uri="sip:{SERVER}", response="{rng.getrandbits(128):032x}"'
            )
        lines += headers
        if body is None:
            body = _SDP if method == "INVITE" else b""
        if body:
            lines.append("Content-Type: application/sdp")
        lines.append(f"Content-Length: {len(body)}")
        raw = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
        if change:
            raw = raw.replace(change[0], change[1], 1)
        self.messages.append(Sent(time, ip, port, transport, raw, status, call_id, method))

    def records(self, mode: str = "enforce") -> Iterator[bytes]:
        """The decision log of this world, by the real engine."""
        settings, rules, engine = _engine(mode)
        recorder = Recorder(rules.version, settings.version, settings.mode)
        counters = MemoryCounters()
        banned: dict[str, float] = {}
        drops: dict[str, list[float]] = {}
        for number, sent in enumerate(sorted(self.messages, key=lambda m: m.time)):
            if banned.get(sent.ip, 0) > sent.time:
                drops.setdefault(sent.ip, []).append(sent.time)
                continue
            if times := drops.pop(sent.ip, None):
                yield recorder.summary(sent.ip, "", "banned", len(times), times[0], times[-1], sent.time)
            source = engine.networks.source(sent.ip, sent.port, sent.transport)
            decision = engine.decide(sent.raw, source, sent.time, counters)
            yield recorder.decision(decision, sent.raw, source, sent.time, f"{self.seed}-{number}")
            if decision.ban and decision.enforced:
                banned[sent.ip] = sent.time + decision.ban.seconds
            if (
                (decision.verdict in (Verdict.ALLOW, Verdict.SCRUB) or not decision.enforced)
                and sent.status
                and self.with_replies
            ):
                reply = self.reply(sent)
                backend = engine.networks.source("10.0.0.5", 5060, "udp")
                decided = engine.decide(reply, backend, sent.time + 0.02, counters, lambda: True)
                yield recorder.decision(decided, reply, backend, sent.time + 0.02, f"{self.seed}-{number}r")
        for ip, times in drops.items():
            yield recorder.summary(ip, "", "banned", len(times), times[0], times[-1], times[-1])

    @staticmethod
    def reply(sent: Sent) -> bytes:
        """The answer of the server behind the guard."""
        keep = [
            line
            for line in sent.raw.split(b"\r\n\r\n")[0].split(b"\r\n")[1:]
            if line.split(b":")[0] in (b"Via", b"From", b"To", b"Call-ID", b"CSeq")
        ]
        return b"\r\n".join([b"SIP/2.0 %d Answer" % sent.status, *keep, b"Content-Length: 0"]) + b"\r\n\r\n"

    def write(self, path: Path, mode: str = "enforce") -> Path:
        """Writes the decision log."""
        with path.open("wb") as out:
            out.writelines(self.records(mode))
        return path


@cache
def _engine(mode: str) -> tuple[policy.Policy, ruleset.Ruleset, Engine]:
    settings = policy.loads(f'mode = "{mode}"')
    rules = ruleset.load()
    return settings, rules, Engine(settings, rules)


_SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"
