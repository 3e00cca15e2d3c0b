"""The one call that decides on a message: what the core has seen of it, weighed by policy and limits."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Final

from .._core import Inspection, Inspector
from ..abuse import auth_failures, bans
from ..abuse.limits import WINDOW, Excess, Limits
from ..abuse.sources import CONNECTED, Networks
from ..config.policy import Policy
from ..detection.ruleset import Ruleset
from ..model import FINDING_PARTS, STRUCTURE, Ban, Counters, Decision, Finding, Kind, PartKind, Source, Verdict
from .monitor_only import CONTENT_LENGTH_ZERO, observed
from .scoring import Scale
from .scrub import scrub

_ALLOW: Final = Verdict.ALLOW

_NO_COUNTS: Final = MappingProxyType[str, int]({})

#: Final answers that tell against whoever sent the INVITE: not permitted, not found, no such number,
#: malformed. Challenges (401, 407), busy, no answer and cancelled calls are everyday life.
_FAILURES: Final = frozenset({400, 403, 404, 405, 406, 410, 414, 416, 420, 484, 485, 501, 505, 513, 604, 606})

#: What one message can weigh against its source, twice what rejects it: four rules that fire on one
#: odd name are one odd name.
_MAX_WEIGHT: Final = 10

_KINDS: Final = tuple(Kind)

#: The method under which HTTP requests are counted, whatever theirs is.
HTTP: Final = "HTTP"


def _unknown() -> bool | None:
    return None


class Engine:
    """Policy, rules and networks made ready. Immutable; shared copy-on-write by the workers."""

    def __init__(self, policy: Policy, ruleset: Ruleset, networks: Networks | None = None) -> None:
        self.policy = policy
        self.ruleset = ruleset
        self.networks = networks or Networks(policy)
        self.limits = Limits(policy)
        self._scale = Scale(policy)
        self._enforce = policy.mode == "enforce"
        self._observed = observed(policy, ruleset)
        detection = policy.detection
        #: What looks at messages: the compiled core with these rules and bounds.
        self.inspector = Inspector(
            ruleset.core,
            Finding,
            FINDING_PARTS,
            detection.paranoia,
            detection.max_bytes,
            detection.max_decoded_bytes,
            detection.max_value_bytes,
            detection.sdp,
            detection.text_bodies,
        )

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
        return self.judge(self.inspector.inspect(raw, unparsable), source, now, counters, in_transaction)

    def judge(
        self,
        seen: Inspection,
        source: Source,
        now: float,
        counters: Counters,
        in_transaction: Callable[[], bool | None] = _unknown,
    ) -> Decision:
        """Decides on a message that was looked at; see `decide`."""
        if seen.http and source.transport in CONNECTED and not seen.unparsable:
            return self._http(source, now, counters)
        kind, method = _KINDS[seen.kind], seen.method
        findings: list[Finding] = seen.findings
        verdict, status, phrase, reason = _ALLOW, 0, "", ""
        watched = False
        if findings:
            weighed = self._scale.weigh(kind, findings)
            if self._observed and weighed.verdict is not _ALLOW:
                # What is left without the rules that are only watched is done; where that is nothing, what
                # they would have done is logged.
                real = self._scale.weigh(kind, [f for f in findings if f.rule not in self._observed])
                watched = real.verdict is _ALLOW
                weighed = weighed if watched else real
            verdict, status, phrase, reason = weighed
        if seen.unparsable or (verdict is Verdict.REJECT and seen.malformed and not seen.answerable):
            verdict, status, phrase = Verdict.DROP, 0, ""

        in_dialog = False
        ban = None
        if kind is Kind.REQUEST:
            in_dialog = bool(seen.dialog) and counters.knows_dialog(seen.dialog)
            zero = self._content_length_zero(seen, source, in_dialog)
            if zero is not None:
                findings.append(zero)
                only_watched = zero.rule in self._observed
                if verdict is _ALLOW or (not only_watched and (watched or verdict is Verdict.SCRUB)):
                    watched = only_watched
                    verdict, status, phrase = Verdict.REJECT, 400, "INVITE With Content-Length 0 Not Accepted"
                    reason = zero.reason
        elif kind is Kind.REPLY and not seen.malformed:
            ban = self._learn(seen, now, counters, in_transaction)

        replacement = None
        if verdict is Verdict.SCRUB:
            replacement = scrub(seen.raw, findings)
            if kind is Kind.REQUEST and not self._is_clean(replacement):
                replacement = None
                verdict, status, phrase = Verdict.REJECT, 403, "Forbidden"
        if method == "ACK" and verdict is Verdict.REJECT:
            verdict, status, phrase = Verdict.DROP, 0, ""
        decision = Decision(
            verdict,
            kind,
            method,
            # What the server's parser refused is gone, whatever the mode.
            enforced=(self._enforces(source) and not watched) or seen.unparsable or verdict is _ALLOW,
            status=status,
            phrase=phrase,
            reason=reason,
            findings=tuple(findings),
            ban=ban,
            replacement=replacement,
        )
        if kind is Kind.REPLY or source.trusted or not self.limits.enabled:
            return decision
        return self._count(decision, seen, source, now, counters, in_dialog)

    def counted(
        self, seen: Inspection, name: str, count: int, source: Source, now: float, counters: Counters
    ) -> Decision:
        """Goes on with a request in which nothing is odd, whose counter was raised to `count`, more than its limit's quiet part."""
        name, count, excess = self.limits.counted(name, count, seen, source, now, counters)
        decision = Decision(_ALLOW, Kind.REQUEST, seen.method, counters={name: count})
        return decision if excess is None else self._over(decision, excess, source, now, counters)

    def _http(self, source: Source, now: float, counters: Counters) -> Decision:
        """Decides on what is not SIP but HTTP: a handshake of WebSocket, or for the host's `xhttp`. It is not looked into."""
        decision = Decision(_ALLOW, Kind.MALFORMED, HTTP)
        if source.trusted or not self.limits.enabled:
            return decision
        count, excess = self.limits.http(source, now, counters)
        decision = decision._replace(counters={"http": count} if count else _NO_COUNTS)
        if excess is None:
            return decision
        finding = Finding(excess.rule, "limits", 5, "source", excess.reason)
        enforced = self._enforces(source) and excess.rule not in self._observed
        # An answer would be SIP, which no browser reads.
        return decision._replace(verdict=Verdict.DROP, reason=excess.reason, enforced=enforced, findings=(finding,))

    def _is_clean(self, scrubbed: bytes) -> bool:
        """Whether nothing is left: where grammar is broken, a placeholder may make another part of what stands beside it."""
        left = [finding for finding in self.inspector.inspect(scrubbed).findings if finding.rule not in self._observed]
        return self._scale.weigh(Kind.REQUEST, left).verdict is _ALLOW

    def _enforces(self, source: Source) -> bool:
        """Whether decisions on this source are carried out: its network's `mode`, or the policy's."""
        return self._enforce if source.enforced is None else source.enforced

    def _learn(
        self, seen: Inspection, now: float, counters: Counters, in_transaction: Callable[[], bool | None]
    ) -> Ban | None:
        """What an answer tells: a dialog was set up, a call attempt failed, or credentials were refused."""
        status = seen.status
        if 200 <= status <= 299:
            if seen.method == "INVITE" and seen.dialog and in_transaction() is not False:
                counters.remember_dialog(seen.dialog)
            return None
        failed = seen.method == "INVITE" and status in _FAILURES
        if not self.limits.enabled or not (failed or status in auth_failures.REFUSALS):
            return None
        requester = seen.requester
        # Only an answer of a transaction of ours: a forged one must not ban whom it names.
        if requester is None or in_transaction() is not True:
            return None
        # By which transport the request came is not told by anything that its sender did not write.
        source = self.networks.source(requester[0], requester[1], "udp")
        if source.trusted:
            return None
        excess = None
        refused = auth_failures.refused(seen, source, now, counters)
        if refused:
            excess = self.limits.auth_failure(source, refused == auth_failures.PROVEN, now, counters)
        if excess is None and failed:
            _, excess = self.limits.suspicious(source, now, counters, malformed=False, weight=0)
        return None if excess is None else self._ban(source, excess, counters)

    def _count(
        self, decision: Decision, seen: Inspection, source: Source, now: float, counters: Counters, in_dialog: bool
    ) -> Decision:
        counts: dict[str, int] = {}
        excess = None
        if decision.kind is Kind.REQUEST:
            auth_failures.offered(seen, source, now, counters)
            name, count, excess = self.limits.request(seen, in_dialog, source, now, counters)
            if count:
                counts[name] = count
        # A rule that is only watched counts for nothing; a policy or network that is only watched counts
        # as it would, so that the log shows what would have followed.
        watched = not decision.enforced and self._enforces(source)
        if not watched and (seen.malformed or decision.verdict in (Verdict.REJECT, Verdict.DROP)):
            attacks = (finding.score for finding in decision.findings if finding.family != STRUCTURE)
            weight = min(sum(attacks), _MAX_WEIGHT)
            more, worse = self.limits.suspicious(source, now, counters, seen.malformed, weight)
            counts.update(more)
            excess = worse or excess
        if counts:
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

    def _content_length_zero(self, seen: Inspection, source: Source, in_dialog: bool) -> Finding | None:
        """An INVITE without an offer is legal (RFC 3261 13.2.1), and what fuzzers send."""
        setting = self.policy.content_length_zero.invite
        if seen.method != "INVITE" or setting == "allow" or seen.has_body:
            return None
        if source.trusted or in_dialog:
            return None
        if setting == "reject-initial" and seen.to_tag:
            return None
        return Finding(
            CONTENT_LENGTH_ZERO, "content_length_zero", 5, "content-length",
            "an INVITE without a body, outside any dialog that was seen answered", part=PartKind.TEXT,
        )  # fmt: skip
