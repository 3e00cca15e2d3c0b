"""The one call that decides on a message."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Final

from . import bans, challenge, dialog, grammar, structure
from .detect import detect
from .limits import WINDOW, Excess, Limits
from .message import parse
from .model import Ban, Counters, Decision, Defect, Finding, Kind, Message, PartKind, Source, Verdict
from .network import Networks
from .observed import CONTENT_LENGTH_ZERO, observed
from .policy import Policy
from .ruleset import Ruleset
from .scrub import scrub
from .shape import Shape, Shapes
from .sieve import CREDENTIALS, IN_DIALOG, METHODS, SUSPECT, Sieve
from .verdict import Scale

_ALLOW: Final = Verdict.ALLOW
_REQUEST: Final = Kind.REQUEST
_new: Final = tuple.__new__

_NO_COUNTS: Final = MappingProxyType[str, int]({})

#: Final answers that tell against whoever sent the INVITE: not permitted, not found, no such number,
#: malformed. Challenges (401, 407), busy, no answer and cancelled calls are everyday life.
_FAILURES: Final = frozenset({400, 403, 404, 405, 406, 410, 414, 416, 420, 484, 485, 501, 505, 513, 604, 606})

#: Bytes in which a suspicious message's credentials are looked for.
_HEAD_BYTES: Final = 8192

#: What one message can weigh against its source, twice what rejects it: four rules that fire on one
#: odd name are one odd name.
_MAX_WEIGHT: Final = 10


def _unknown() -> bool | None:
    return None


#: Header sections that stage one looks at. Calls have 400 to 4,000 bytes; what is longer is parsed at once,
#: because the parser can stop where the scan would have to see it all.
QUICK_BYTES: Final = 8192


class Engine:
    """Policy, rules and networks made ready. Immutable but for caches; shared copy-on-write by the workers."""

    def __init__(self, policy: Policy, ruleset: Ruleset, networks: Networks | None = None) -> None:
        self.policy = policy
        self.ruleset = ruleset
        self.networks = networks or Networks(policy)
        self._sieve = Sieve(ruleset, policy.detection.paranoia)
        self.shapes = Shapes(ruleset)
        self.limits = Limits(policy)
        self._scale = Scale(policy)
        self._enforce = policy.mode == "enforce"
        self._observed = observed(policy, ruleset)
        self._max_bytes = policy.detection.max_bytes
        self._look_at_bodies = policy.detection.sdp or policy.detection.text_bodies
        # The sieve has compared the whole first line, so four bytes tell the method.
        self._methods = {method.encode()[:4].ljust(4): method for method in METHODS}

    def standing(self, ip: str, now: float, counters: Counters) -> dict[str, dict[str, int]]:
        """What an address's counters stand at, by kind of transport; `now` as for `decide`."""
        kinds = {kind: self.networks.source(ip, 0, kind) for kind in ("udp", "tcp")}
        return {kind: self.limits.standing(source, now, counters) for kind, source in kinds.items()}

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

        `raw` is the message as received, `now` seconds of a clock that never steps. `in_transaction` is asked
        only for answers that tell something: whether the reply belongs to a transaction of this server
        (None: can't be known). `unparsable` says that the server has given the message up already.
        Never raises on input; costs time linear in `len(raw)`.
        """
        if not unparsable:
            shape = self.shapes.find(raw)
            # A shape says nothing of the body.
            if shape is not None and (len(raw) == shape.head_end or self._passes_body(raw, shape.head_end)):
                if shape.status:
                    return self._reply(raw, shape, now, counters, in_transaction)
                return self._request(raw, shape, source, now, counters)
        head_end = raw.find(b"\r\n\r\n") + 4
        if head_end < 4 or head_end > QUICK_BYTES or unparsable or len(raw) > self._max_bytes:
            return self._inspect(raw, source, now, counters, in_transaction, unparsable)
        flags = self._sieve.look(raw[:head_end])
        if flags & SUSPECT or not _length_is_right(raw, head_end):
            return self._inspect(raw, source, now, counters, in_transaction, False)
        if len(raw) > head_end and not self._passes_body(raw, head_end):
            return self._inspect(raw, source, now, counters, in_transaction, False)
        method = self._methods.get(raw[:4])
        if method is None:
            self.shapes.learn(raw, now)
            line = raw.find(b"\nCSeq:", 0, head_end)
            method = raw[line + 6 : raw.find(b"\r", line, head_end)].split()[-1].decode("ascii")
            shape = Shape(Kind.REPLY, method, int(raw[8:11]), head_end, False, False)
            return self._reply(raw, shape, now, counters, in_transaction)
        if method == "INVITE" and len(raw) == head_end:
            return self._inspect(raw, source, now, counters, in_transaction, False)
        self.shapes.learn(raw, now)
        shape = Shape(Kind.REQUEST, method, 0, head_end, bool(flags & IN_DIALOG), bool(flags & CREDENTIALS))
        return self._request(raw, shape, source, now, counters)

    def _request(self, raw: bytes, shape: Shape, source: Source, now: float, counters: Counters) -> Decision:
        """A request in which nothing is odd: counted, and passed."""
        method = shape.method
        if source.trusted or not self.limits.enabled:
            return Decision(Verdict.ALLOW, Kind.REQUEST, method)
        in_dialog = shape.tagged and _known_dialog(raw[: shape.head_end], counters)
        if shape.credentials:
            challenge.offered(raw[: shape.head_end], source, now, counters)
        name, count, excess = self.limits.request(method, in_dialog, raw, source, now, counters)
        if excess is not None:
            return self._passed(method, name, count, excess, source, now, counters)
        # One is made for every message: a bare tuple takes a third of the time that naming its fields does.
        counts = {name: count} if count else _NO_COUNTS
        return _new(Decision, (_ALLOW, _REQUEST, method, True, 0, "", 0, "", (), counts, None, None, False))

    def counted(
        self, raw: bytes, shape: Shape, name: str, count: int, source: Source, now: float, counters: Counters
    ) -> Decision:
        """Goes on with a request of a known shape whose counter was raised to `count`, more than its limit's quiet part."""
        name, count, excess = self.limits.counted(name, count, shape.method, raw, source, now, counters)
        return self._passed(shape.method, name, count, excess, source, now, counters)

    def _passed(
        self, method: str, name: str, count: int, excess: Excess | None, source: Source, now: float, counters: Counters
    ) -> Decision:
        decision = Decision(Verdict.ALLOW, Kind.REQUEST, method, counters={name: count})
        return decision if excess is None else self._over(decision, excess, source, now, counters)

    def _passes_body(self, raw: bytes, head_end: int) -> bool:
        if not self._look_at_bodies:
            return True
        if self.policy.detection.text_bodies and raw.startswith((b"MESSAGE ", b"INFO ")):
            return False
        return not self.policy.detection.sdp or self.ruleset.body_is_plain(raw[head_end:])

    def _enforces(self, source: Source) -> bool:
        """Whether decisions on this source are carried out: its network's `mode`, or the policy's."""
        return self._enforce if source.enforced is None else source.enforced

    def _reply(
        self, raw: bytes, shape: Shape, now: float, counters: Counters, in_transaction: Callable[[], bool | None]
    ) -> Decision:
        """A reply in which nothing is odd: learned from, and passed."""
        ban = None
        if shape.method == "INVITE" or shape.status in challenge.REFUSALS:
            head = raw[: shape.head_end]
            ban = self._learn(head, shape.method, shape.status, now, counters, in_transaction)
        return Decision(Verdict.ALLOW, Kind.REPLY, shape.method, ban=ban)

    def _learn(
        self,
        head: bytes,
        method: str,
        status: int,
        now: float,
        counters: Counters,
        in_transaction: Callable[[], bool | None],
    ) -> Ban | None:
        """What an answer tells: a dialog was set up, a call attempt failed, or credentials were refused."""
        if 200 <= status <= 299:
            if method == "INVITE" and in_transaction() is not False and (key := dialog.key(head)):
                counters.remember_dialog(key)
            return None
        failed = method == "INVITE" and status in _FAILURES
        if not self.limits.enabled or not (failed or status in challenge.REFUSALS):
            return None
        requester = dialog.requester(head)
        # Only an answer of a transaction of ours: a forged one must not ban whom it names.
        if requester is None or in_transaction() is not True:
            return None
        # By which transport the request came is not told by anything that its sender did not write.
        source = self.networks.source(requester.ip, requester.port, "udp")
        if source.trusted:
            return None
        excess = None
        refused = challenge.refused(head, status, source, now, counters)
        if refused:
            excess = self.limits.auth_failure(source, refused == challenge.PROVEN, now, counters)
        if excess is None and failed:
            _, excess = self.limits.suspicious(source, now, counters, malformed=False, weight=0)
        return None if excess is None else self._ban(source, excess, counters)

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
            findings += detect(message, self.ruleset, self.policy.detection)
        weighed = self._scale.weigh(message, findings)
        watched = False
        if self._observed and weighed.verdict is not Verdict.ALLOW:
            # What is left without the rules that are only watched is done; where that is nothing, what
            # they would have done is logged.
            real = self._scale.weigh(message, [f for f in findings if f.rule not in self._observed])
            watched = real.verdict is Verdict.ALLOW
            weighed = weighed if watched else real
        verdict, status, phrase, reason = weighed
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
                only_watched = zero.rule in self._observed
                if verdict is Verdict.ALLOW or (not only_watched and (watched or verdict is Verdict.SCRUB)):
                    watched = only_watched
                    verdict, status, phrase = Verdict.REJECT, 400, "INVITE With Content-Length 0 Not Accepted"
                    reason = zero.reason
        elif message.kind is Kind.REPLY and not malformed:
            ban = self._learn(raw[: message.body_start], message.method, message.status, now, counters, in_transaction)

        if not findings and message.kind is not Kind.MALFORMED and (message.method != "INVITE" or message.body):
            self.shapes.learn(raw, now)
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
            enforced=(self._enforces(source) and not watched) or unparsable or verdict is Verdict.ALLOW,
            status=status,
            phrase=phrase,
            reason=reason,
            findings=tuple(findings),
            ban=ban,
            replacement=replacement,
        )
        if message.kind is Kind.REPLY or source.trusted or not self.limits.enabled:
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
            challenge.offered(raw[:_HEAD_BYTES], source, now, counters)
            name, count, excess = self.limits.request(decision.method, in_dialog, raw, source, now, counters)
            if count:
                counts[name] = count
        # A rule that is only watched counts for nothing; a policy or network that is only watched counts
        # as it would, so that the log shows what would have followed.
        watched = not decision.enforced and self._enforces(source)
        if not watched and (malformed or decision.verdict in (Verdict.REJECT, Verdict.DROP)):
            attacks = (finding.score for finding in decision.findings if finding.family != structure.FAMILY)
            weight = min(sum(attacks), _MAX_WEIGHT)
            more, worse = self.limits.suspicious(source, now, counters, malformed, weight)
            counts.update(more)
            excess = worse or excess
        decision = decision._replace(counters=counts)
        return decision if excess is None else self._over(decision, excess, source, now, counters)

    def _over(self, decision: Decision, excess: Excess, source: Source, now: float, counters: Counters) -> Decision:
        """A limit was passed: what was let through before is refused, and the source perhaps banned."""
        finding = Finding(excess.rule, "limits", 5, "source", excess.reason)
        watched = excess.rule in self._observed
        ban = None if watched else self._ban(source, excess, counters)
        decision = decision._replace(findings=(*decision.findings, finding), ban=ban)
        if decision.verdict in (Verdict.REJECT, Verdict.DROP) and (decision.enforced or watched):
            return decision
        if watched and decision.verdict is Verdict.SCRUB:
            return decision
        enforced = self._enforces(source) and not watched
        if self.policy.limits.action == "drop" or decision.method == "ACK":
            return decision._replace(verdict=Verdict.DROP, reason=excess.reason, enforced=enforced, replacement=None)
        status = self.policy.limits.status
        left = WINDOW - int(now) % WINDOW
        return decision._replace(
            verdict=Verdict.REJECT,
            status=status,
            phrase="Too Many Requests From Your Address",
            # RFC 3261 21.5.4 has Retry-After for a 503; a 403 says not to try again.
            retry_after=(ban.seconds if ban else left) if status == 503 else 0,
            reason=excess.reason,
            enforced=enforced,
            replacement=None,
        )

    def _ban(self, source: Source, excess: Excess, counters: Counters) -> Ban | None:
        if not excess.ban or not self.policy.bans.enabled or not self._enforces(source):
            return None
        if self.networks.never_banned(source.key):
            return None
        offences = counters.offence(source.key, excess.forgeable)
        if not offences:
            return None
        length = bans.seconds(self.policy.bans, offences, excess.forgeable)
        return Ban(source.key, length, excess.rule, offences, excess.forgeable, excess.reason)

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
