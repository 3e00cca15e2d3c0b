"""The one call that decides on a message."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Final

from . import dialog, grammar, structure
from .detect import detect
from .limits import WINDOW, Excess, Limits
from .message import parse
from .model import Ban, Counters, Decision, Defect, Finding, Kind, Message, PartKind, Source, Verdict
from .network import Networks
from .policy import Policy
from .ruleset import Ruleset
from .scrub import scrub
from .sieve import METHODS, ORDINARY, SUSPECT, Sieve
from .verdict import Scale

_NO_COUNTS: Final = MappingProxyType[str, int]({})

#: Final answers that tell against whoever sent the INVITE: not permitted, not found, no such number,
#: malformed. Challenges (401, 407), busy, no answer and cancelled calls are everyday life.
_FAILURES: Final = frozenset({400, 403, 404, 405, 406, 410, 414, 416, 420, 484, 485, 501, 505, 513, 604, 606})

CONTENT_LENGTH_ZERO: Final = "content-length-zero"


def _unknown() -> bool | None:
    return None


class Engine:
    """Policy, rules and networks made ready. Immutable but for caches; shared copy-on-write by the workers."""

    def __init__(self, policy: Policy, ruleset: Ruleset, networks: Networks | None = None) -> None:
        self.policy = policy
        self.ruleset = ruleset
        self.networks = networks or Networks(policy)
        self._sieve = Sieve(ruleset)
        self._limits = Limits(policy.limits)
        self._scale = Scale(policy)
        self._enforce = policy.mode == "enforce"
        self._max_bytes = policy.detection.max_bytes
        # The sieve has compared the whole first line, so four bytes tell the method.
        self._methods = {method.encode()[:4].ljust(4): method for method in METHODS}

    def decide(
        self,
        raw: bytes,
        source: Source,
        now: float,
        counters: Counters,
        in_transaction: Callable[[], bool | None] = _unknown,
        unparsable: bool = False,
    ) -> Decision:
        """Decides on one message.

        `raw` is the message as received, `now` seconds since the epoch. `in_transaction` is asked
        only for answers to an INVITE: whether the reply belongs to a transaction of this server
        (None: can't be known). `unparsable` says that the server has given the message up already.
        Never raises on input; costs time linear in `len(raw)`.
        """
        head_end = raw.find(b"\r\n\r\n") + 4
        if head_end < 4 or unparsable or len(raw) > self._max_bytes:
            return self._inspect(raw, source, now, counters, in_transaction, unparsable)
        flags = self._sieve.look(raw[:head_end])
        if flags & SUSPECT:
            return self._inspect(raw, source, now, counters, in_transaction, False)
        method = self._methods.get(raw[:4])
        if method is None:
            if not _length_is_right(raw, head_end):
                return self._inspect(raw, source, now, counters, in_transaction, False)
            return self._reply(raw, head_end, now, counters, in_transaction)
        if (method == "INVITE" and len(raw) == head_end) or not _length_is_right(raw, head_end):
            return self._inspect(raw, source, now, counters, in_transaction, False)
        if source.trusted or not self._limits.enabled:
            return Decision(Verdict.ALLOW, Kind.REQUEST, method)
        in_dialog = flags != ORDINARY and _known_dialog(raw, counters)
        identity = hash((hash(raw), source.port, source.key))
        name, count = self._limits.request(method, in_dialog, identity, source, now, counters)
        excess = self._limits.excess(name, count)
        if excess is not None:
            return self._over(Decision(Verdict.ALLOW, Kind.REQUEST, method, counters={name: count}), excess, source)
        return Decision(
            Verdict.ALLOW, Kind.REQUEST, method, True, 0, "", 0, "", (), {name: count} if count else _NO_COUNTS
        )

    def _enforces(self, source: Source) -> bool:
        """Whether decisions on this source are carried out: its network's `mode`, or the policy's."""
        return self._enforce if source.enforced is None else source.enforced

    def _reply(
        self, raw: bytes, head_end: int, now: float, counters: Counters, in_transaction: Callable[[], bool | None]
    ) -> Decision:
        """A reply in which nothing is odd: learned from, and passed."""
        line = raw.find(b"\nCSeq:", 0, head_end)
        method = raw[line + 6 : raw.find(b"\r", line, head_end)].split()[-1].decode("ascii")
        ban = None
        if method == "INVITE":
            status = int(raw[8:11])
            ban = self._learn(raw[:head_end], status, now, counters, in_transaction)
        return Decision(Verdict.ALLOW, Kind.REPLY, method, ban=ban)

    def _learn(
        self, head: bytes, status: int, now: float, counters: Counters, in_transaction: Callable[[], bool | None]
    ) -> Ban | None:
        """What an answer to an INVITE tells: a dialog was set up, or a call attempt failed."""
        if 200 <= status <= 299:
            if in_transaction() is not False and (key := dialog.key(head)):
                counters.remember_dialog(key)
        elif status in _FAILURES and self._limits.enabled:
            requester = dialog.requester(head)
            # Only an answer of a transaction of ours: a forged one must not ban whom it names.
            if requester is not None and in_transaction() is True:
                source = self.networks.source(requester.ip, requester.port, "udp")
                if not source.trusted:
                    _, excess = self._limits.suspicious(source.key, source.port, now, counters, malformed=False)
                    if excess is not None:
                        return self._ban(source, excess)
        return None

    def _inspect(
        self,
        raw: bytes,
        source: Source,
        now: float,
        counters: Counters,
        in_transaction: Callable[[], bool | None],
        unparsable: bool,
    ) -> Decision:
        """The closer look: parse, structure, rules, verdict, limits."""
        message = parse(raw)
        structure.check(message, self._max_bytes)
        if unparsable:
            message.defects.append(Defect("parse-error", "message", "the server's parser refused it"))
        findings = [structure.finding(defect) for defect in message.defects]
        if len(raw) <= self._max_bytes:
            findings += detect(message, self.ruleset)
        verdict, status, phrase, reason = self._scale.weigh(message, findings)
        malformed = structure.is_malformed(message)
        if unparsable or (verdict is Verdict.REJECT and malformed and not _answerable(message)):
            verdict, status, phrase = Verdict.DROP, 0, ""

        in_dialog = False
        ban = None
        if message.kind is Kind.REQUEST:
            in_dialog = _known_dialog(raw[: message.body_start], counters)
            zero = self._content_length_zero(message, source, in_dialog)
            if zero is not None:
                findings.append(zero)
                if verdict in (Verdict.ALLOW, Verdict.SCRUB):
                    verdict, status, phrase = Verdict.REJECT, 400, "INVITE With Content-Length 0 Not Accepted"
                    reason = zero.reason
        elif message.kind is Kind.REPLY and message.method == "INVITE" and not malformed:
            ban = self._learn(raw[: message.body_start], message.status, now, counters, in_transaction)

        replacement = None
        if verdict is Verdict.SCRUB:
            replacement = scrub(message, findings)
        if message.method == "ACK" and verdict is Verdict.REJECT:
            verdict, status, phrase = Verdict.DROP, 0, ""
        decision = Decision(
            verdict,
            message.kind,
            message.method,
            # What the server's parser refused is gone, whatever the mode.
            enforced=self._enforces(source) or unparsable or verdict is Verdict.ALLOW,
            status=status,
            phrase=phrase,
            reason=reason,
            findings=tuple(findings),
            ban=ban if self._enforces(source) else None,
            replacement=replacement,
        )
        if message.kind is Kind.REPLY or source.trusted or not self._limits.enabled:
            return decision
        return self._count(decision, raw, source, now, counters, in_dialog, malformed)

    def _count(
        self,
        decision: Decision,
        raw: bytes,
        source: Source,
        now: float,
        counters: Counters,
        in_dialog: bool,
        malformed: bool,
    ) -> Decision:
        counts: dict[str, int] = {}
        excess = None
        if decision.kind is Kind.REQUEST:
            identity = hash((hash(raw), source.port, source.key))
            name, count = self._limits.request(decision.method, in_dialog, identity, source, now, counters)
            if count:
                counts[name] = count
            excess = self._limits.excess(name, count)
        if malformed or decision.verdict in (Verdict.REJECT, Verdict.DROP):
            more, worse = self._limits.suspicious(source.key, source.port, now, counters, malformed)
            counts.update(more)
            excess = worse or excess
        decision = decision._replace(counters=counts)
        return decision if excess is None else self._over(decision, excess, source)

    def _over(self, decision: Decision, excess: Excess, source: Source) -> Decision:
        """A limit was passed: what was let through before is refused, and the source banned."""
        finding = Finding(excess.rule, "limits", 5, "source", excess.reason)
        ban = self._ban(source, excess)
        decision = decision._replace(findings=(*decision.findings, finding), ban=ban)
        if decision.verdict in (Verdict.REJECT, Verdict.DROP):
            return decision
        if self.policy.limits.action == "drop" or decision.method == "ACK":
            return decision._replace(
                verdict=Verdict.DROP, reason=excess.reason, enforced=self._enforces(source), replacement=None
            )
        return decision._replace(
            verdict=Verdict.REJECT,
            status=503,
            phrase="Too Many Requests From Your Address",
            retry_after=ban.seconds if ban else WINDOW,
            reason=excess.reason,
            enforced=self._enforces(source),
            replacement=None,
        )

    def _ban(self, source: Source, excess: Excess) -> Ban | None:
        if not self.policy.bans.enabled or not self._enforces(source):
            return None
        return Ban(source.key, self.policy.bans.seconds[0], excess.rule)

    def _content_length_zero(self, message: Message, source: Source, in_dialog: bool) -> Finding | None:
        """An INVITE without an offer is legal (RFC 3261 13.2.1), and what fuzzers send."""
        setting = self.policy.content_length_zero.invite
        if message.method != "INVITE" or setting == "allow" or structure.has_body(message):
            return None
        if source.trusted or in_dialog:
            return None
        if setting == "reject-initial":
            to = message.get("to")
            if to is not None and grammar.TAG.search(to.value.rpartition(b">")[2]):
                return None
        return Finding(
            CONTENT_LENGTH_ZERO, "content_length_zero", 5, "content-length",
            "an INVITE without a body, outside any dialog that was seen answered", part=PartKind.TEXT,
        )  # fmt: skip


def _length_is_right(raw: bytes, head_end: int) -> bool:
    """Whether Content-Length, in its common spelling, is what follows the header section."""
    at = raw.find(b"\nContent-Length: ", 0, head_end)
    return at >= 0 and raw.startswith(b"%d\r" % (len(raw) - head_end), at + 17)


def _known_dialog(raw: bytes, counters: Counters) -> bool:
    key = dialog.key(raw)
    return bool(key) and counters.knows_dialog(key)


def _answerable(message: Message) -> bool:
    """Whether a reply can be built at all: it needs the request's Via, From, To, Call-ID and CSeq (8.2.6)."""
    if message.kind is not Kind.REQUEST or message.method == "ACK":
        return False
    broken = {
        "header-missing",
        "header-colon",
        "via-format",
        "to-format",
        "cseq-format",
        "first-line",
        "header-unfinished",
    }
    return not any(defect.rule in broken for defect in message.defects)
