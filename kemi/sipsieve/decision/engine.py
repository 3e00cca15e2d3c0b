"""The one call that decides on a message: policy, rules and networks made ready for the core, which judges by them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import MappingProxyType
from typing import Final

import msgspec

from .._core import Inspector, Judge
from ..abuse.limits import profiles, standing
from ..abuse.shared_counters import SharedCounters
from ..abuse.sources import Networks
from ..config import accounts, destinations
from ..config.policy import Policy, PolicyError
from ..detection import opinion, patches
from ..detection.ruleset import Ruleset
from ..model import FINDING_PARTS, Ban, Counters, Decision, Finding, Kind, Scope, Source, Standings, Verdict
from .monitor_only import observed, rule_ids

_NO_COUNTS: Final = MappingProxyType[str, int]({})

_KINDS: Final = tuple(Kind)


def _unknown() -> bool | None:
    return None


class Engine:
    """Policy, rules and networks made ready. Immutable; shared copy-on-write by the workers."""

    def __init__(self, policy: Policy, ruleset: Ruleset, networks: Networks | None = None) -> None:
        self.policy = policy
        self.ruleset = ruleset
        self.networks = networks or Networks(policy)
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
            [patch.spec for patch in patches.active(policy.backend.programs, policy.backend.fixed)],
            None if detection.model == "off" else opinion.load(),
        )
        #: What decides on what it saw.
        try:
            tenants = accounts.tenants(policy.domain, rule_ids(ruleset))
        except accounts.AccountError as error:
            raise PolicyError(str(error)) from None
        self.judge = Judge(self.inspector, self.networks.core, _plan(policy, observed(policy, ruleset), tenants))

    def standing(self, ip: str, now: float, counters: Standings) -> dict[str, dict[str, int]]:
        """What an address's counters stand at, by kind of transport; `now` as for `decide`."""
        kinds = {kind: self.networks.source(ip, 0, kind) for kind in ("udp", "tcp", "ws")}
        return {kind: standing(source, now, counters) for kind, source in kinds.items()}

    def decide(
        self,
        raw: bytes,
        source: Source,
        now: float,
        counters: Counters | SharedCounters,
        in_transaction: Callable[[], bool | None] = _unknown,
        unparsable: bool = False,
    ) -> Decision:
        """Decides on one message, as a running server does; which asks the core without this detour.

        `raw` is the message as received, `now` seconds of a clock that never steps. `in_transaction` is asked
        only for answers that tell something: whether the reply belongs to a transaction of this server
        (None: can't be known). `unparsable` says that the server has given the message up already.
        Never raises on input; costs time linear in `len(raw)`.
        """

        def offence(key: str, scope: str) -> int:
            return 0 if self.networks.never_banned(key) else counters.offence(key, Scope(scope))

        tables = counters.memory if isinstance(counters, SharedCounters) else counters
        decided = self.judge.decide(raw, source, now, tables, offence, in_transaction, unparsable)
        verdict, kind, method, enforced, status, phrase, retry_after, reason, findings, counts, ban, made = decided
        return Decision(
            Verdict(verdict),
            _KINDS[kind],
            method,
            enforced=enforced,
            status=status,
            phrase=phrase,
            retry_after=retry_after,
            reason=reason,
            findings=tuple(findings),
            counters=dict(counts) if counts else _NO_COUNTS,
            ban=None if ban is None else Ban(*ban)._replace(scope=Scope(ban[4])),
            replacement=made,
        )

    def counted(self, findings: Iterable[Finding]) -> list[Finding]:
        """The findings whose scores add up; the others say the same of the same value, or are only logged."""
        known = list(findings)
        places = self.judge.counted([(one.rule, one.family, one.score, one.excerpt) for one in known])
        return [known[place] for place in places]


def _plan(policy: Policy, only_watched: Iterable[str], tenants: object) -> dict[str, object]:
    """The policy as the core takes it."""
    limits, bans = policy.limits, policy.bans
    return {
        "enforce": policy.mode == "enforce",
        "actions": [
            *msgspec.to_builtins(policy.actions).items(),
            (opinion.FAMILY, "reject" if policy.detection.model == "scrub" else "log"),
        ],
        "reject_score": policy.detection.reject_score,
        "scrub_score": policy.detection.scrub_score,
        "observed": sorted(only_watched),
        "bodiless": policy.content_length_zero.invite,
        "limited": limits.enabled,
        "ban_factor": limits.ban_factor,
        "profiles": profiles(policy),
        "accounts": accounts.plan(policy.accounts, policy.domain),
        "destinations": destinations.plan(policy.dialling, policy.destinations),
        "drop_excess": limits.action == "drop",
        "excess_status": limits.status,
        "bans": bans.enabled,
        "ban_steps": list(bans.steps),
        "udp_max_seconds": bans.udp_max_seconds,
        "earned_minutes": bans.earned_minutes,
        "fade_minutes": policy.standing.fade_minutes,
        "lost_by": list(policy.standing.lost_by),
        "tenants": tenants,
    }
