"""Decision records with all that the Elastic Common Schema 8.11 and Packetbeat's `sip.*` have a field for, and back.

A record itself holds nothing that contradicts these; here it gets what they ask for beyond that: categories, the parts of
URIs, one rule, and everything of our own under `sipsieve.*`.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Final

from .decisions import Record, is_observed, ours_of, weightiest
from .forms import VERSION as FORM

VERSION: Final = "8.11.0"

#: `scheme:user@host:port` with what may follow. What does not look like it stays whole, in `original`.
_URI: Final = re.compile(
    r"([A-Za-z][A-Za-z0-9+.-]{0,20}):(?:([^@]{0,512}+)@)?(\[[0-9A-Fa-f:.]{2,45}\]|[^\[\]:;?@\s]{1,255}+)(?::(\d{1,5}))?(?:[;?].*)?",
    re.S,
)

_DENIED: Final = frozenset({"reject", "drop", "banned"})

#: What ECS calls the transport of these; ours stays in `sipsieve.transport`.
_TRANSPORTS: Final = {"udp": "udp", "tcp": "tcp", "tls": "tcp", "ws": "tcp", "wss": "tcp", "sctp": "sctp"}

#: Of the record's own sets of fields, what goes under `sipsieve.*`.
_SETS: Final = ("policy", "counters", "ban", "findings", "indicators")

#: What `to_ecs` adds to `sipsieve.*`, or puts there from elsewhere.
_MADE: Final = frozenset({"version", "kind", "rules", "transport", *_SETS})

#: Of `event` in a `state` record what ECS has a field for.
_STATE: Final = frozenset({"kind", "action", "outcome", "reason", "user"})


def to_ecs(record: Record) -> dict[str, Any]:
    """The record in ECS. What is no decision record of ours raises `ValueError`."""
    event = record.get("event")
    if not isinstance(event, dict) or "kind" in ours_of(record):
        raise ValueError("is no decision record")
    kind = event.get("kind")
    made: dict[str, Any] = {"@timestamp": record["@timestamp"], "ecs": {"version": VERSION}}
    if kind == "event":
        _decision(made, record, event)
    elif kind == "metric":
        _count(made, record, event)
    elif kind == "state":
        _state(made, record, event)
    else:
        raise ValueError(f"event.kind {kind!r}: is none of event, metric and state")
    made["event"] |= {"module": "sipsieve", "dataset": "sipsieve.decisions", "provider": "sipsieve"}
    made["observer"] = {"vendor": "sipsieve", "product": "sipsieve", "type": "ips"}
    return made


def _decision(made: dict[str, Any], record: Record, event: dict[str, Any]) -> None:
    action, enforced = str(event.get("action")), not is_observed(record)
    findings, sip = record.get("findings") or [], record.get("sip") or {}
    denied = action in _DENIED and enforced
    made["event"] = {
        # An alert is what a rule said that is more than a count of ordinary messages.
        "kind": "alert" if action in ("reject", "drop", "scrub") else "event",
        "category": ["network", "intrusion_detection"] if record.get("rule", {}).get("id") else ["network"],
        "type": ["info"] if action == "error" else ["denied"] if denied else ["allowed"],
        **{name: event[name] for name in ("action", "outcome", "id", "reason") if name in event},
    }
    ours: dict[str, Any] = {"version": FORM, "kind": "event", "rules": record.get("rule", {}).get("id", [])}
    ours |= {name: value for name, value in ours_of(record).items() if name not in ("version", "bytes")}
    _source(made, record, ours)
    if findings:
        worst = weightiest(record)
        made["event"]["risk_score"] = sum(one.get("score") or 0 for one in findings)
        made["rule"] = {"id": worst.get("rule"), "category": worst.get("family"), "description": worst.get("reason")}
    elif ours["rules"]:
        made["rule"] = {"id": ours["rules"][0]}
    _rule(made, record)
    if sip:
        made["sip"] = _sip(sip)
    if (size := ours_of(record).get("bytes")) is not None:
        made["network"]["bytes"] = made.setdefault("source", {})["bytes"] = size
    agent = record.get("user_agent")
    if isinstance(agent, dict) and "original" in agent:
        made["user_agent"] = {"original": agent["original"]}
        made.setdefault("sip", {})["user_agent"] = agent["original"]
    ours |= {name: record[name] for name in _SETS if name in record}
    made["sipsieve"] = ours


def _source(made: dict[str, Any], record: Record, ours: dict[str, Any]) -> None:
    source = record.get("source") or {}
    ip = source.get("ip")
    network: dict[str, Any] = {"protocol": "sip"}
    if isinstance(ip, str):
        made["source"] = {"address": ip}
        if (version := _ip(ip)) is not None:
            made["source"]["ip"] = ip
            network["type"] = f"ipv{version}"
            made["related"] = {"ip": [ip]}
    if "port" in source:
        made.setdefault("source", {})["port"] = source["port"]
    # The record's own names are ECS's.
    if home := {name: source[name] for name in ("geo", "as") if name in source}:
        made.setdefault("source", {}).update(home)
    transport = (record.get("network") or {}).get("transport")
    if transport is not None:
        network["transport"] = _TRANSPORTS.get(transport, "tcp")
        if network["transport"] != transport:
            ours["transport"] = transport
    made["network"] = network


def _ip(text: str) -> int | None:
    try:
        return ipaddress.ip_address(text).version
    except ValueError:
        return None


def _rule(made: dict[str, Any], record: Record) -> None:
    version = (record.get("rule") or {}).get("version")
    if version is not None:
        made.setdefault("rule", {}).update({"version": version, "ruleset": "sipsieve"})


def _sip(sip: dict[str, Any]) -> dict[str, Any]:
    made = dict(sip)
    if "uri" in sip:
        made["uri"] = _uri(sip["uri"]["original"])
    if "cseq" in sip and sip.get("method"):
        made["cseq"] = {**sip["cseq"], "method": sip["method"]}
    for name in ("from", "to"):
        if name in sip:
            made[name] = {"uri": _uri(sip[name]["uri"]["original"])}
    return made


def _uri(text: str) -> dict[str, Any]:
    made: dict[str, Any] = {"original": text}
    found = _URI.fullmatch(text)
    if found is None:
        return made
    made["scheme"] = found[1]
    if found[2] is not None:
        made["username"] = found[2]
    made["host"] = found[3]
    if found[4] is not None and int(found[4]) < 65536:
        made["port"] = int(found[4])
    return made


def _count(made: dict[str, Any], record: Record, event: dict[str, Any]) -> None:
    action = str(event.get("action"))
    made["event"] = {
        "kind": "metric",
        "category": ["network"],
        "type": ["denied"] if action in _DENIED else ["allowed"],
        "outcome": "success",
        **{name: event[name] for name in ("action", "start", "end") if name in event},
    }
    ours: dict[str, Any] = {"version": FORM, "kind": "metric", "count": event.get("count")}
    rules = (record.get("rule") or {}).get("id")
    if rules is not None:
        ours["rules"] = rules
    _source(made, record, ours)
    if rules:
        made["rule"] = {"id": rules[0]}
    _rule(made, record)
    sip = record.get("sip") or {}
    if "method" in sip:
        made["sip"] = {"method": sip["method"]}
    if "policy" in record:
        ours["policy"] = record["policy"]
    made["sipsieve"] = ours


def _state(made: dict[str, Any], record: Record, event: dict[str, Any]) -> None:
    action = str(event.get("action"))
    changed = action in ("reload", "set", "unset", "off", "on")
    banned = action in ("ban", "unban")
    made["event"] = {
        "kind": "state",
        "category": ["configuration"] if changed else ["intrusion_detection"] if banned else ["process"],
        "type": ["change"] if changed else ["denied" if action == "ban" else "allowed"] if banned else ["info"],
        "outcome": event.get("outcome", "success"),
        **{name: event[name] for name in ("action", "reason") if name in event},
    }
    ours: dict[str, Any] = {"version": FORM, "kind": "state"}
    if "user" in event:
        made["user"] = {"name": event["user"]}
    source = event.get("source")
    if banned and isinstance(source, str):
        made["source"] = {"address": source}
        if _ip(source) is not None:
            made["source"]["ip"] = source
            made["related"] = {"ip": [source]}
    detail = {name: value for name, value in event.items() if name not in _STATE}
    if detail:
        ours["detail"] = detail
    _rule(made, record)
    ours["policy"] = record.get("policy", {})
    rule = {name: value for name, value in (record.get("rule") or {}).items() if name != "version"}
    if rule:
        ours["rule"] = rule
    made["sipsieve"] = ours


def from_ecs(made: dict[str, Any]) -> Record:
    """The record that `to_ecs` was given, in today's form. Raises `ValueError` on what it did not make."""
    ours = made.get("sipsieve")
    event = made.get("event")
    if not isinstance(ours, dict) or not isinstance(event, dict) or ours.get("version") != FORM or "kind" not in ours:
        raise ValueError(f"is no record in ECS of the form {FORM}")
    kind = ours["kind"]
    record: dict[str, Any] = {"@timestamp": made["@timestamp"], "ecs": {"version": VERSION}}
    record["sipsieve"] = {"version": FORM}
    rule: dict[str, Any] = {}
    if kind == "state":
        record["event"] = {"kind": "state", **{name: event[name] for name in ("action", "reason") if name in event}}
        record["event"] |= ours.get("detail", {})
        if event.get("outcome") == "failure":
            record["event"]["outcome"] = "failure"
        if "user" in made:
            record["event"]["user"] = made["user"]["name"]
        rule = dict(ours.get("rule", {}))
    else:
        source = made.get("source", {})
        record["source"] = {"ip": source.get("address")} | {n: source[n] for n in ("port", "geo", "as") if n in source}
        if ours.get("rules"):
            rule["id"] = ours["rules"]
        if kind == "event":
            transport = ours.get("transport") or made.get("network", {}).get("transport")
            if transport is not None:
                record["network"] = {"transport": transport}
            names: tuple[str, ...] = ("action", "outcome", "id", "reason")
            record["event"] = {"kind": "event", **{name: event[name] for name in names if name in event}}
            if "sip" in made:
                record["sip"] = _sip_back(made["sip"])
            record["sipsieve"] |= {name: value for name, value in ours.items() if name not in _MADE}
            if "bytes" in made.get("network", {}):
                record["sipsieve"]["bytes"] = made["network"]["bytes"]
            if "user_agent" in made:
                record["user_agent"] = {"original": made["user_agent"]["original"]}
            record |= {name: ours[name] for name in _SETS if name in ours}
        else:
            record["event"] = {"kind": "metric", "count": ours.get("count")}
            record["event"] |= {name: event[name] for name in ("action", "start", "end") if name in event}
            if "sip" in made:
                record["sip"] = {"method": made["sip"].get("method", "")}
    if "version" in made.get("rule", {}):
        rule["version"] = made["rule"]["version"]
    if rule:
        record["rule"] = rule
    if "policy" in ours:
        record["policy"] = ours["policy"]
    return record


def _sip_back(made: dict[str, Any]) -> dict[str, Any]:
    # What a request says of itself there is the guard's `user_agent` here.
    sip = {name: value for name, value in made.items() if name != "user_agent"}
    if "uri" in made:
        sip["uri"] = {"original": made["uri"]["original"]}
    if "cseq" in made:
        sip["cseq"] = {"code": made["cseq"]["code"]}
    for name in ("from", "to"):
        if name in made:
            sip[name] = {"uri": {"original": made[name]["uri"]["original"]}}
    return sip
