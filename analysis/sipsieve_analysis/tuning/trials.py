"""One policy, made ready to be tried on recorded traffic by the guard's own core."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from sipsieve._core import Messages
from sipsieve._core import Trial as CoreTrial
from sipsieve.abuse.own_addresses import OwnAddresses
from sipsieve.abuse.sources import Networks
from sipsieve.config import policy as policies
from sipsieve.config.policy import Policy, PolicyError
from sipsieve.control import geo_files
from sipsieve.decision.engine import Engine
from sipsieve.detection import ruleset as rulesets
from sipsieve.detection.ruleset import RuleError, Ruleset

if TYPE_CHECKING:
    # Names of shapes, which the compiled module itself does not have.
    from sipsieve._core import TrialOutcome, TrialRecord

#: What becomes of a message, for callers and attackers alike.
ALLOW, SCRUB, BLOCK, BANNED = "allow", "scrub", "block", "banned"

_EFFECTS: Final = {"allow": ALLOW, "scrub": SCRUB, "reject": BLOCK, "drop": BLOCK}


class Outcome(NamedTuple):
    """What one policy makes of one message."""

    effect: str
    trusted: bool
    rules: tuple[str, ...]
    field: str
    #: The ban that follows: key, seconds, rule.
    ban: tuple[str, int, str] | None
    #: What was counted of its source in this minute, by limit.
    counts: Sequence[tuple[str, int]]
    #: Of an answer that refused credentials: whose.
    refused: str
    #: 0 a request, 1 a reply, 2 neither.
    kind: int
    method: str
    status: int
    #: The same of a request and its answers; 0 where it can't be told.
    transaction: int


class Trial:
    """A policy and its rules over one recording, from its beginning to its end."""

    def __init__(self, policy: Policy, ruleset: Ruleset, threads: int = 0) -> None:
        """Decisions are taken as carried out, also where the policy's `mode` is observe; a network's own is heeded."""
        self.policy = policy
        self.ruleset = ruleset
        self._own = _own(())
        enforced = msgspec.structs.replace(policy, mode="enforce")
        engine = Engine(enforced, ruleset, Networks(enforced, geo_files.offline(policy.geo)))
        self._core = CoreTrial(
            engine.judge,
            lambda key: engine.networks.never_banned(key) or self._own.hold(key),
            policy.limits.capacity,
            policy.bans.capacity,
            policy.bans.forget_seconds,
            threads or len(os.sched_getaffinity(0)),
        )

    def spare(self, own: Sequence[str]) -> None:
        """Never bans these addresses, which are the server's own."""
        self._own = _own(own)

    def records(self, records: Sequence[TrialRecord]) -> list[Outcome]:
        """What would have become of recorded messages."""
        return [_outcome(made) for made in self._core.records(records)]

    def messages(self, messages: Messages) -> list[Outcome]:
        """What would have become of what a reader found."""
        return [_outcome(made) for made in self._core.messages(messages)]


def _own(addresses: Sequence[str]) -> OwnAddresses:
    ipv4, ipv6 = set(), set()
    for text in addresses:
        try:
            ipv6.add(ipaddress.IPv6Address(text).exploded.replace(":", ""))
        except ValueError:
            ipv4.add(text)
    # An IPv6 address is asked for in brackets, and is one of these then.
    return OwnAddresses([], lambda address: address[:1] == "[" or address in ipv4, sorted(ipv6))


def load(path: Path, rules: Sequence[Path] = ()) -> Trial:
    """The trial of a policy file, with more rule files than it names. Raises `PolicyError`."""
    policy = policies.load(path)
    return Trial(policy, ruleset_of(policy, rules))


def ruleset_of(policy: Policy, rules: Sequence[Path] = ()) -> Ruleset:
    """The rules and exceptions of a policy. Raises `PolicyError`."""
    try:
        own = (*policy.detection.rules, *map(str, rules))
        return rulesets.load(own=own, exceptions=policy.detection.exceptions, products=policy.detection.products)
    except RuleError as error:
        raise PolicyError(str(error)) from error


def effect_of(action: str) -> str:
    """The effect of a recorded action."""
    return _EFFECTS.get(action, ALLOW)


def _outcome(made: TrialOutcome) -> Outcome:
    verdict, enforced, shut_out, trusted, rules, place, _, counts, ban, refused, (kind, method, status, transaction) = (
        made
    )
    effect = BANNED if shut_out else _EFFECTS[verdict] if enforced else ALLOW
    return Outcome(
        effect, trusted, tuple(rules), place, ban, counts, refused, kind, method, status, transaction
    )  # fmt: skip
