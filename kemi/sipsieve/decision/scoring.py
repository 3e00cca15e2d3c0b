"""Weighs findings against the policy: allow, scrub, reject or drop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from ..config.policy import Action, Policy
from ..model import STRUCTURE, Finding, Kind, Verdict
from .scrub import can_scrub

#: The reason phrase says what to mend, not what was seen: no need to teach an attacker.
_PHRASES: Final = {400: "Bad Request", 403: "Forbidden", 413: "Request Entity Too Large", 505: "Version Not Supported"}


class Weighed(NamedTuple):
    """A verdict with its answer and the finding that weighs most."""

    verdict: Verdict
    status: int = 0
    phrase: str = ""
    reason: str = ""


class Scale:
    """The policy's actions and thresholds, looked up once."""

    def __init__(self, policy: Policy) -> None:
        self._actions: dict[str, Action] = msgspec.to_builtins(policy.actions)
        self._reject = policy.detection.reject_score
        self._scrub = policy.detection.scrub_score

    def counted(self, findings: Iterable[Finding]) -> list[Finding]:
        """The findings whose scores add up."""
        # One value is one piece of evidence, however many rules fire on it and in however many headers a
        # caller's name stands; the surest speaks for it.
        counted: dict[tuple[str, bytes], Finding] = {}
        for finding in findings:
            if finding.score and self._actions.get(finding.family, "reject") != "log":
                # Defects are each a fact of their own.
                own = finding.family == STRUCTURE or not finding.excerpt
                key = (finding.rule, b"") if own else ("", finding.excerpt)
                known = counted.get(key)
                if known is None or known.score < finding.score:
                    counted[key] = finding
        return list(counted.values())

    def weigh(self, kind: Kind, findings: list[Finding]) -> Weighed:
        """The verdict on one message's findings.

        Scores add up over values and defects. A family whose action is `log` weighs nothing. Replies are
        never dropped or answered: they are scrubbed where that is possible, and passed where not,
        because the callee has answered already (RFC 3261 13.3.1.4).
        """
        counted = self.counted(findings)
        score = sum(finding.score for finding in counted)
        if score < self._scrub:
            return Weighed(Verdict.ALLOW)
        # Of equals an attack says more than the damage that it did to the message.
        worst = max(counted, key=lambda finding: (finding.score, finding.family != STRUCTURE))
        reason = f"{worst.field}: {worst.reason}"
        if kind is Kind.REPLY:
            able = [finding for finding in counted if can_scrub((finding,))]
            return Weighed(Verdict.SCRUB if able else Verdict.ALLOW, reason=reason)
        action = self._actions.get(worst.family, "reject")
        if score < self._reject:
            action = "scrub"
        if action == "scrub":
            if can_scrub(counted):
                return Weighed(Verdict.SCRUB, reason=reason)
            if score < self._reject:
                return Weighed(Verdict.ALLOW, reason=reason)
            action = "reject"
        if action == "drop":
            return Weighed(Verdict.DROP, reason=reason)
        status = 400 if worst.family == STRUCTURE else 403
        if worst.rule == "version":
            status = 505
        elif worst.rule == "oversize":
            status = 413
        return Weighed(Verdict.REJECT, status, _PHRASES[status], reason)
