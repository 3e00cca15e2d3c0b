"""Abuse reports: for each network what its addresses did, in words and times that its owner can look up."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from ..operate.decisions import Record, is_observed, source_of
from ..operate.harmless import harmless

#: What is told together: whoever owns an address mostly owns these.
_TOGETHER: Final = {4: 24, 6: 48}

#: Lines that a report quotes, addresses that it names and reports that are kept at once.
_LINES: Final = 20
_NAMED: Final = 50
_MOST: Final = 10_000

#: Those of RFC 3261 and its extensions; any other is a word of the sender's.
_METHODS: Final = frozenset(
    {"ACK", "BYE", "CANCEL", "INFO", "INVITE", "MESSAGE", "NOTIFY", "OPTIONS", "PRACK", "PUBLISH", "REFER", "REGISTER"}
    | {"SUBSCRIBE", "UPDATE"}
)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(slots=True)
class Case:
    """What came from one network."""

    network: Network
    addresses: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    #: Messages that went on to the server behind: only observed, and with what was suspicious taken out.
    observed: int = 0
    scrubbed: int = 0
    first: str = ""
    last: str = ""
    lines: list[str] = field(default_factory=list)


def cases(records: Iterable[Record], wanted: list[Network], with_udp: bool) -> list[Case]:
    """What records say against addresses in `wanted`, the networks with most messages first.

    An address is only ever the source of a message, never what stands in one. Datagrams, whose source can be forged, count
    with `with_udp`.
    """
    found: dict[Network, Case] = {}
    for record in records:
        event = record["event"]
        if event.get("kind") != "event" or event.get("action") not in ("reject", "drop", "scrub"):
            continue
        transport = record.get("network")
        transport = str(transport.get("transport", "udp")) if isinstance(transport, dict) else "udp"
        if transport == "udp" and not with_udp:
            continue
        try:
            address = ipaddress.ip_address(source_of(record))
        except ValueError:
            continue
        if not any(address in network for network in wanted if network.version == address.version):
            continue
        around = ipaddress.ip_network((address, _TOGETHER[address.version]), strict=False)
        fired = _rules(record)
        # What only a model finds odd is no evidence of an attack.
        if event["action"] == "scrub" and fired == ["second-opinion"]:
            continue
        case = found.get(around)
        if case is None:
            if len(found) >= _MOST:
                continue
            case = found[around] = Case(around)
        _add(case, record, fired, str(address), transport)
    return sorted(found.values(), key=lambda case: (-case.addresses.total(), str(case.network)))


def _rules(record: Record) -> list[str]:
    rule = record.get("rule")
    names = rule.get("id") if isinstance(rule, dict) else None
    return [harmless(str(name), 48) for name in names[:8]] if isinstance(names, list) else []


def _add(case: Case, record: Record, fired: list[str], address: str, transport: str) -> None:
    moment = harmless(str(record["@timestamp"]), 32)
    case.first = min(case.first or moment, moment)
    case.last = max(case.last, moment)
    case.addresses[address] += 1
    if is_observed(record):
        case.observed += 1
    elif record["event"]["action"] == "scrub":
        case.scrubbed += 1
    case.rules.update(fired)
    if len(case.lines) < _LINES:
        source, sip = record.get("source"), record.get("sip")
        port = source.get("port") if isinstance(source, dict) else None
        method = str(sip.get("method", "")) if isinstance(sip, dict) else ""
        case.lines.append(
            f"{moment}  {address} port {port if isinstance(port, int) else '?'}  {harmless(transport, 8)}  {method if method in _METHODS else 'other'}  "
            f"{', '.join(fired) or harmless(str(record['event'].get('reason', '')), 80)}"
        )


def _became(case: Case) -> str:
    """What was done with the messages, so that the report claims no more than happened."""
    refused = case.addresses.total() - case.observed - case.scrubbed
    if not case.observed and not case.scrubbed:
        return "They were refused."
    parts = (
        (refused, "refused"),
        (case.scrubbed, "passed on without what was hostile in them"),
        (case.observed, "recorded and passed on"),
    )
    told = "; ".join(f"{what}: {number:,}" for number, what in parts if number)
    return f"{told[0].upper()}{told[1:]}."


def text(case: Case, reporter: str, target: str) -> str:
    """One report, ready to be mailed. What a sender wrote is not quoted."""
    told = sorted(case.addresses.items(), key=lambda pair: -pair[1])
    lines = [
        f"Subject: Attacks on SIP from {case.network}",
        "",
        "To whom it may concern,",
        "",
        f"between {case.first} and {case.last} (UTC) our SIP server{f' {target}' if target else ''} received "
        f"{case.addresses.total():,} hostile messages from {len(told):,} address{'es' if len(told) != 1 else ''} of {case.network}.",
        f"{_became(case)} Please look whether these machines are compromised or rented for this, and stop it.",
        "",
        "Addresses, and messages from each:",
        *(f"  {address}  {count:,}" for address, count in told[:_NAMED]),
        *([f"  and {len(told) - _NAMED} more"] if len(told) > _NAMED else []),
        "",
        "What was found, and how often:",
        *(f"  {rule}  {count:,}" for rule, count in case.rules.most_common(20)),
        "",
        f"The first {len(case.lines)} of the messages (time in UTC, source, transport, method, rules):",
        *(f"  {line}" for line in case.lines),
        "",
        "The source addresses are those of the packets, seen by the server itself.",
        *(["", reporter] if reporter else []),
    ]
    return "\n".join(lines) + "\n"
