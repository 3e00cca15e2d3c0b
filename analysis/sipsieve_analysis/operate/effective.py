"""What the policy says about one address."""

from __future__ import annotations

import ipaddress
from typing import Any

import msgspec

from sipsieve import _core
from sipsieve.abuse.sources import Networks
from sipsieve.config.policy import NetworkRule, Policy
from sipsieve.model import Scope

from .durations import readable
from .harmless import harmless


def effective(policy: Policy, ip: str, geo: _core.Geo | None = None) -> dict[str, Any]:
    """The part of the policy that holds for `ip`: what it is counted under, its network, trust, mode, limits.

    `geo` knows where it is at home. Raises `ValueError` where `ip` is no address.
    """
    address = ipaddress.ip_address(ip.strip("[]"))
    networks = Networks(policy, geo)
    source = networks.source(str(address), 5060, "udp")
    known = [(str(network), rule) for network, rule in networks.rules]
    known += [(_area(rule), rule) for rule in networks.areas]
    rule = known[source.network] if source.network >= 0 else None
    enforced = policy.mode == "enforce" if source.enforced is None else source.enforced
    limits = {
        name: {**value, "from": "limits"}
        for name, value in msgspec.to_builtins(policy.limits).items()
        if isinstance(value, dict) and "per_minute" in value
    }
    if rule is not None:
        own = {name: value for name, value in msgspec.to_builtins(rule[1].limits).items() if value is not None}
        limits |= {name: {**value, "from": f"network {rule[0]}"} for name, value in own.items()}
    return {
        "ip": str(address),
        "counted_as": source.key,
        "network": rule[0] if rule else None,
        "country": source.country,
        "asn": source.asn,
        "organization": source.organization,
        "action": source.barred[0] if source.barred else None,
        "trusted": source.trusted,
        "mode": "enforce" if enforced else "observe",
        "limited": policy.limits.enabled and not source.trusted,
        "limits": limits,
        "bans": {
            "applied": policy.bans.enabled and enforced and not source.trusted,
            "seconds": list(policy.bans.steps),
            "udp_max_seconds": policy.bans.udp_max_seconds,
        },
    }


def _area(rule: NetworkRule) -> str:
    """A network that is told by country or operator, in words."""
    told = [*rule.country, *(f"AS{number}" for number in rule.asn)]
    return f"{'all but ' if rule.outside else ''}{', '.join(told)}"


def home(country: str, asn: int, organization: str) -> str:
    """Where an address is at home, on a line: `NL, AS64500 Example Networks`; "" where nothing is known."""
    operator = f"AS{asn} {organization}".strip() if asn else ""
    return harmless(", ".join(part for part in (country, operator) if part), 80)


def text_of_address(facts: dict[str, Any], now: float) -> list[str]:
    """The facts as lines; `live` in them is what the running server adds, None without one. `now` in seconds
    since the epoch."""
    trust = "yes: neither limited nor banned, still inspected" if facts["trusted"] else "no"
    lines = [
        facts["ip"],
        f"  network      {facts['network'] or 'none of its own'}",
        f"  counted as   {facts['counted_as']}",
        f"  trusted      {trust}",
        f"  mode         {facts['mode']}",
    ]
    if at_home := home(facts["country"], facts["asn"], facts["organization"]):
        lines.insert(2, f"  at home      {at_home}")
    if facts["action"]:
        lines.append(f"  requests     {facts['action']}")
    if facts["limited"]:
        lines.append("  limits       a minute, and the burst on top")
        for name, limit in facts["limits"].items():
            allowed = f"{limit['per_minute']:>6} + {limit['burst']}" if limit["per_minute"] else "   off"
            lines.append(f"    {name:<14} {allowed:<14} from {limit['from']}")
    else:
        lines.append("  limits       none")
    bans = facts["bans"]
    steps = ", ".join(f"{seconds} s" for seconds in bans["seconds"])
    lines.append(
        f"  bans         {steps}; at most {bans['udp_max_seconds']} s over UDP"
        if bans["applied"]
        else "  bans         none"
    )
    live = facts["live"]
    if live is None:
        return [*lines, "  now          no server was asked"]
    for kind, counts in live["counters"].items():
        shown = ", ".join(f"{name} {count}" for name, count in counts.items()) or "nothing in this minute"
        lines.append(f"  now, {kind:<7} {shown}")
    if listed := live.get("feed"):
        lines.append(f"  listed       by {harmless(listed['feed'])}: {harmless(listed['entry'])} ({listed['action']})")
    lines += _standing(live["standing"], now)
    ban = live["ban"]
    if ban is None:
        return [*lines, "  banned       no"]
    lines.append(
        f"  banned       by {ban['rule']}, {readable(ban['until'] - now)} left, {Scope(ban['scope']).label}: {harmless(ban['reason'], 120)}"
    )
    return lines


def _standing(standing: dict[str, Any], now: float) -> list[str]:
    """What a source has earned, since when, by what, until when, and what it gains by that."""
    known, credit, enough = standing["known"], standing["credit"], standing["enough"]
    if known and known["lost"]:
        return [f"  standing     lost {readable(now - known['last'])} ago by {harmless(known['lost'])}"]
    if not enough:
        return ["  standing     off: bans.earned_minutes is 0"]
    if credit < enough:
        return [f"  standing     none: shown in {credit} minutes, {enough} are enough"]
    lines = [f"  standing     yes: shown in {credit} minutes (9 count at the most), {enough} are enough"]
    if known:
        proofs = " and ".join(f"{proof}s" for proof in known["proofs"])
        lines.append(
            f"               by {proofs}, for {readable(now - known['since'])}; ends in {readable(known['until'] - now)} without a proof"
        )
    lines.append("               not banned for datagrams; keeps own limits, records and answers under a flood")
    return lines
