"""Proposes limits from observed traffic, and proves them by a backtest."""

from __future__ import annotations

import ipaddress
import math
from collections import Counter
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import Final

import msgspec

from sipsieve.config.policy import Limit, LimitChanges, NetworkPolicy, NetworkRule, Policy
from sipsieve.detection.ruleset import Ruleset

from . import money as money_
from .backtest import Backtest, Row
from .forgotten import Forgotten
from .money import Money
from .peaks import LIMITS, Measured, Peaks, measuring, percentile
from .recording import Recording
from .trials import Trial

#: Rates of everyday requests: what people need differs from place to place. The other limits count evidence against a source:
#: they are not made for a place, and no value of theirs is proposed.
RATES: Final = ("invite", "register", "other", "dialog", "targets")

_RATE_RULES: Final = frozenset(f"limit-{name}" for name in RATES)

#: The room above the busiest minute that was seen.
_ROOM: Final = 2.0

#: The room of a device with an old password, as a part of what it does: evidence counts there, and no more than needed is allowed.
_SCANT: Final = 1.25

#: A legitimate source with so many times what nine in ten of them need gets an entry of its own.
_FAR: Final = 4.0

#: No proposal is below this part of what is in force: a quiet week is no reason to refuse a busy one.
_LEAST: Final = 0.25

#: Legitimate-looking sources and days for a confidence of "high" and "medium".
_ENOUGH: Final = {"high": (20, 3.0), "medium": (8, 1.0)}

#: Rounds of proof before a limit is left as it is.
_ROUNDS: Final = 4

_DAY: Final = 86400.0

#: Opens the recording anew, for one run of a trial.
Open = Callable[[Trial], Recording]


@dataclass(slots=True)
class Proposal:
    """One limit: what was seen on either side, what is in force, what is proposed, and what that would have done."""

    limit: str
    legitimate: list[int]
    others: list[int]
    current: Limit
    proposed: Limit
    #: Sources and messages that the proposal refuses for this limit, by the backtest.
    legitimate_blocked: tuple[int, int] = (0, 0)
    others_blocked: tuple[int, int] = (0, 0)
    why: str = ""

    @property
    def is_changed(self) -> bool:
        """Whether another value is proposed."""
        return self.proposed != self.current


@dataclass(slots=True)
class Own:
    """A network that wants an entry of its own."""

    cidr: str
    limits: dict[str, Limit]
    reason: str
    #: What an operator must find out before this is put in force; "" for nothing.
    confirm: str = ""


@dataclass(slots=True)
class Exempt:
    """What rules found in messages of legitimate-looking sources."""

    rule: str
    field: str
    sources: int
    messages: int
    #: Other sources of which the same was found.
    others: int


@dataclass(slots=True)
class Suggestion:
    """All that is proposed, and how far to believe it."""

    confidence: str
    why: str
    proposals: list[Proposal]
    networks: list[Own]
    exceptions: list[Exempt]
    #: Legitimate-looking sources that the policy in force blocks already, and by which rules.
    already: list[tuple[str, list[str]]]
    policy: Policy
    #: Where calls may go.
    money: Money
    #: What the policy in force trusts by the short form, `[network]`, which can't stand beside `[[network]]`.
    short_form: tuple[str, ...]
    peaks: Peaks
    #: Of the backtest: what the policy in force blocks, and the proposed one.
    before: dict[str, int] = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)


def suggest(policy: Policy, ruleset: Ruleset, open_: Open) -> Suggestion:
    """Measures, proposes and proves. Where the data is too thin, nothing is proposed."""
    trial = measuring(policy, ruleset)
    recording = open_(trial)
    peaks = Peaks.of(recording, trial)
    confidence, why = _confidence(peaks, recording.reader.thin)
    proposals = [_proposal(name, policy, peaks, confidence) for name in LIMITS]
    in_force = Trial(policy, ruleset)
    base = Backtest(in_force)
    base.run(open_(in_force))
    already = {ip: sorted(rules) for ip, rules in _blocked_legitimate(base).items()}
    own = {} if confidence == "low" else _own(policy, peaks, proposals, already)
    spared = {source.ip for source in peaks.forgotten() if _cidr(source.ip, policy) in own}
    money = money_.propose(policy, peaks, confidence)
    result = base
    for round_ in range(_ROUNDS):
        tried = Trial(money_.applied(_applied(policy, proposals, own), money), ruleset)
        result = Backtest(tried)
        result.run(open_(tried))
        worse = {ip: rules for ip, rules in _blocked_legitimate(result, spared).items() if ip not in already}
        refused = money_.refused(result) if money.entries else {}
        if not worse and not refused:
            break
        for ip, rules in worse.items():
            # Who is only refused for where it calls needs no more of the limits.
            if not rules or rules - refused.get(ip, set()):
                _take_back(proposals, rules, whole=round_ == _ROUNDS - 2)
        money_.relaxed(money, refused, whole=round_ >= _ROUNDS - 2)
    _told(proposals, result)
    money_.told(money, result)
    return Suggestion(
        confidence,
        why,
        proposals,
        list(own.values()),
        _exceptions(peaks),
        sorted(already.items()),
        tried.policy,
        money,
        policy.network.trusted if isinstance(policy.network, NetworkPolicy) else (),
        peaks,
        base.figures(Counter()),
        result.figures(Counter()),
    )


def _confidence(peaks: Peaks, thin: Counter[str]) -> tuple[str, str]:
    sources, days = sum(1 for _ in peaks.legitimate()), (peaks.last - peaks.first) / _DAY
    said = f"{sources:,} legitimate-looking sources in {days:.1f} days"
    if thin["counted"] * 10 > peaks.messages:
        return "low", f'{said}, but {thin["counted"]:,} messages were only counted: record with log.allow = "each"'
    for name, (enough, least) in _ENOUGH.items():
        if sources >= enough and days >= least:
            return name, said
    enough, least = _ENOUGH["medium"]
    return "low", f"{said}: too thin; {enough} sources and {least:.0f} day are the least to propose anything from"


def _proposal(name: str, policy: Policy, peaks: Peaks, confidence: str) -> Proposal:
    current: Limit = getattr(policy.limits, name)
    legitimate = sorted(source.peaks.get(name, 0) for source in peaks.legitimate())
    others = sorted(source.peaks[name] for source in peaks.others() if source.peaks.get(name, 0))
    made = Proposal(name, legitimate, others, current, current)
    if name not in RATES:
        made.why = "counts evidence, which is the same everywhere"
    elif current.per_minute == 0:
        made.why = "is switched off"
    elif confidence == "low":
        made.why = "the data is too thin"
    else:
        ordinary = [peak for peak in legitimate if peak <= _far(legitimate)]
        value = _rounded(max(_ROOM * (ordinary[-1] if ordinary else 0), _LEAST * current.per_minute))
        # More than what is in force is never proposed for everybody: who needs it gets an entry.
        if value < current.per_minute:
            burst = round(current.burst * value / current.per_minute)
            made.proposed = Limit(per_minute=value, burst=burst)
            made.why = f"twice the busiest minute of ordinary sources ({ordinary[-1] if ordinary else 0}), with room"
        else:
            made.why = "what is in force fits"
    return made


def _far(peaks: list[int]) -> float:
    """Beyond which a legitimate source is no ordinary one."""
    return max(_FAR * percentile(peaks, 0.9), 8.0)


def _rounded(value: float) -> int:
    """Up to two leading digits, as people write limits."""
    whole = math.ceil(value)
    step: int = 10 ** max(0, len(str(whole)) - 2)
    return math.ceil(whole / step) * step


def _own(policy: Policy, peaks: Peaks, proposals: list[Proposal], already: dict[str, list[str]]) -> dict[str, Own]:
    """Entries for sources that need more than is proposed for all, by network."""
    found: dict[str, Own] = {}
    known = {rule.cidr for rule in policy.network} if not isinstance(policy.network, NetworkPolicy) else set()
    for source in sorted((*peaks.legitimate(), *peaks.forgotten()), key=lambda one: one.ip):
        cidr = _cidr(source.ip, policy)
        if not cidr or cidr in known:
            continue
        # Where evidence counts against somebody behind an address, it gets no more than is in force.
        accused = any(rule not in _RATE_RULES for rule in already.get(source.ip, ()))
        limits: dict[str, Limit] = {}
        for made in proposals:
            peak = source.peaks.get(made.limit, 0)
            if made.limit in RATES and made.current.per_minute and peak * _ROOM > made.proposed.per_minute:
                value = max(_rounded(peak * _ROOM), made.proposed.per_minute)
                if accused:
                    value = min(value, made.current.per_minute)
                if value > made.proposed.per_minute:
                    limits[made.limit] = Limit(per_minute=value, burst=made.current.burst)
        if limits and source.forgotten is None:
            found[cidr] = Own(cidr, limits, _reason(source))
        elif source.forgotten is not None and (failures := _failures(source, source.forgotten, policy)):
            limits["auth_failures"] = failures
            found[cidr] = Own(cidr, limits, source.forgotten.why, source.forgotten.confirm)
    return found


def _failures(source: Measured, forgotten: Forgotten, policy: Policy) -> Limit | None:
    """The refused credentials that a device with an old password needs, where they are more than is in force."""
    current = policy.limits.auth_failures
    # A ban cuts its busiest minute short; its rhythm tells it.
    need = max(source.peaks.get("auth_failures", 0), forgotten.per_minute)
    if not current.per_minute or need <= current.per_minute + current.burst:
        return None
    return Limit(per_minute=_rounded(_SCANT * need), burst=current.burst)


def _cidr(ip: str, policy: Policy) -> str:
    """What a source is counted under, as a network; "" for what is no address."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return ""
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network(f"{address}/{policy.limits.ipv6_prefix}", strict=False))


def _reason(source: Measured) -> str:
    """What a source that needs more looks like."""
    calls, registrations = source.methods["INVITE"], source.methods["REGISTER"]
    if registrations and source.standing.registrations >= 20 and source.peaks.get("register", 0) >= 8:
        what = "many phones behind one address: an office behind NAT"
    elif calls > 4 * registrations and source.peaks.get("targets", 0) >= 8:
        what = "calls many numbers: a call centre or a trunk"
    elif calls > 4 * registrations:
        what = "calls without registering: a trunk or a PBX"
    elif source.methods["OPTIONS"] > 4 * (calls + registrations):
        what = "asks regularly: a monitoring probe"
    else:
        what = "busier than the others"
    peaks = ", ".join(f"{name} {source.peaks[name]}" for name in RATES if source.peaks.get(name, 0) > 1)
    return f"{what} ({source.standing.why}; busiest minute: {peaks})"


def _applied(policy: Policy, proposals: list[Proposal], own: dict[str, Own]) -> Policy:
    limits = msgspec.structs.replace(policy.limits, **{made.limit: made.proposed for made in proposals})
    if isinstance(policy.network, NetworkPolicy):
        network = tuple(NetworkRule(cidr=text, trusted=True) for text in policy.network.trusted)
    else:
        network = policy.network
    entries = tuple(NetworkRule(cidr=one.cidr, limits=LimitChanges(**one.limits)) for one in own.values())
    return msgspec.structs.replace(policy, limits=limits, network=(*network, *entries))


def _blocked_legitimate(result: Backtest, spared: Container[str] = ()) -> dict[str, set[str]]:
    """Trusted and legitimate-looking sources, and `spared` ones, of which something is blocked, with the limits behind it."""
    found: dict[str, set[str]] = {}
    for row in result.rows.values():
        if (row.trusted or row.standing.looks_legitimate or row.ip in spared) and row.blocked:
            found[row.ip] = _limits_of(row)
    return found


def _limits_of(row: Row) -> set[str]:
    return {*row.blocking, *row.banning}


def _take_back(proposals: list[Proposal], rules: set[str], *, whole: bool) -> None:
    """Gives limits that hit a legitimate-looking source more room; where it is not known which, all of them."""
    for made in proposals:
        if rules and f"limit-{made.limit.replace('_', '-')}" not in rules and not whole:
            continue
        value = made.current.per_minute if whole else min(made.current.per_minute, 2 * made.proposed.per_minute)
        burst = (
            made.current.burst if value == made.current.per_minute else min(made.current.burst, 2 * made.proposed.burst)
        )
        made.proposed = Limit(per_minute=value, burst=burst)
        if not made.is_changed:
            made.why = "what is in force: less would have refused a legitimate-looking source"


def _told(proposals: list[Proposal], result: Backtest) -> None:
    for made in proposals:
        rule = f"limit-{made.limit.replace('_', '-')}"
        sides: dict[bool, tuple[int, int]] = {True: (0, 0), False: (0, 0)}
        for row in result.rows.values():
            if number := row.blocking[rule]:
                sources, messages = sides[row.standing.looks_legitimate]
                sides[row.standing.looks_legitimate] = (sources + 1, messages + number)
        made.legitimate_blocked, made.others_blocked = sides[True], sides[False]


def _exceptions(peaks: Peaks) -> list[Exempt]:
    """Rules that would refuse messages of legitimate-looking sources."""
    sources: Counter[tuple[str, str]] = Counter()
    messages: Counter[tuple[str, str]] = Counter()
    others: Counter[tuple[str, str]] = Counter()
    for source in peaks.legitimate():
        sources.update(source.found.keys())
        messages.update(source.found)
    for source in peaks.others():
        others.update(source.found.keys())
    found = [
        Exempt(rule, place, count, messages[rule, place], others[rule, place])
        for (rule, place), count in sources.items()
    ]
    return sorted(found, key=lambda one: (-one.sources, -one.messages, one.rule))
