"""Decision records in the words of the Elastic Common Schema 8.11 and of Packetbeat's `sip.*`, and back."""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Final

from .decisions import Record, weightiest

VERSION: Final = "8.11.0"

#: The version of what stands under `sipsieve.*`.
FORMAT: Final = 1

#: `scheme:user@host:port` with what may follow. What does not look like it stays whole, in `original`.
_URI: Final = re.compile(
    r"([A-Za-z][A-Za-z0-9+.-]{0,20}):(?:([^@]{0,512}+)@)?(\[[0-9A-Fa-f:.]{2,45}\]|[^\[\]:;?@\s]{1,255}+)(?::(\d{1,5}))?(?:[;?].*)?",
    re.S,
)

_DENIED: Final = frozenset({"reject", "drop", "banned"})

#: What ECS calls the transport of these; ours stays in `sipsieve.transport`.
_TRANSPORTS: Final = {"udp": "udp", "tcp": "tcp", "tls": "tcp", "ws": "tcp", "wss": "tcp", "sctp": "sctp"}

#: Whose names differ: what we have in `sip` that Packetbeat has no field for.
_OURS: Final = ("field", "excerpt", "authorization", "client", "raw")

#: Of `event` in a `state` record what ECS has a field for.
_STATE: Final = frozenset({"kind", "action", "reason", "user"})


def to_ecs(record: Record) -> dict[str, Any]:
    """The record in ECS. What is no decision record of ours raises `ValueError`."""
    event = record.get("event")
    if not isinstance(event, dict) or "ecs" in record:
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
    action, enforced = str(event.get("action")), record.get("policy", {}).get("enforced", True)
    findings, sip = record.get("findings") or [], record.get("sip") or {}
    denied = action in _DENIED and enforced
    made["event"] = {
        # An alert is what a rule said that is more than a count of ordinary messages.
        "kind": "alert" if action in ("reject", "drop", "scrub") else "event",
        "category": ["network", "intrusion_detection"] if record.get("rule", {}).get("id") else ["network"],
        "type": ["info"] if action == "error" else ["denied"] if denied else ["allowed"],
        # ECS: whether what was to be done was done. What is only observed was not tried.
        "outcome": "failure" if action == "error" else "success" if enforced else "unknown",
        **{name: event[name] for name in ("action", "id", "reason") if name in event},
    }
    ours: dict[str, Any] = {"version": FORMAT, "kind": "event", "rules": record.get("rule", {}).get("id", [])}
    _source(made, record, ours)
    if findings:
        worst = weightiest(record)
        made["event"]["risk_score"] = sum(one.get("score") or 0 for one in findings)
        made["rule"] = {"id": worst.get("rule"), "category": worst.get("family"), "description": worst.get("reason")}
    elif ours["rules"]:
        made["rule"] = {"id": ours["rules"][0]}
    _rule(made, record)
    if sip:
        made["sip"] = _sip(sip, ours)
        if "bytes" in sip:
            made["network"]["bytes"] = made.setdefault("source", {})["bytes"] = sip["bytes"]
    agent = record.get("user_agent")
    if isinstance(agent, dict) and "original" in agent:
        made["user_agent"] = {"original": agent["original"]}
        made.setdefault("sip", {})["user_agent"] = agent["original"]
    ours |= {name: record[name] for name in ("policy", "counters", "ban", "findings", "indicators") if name in record}
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


def _sip(sip: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    kind = sip.get("type")
    if kind in ("request", "reply"):
        made["type"] = "request" if kind == "request" else "response"
    elif kind is not None:
        ours["type"] = kind
    if "method" in sip:
        made["method"] = sip["method"]
    if "status" in sip:
        # A reply's own code; of all else what we answered, which is nothing that the message has.
        if kind == "reply":
            made["code"] = sip["status"]
        else:
            ours["answer"] = sip["status"]
    if "uri" in sip:
        made["uri"] = _uri(sip["uri"])
    if "call_id" in sip:
        made["call_id"] = sip["call_id"]
    if "cseq" in sip:
        text = str(sip["cseq"])
        # Packetbeat has a number there; what is none, or is written with zeros before it, is ours.
        if text.isascii() and text.isdigit() and str(int(text)) == text and int(text) < 2**32:
            made["cseq"] = {"code": int(text), **({"method": sip["method"]} if sip.get("method") else {})}
        else:
            ours["cseq"] = sip["cseq"]
    for name in ("from", "to"):
        if name in sip:
            made[name] = {"uri": _uri(sip[name])}
    ours |= {name: sip[name] for name in _OURS if name in sip}
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
    ours: dict[str, Any] = {"version": FORMAT, "kind": "metric", "count": event.get("count")}
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
    refused = event.get("outcome") == "refused"
    made["event"] = {
        "kind": "state",
        "category": ["configuration"] if changed else ["intrusion_detection"] if banned else ["process"],
        "type": ["change"] if changed else ["denied" if action == "ban" else "allowed"] if banned else ["info"],
        "outcome": "failure" if refused else "success",
        **{name: event[name] for name in ("action", "reason") if name in event},
    }
    ours: dict[str, Any] = {"version": FORMAT, "kind": "state"}
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
    """The record that `to_ecs` was given. Raises `ValueError` on what it did not make."""
    ours = made.get("sipsieve")
    event = made.get("event")
    if not isinstance(ours, dict) or not isinstance(event, dict) or ours.get("version") != FORMAT:
        raise ValueError(f"is no record in ECS of the form {FORMAT}")
    kind = ours.get("kind")
    record: dict[str, Any] = {"@timestamp": made["@timestamp"]}
    rule: dict[str, Any] = {}
    if kind == "state":
        record["event"] = {"kind": "state", **{name: event[name] for name in ("action", "reason") if name in event}}
        record["event"] |= ours.get("detail", {})
        if "user" in made:
            record["event"]["user"] = made["user"]["name"]
        rule = dict(ours.get("rule", {}))
    else:
        source = made.get("source", {})
        record["source"] = {"ip": source.get("address")} | ({"port": source["port"]} if "port" in source else {})
        if "rules" in ours:
            rule["id"] = ours["rules"]
        if kind == "event":
            transport = ours.get("transport") or made.get("network", {}).get("transport")
            if transport is not None:
                record["network"] = {"transport": transport}
            record["event"] = {"kind": "event", **{n: event[n] for n in ("action", "id", "reason") if n in event}}
            if "sip" in made:
                record["sip"] = _sip_back(made["sip"], ours, made.get("network", {}))
            if "user_agent" in made:
                record["user_agent"] = {"original": made["user_agent"]["original"]}
            names = ("counters", "ban", "findings", "indicators")
            record |= {name: ours[name] for name in names if name in ours}
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


def _sip_back(made: dict[str, Any], ours: dict[str, Any], network: dict[str, Any]) -> dict[str, Any]:
    kind = ours.get("type") or {"request": "request", "response": "reply"}.get(str(made.get("type")))
    sip: dict[str, Any] = {} if kind is None else {"type": kind}
    if "method" in made:
        sip["method"] = made["method"]
    if "code" in made or "answer" in ours:
        sip["status"] = made["code"] if "code" in made else ours["answer"]
    if "bytes" in network:
        sip["bytes"] = network["bytes"]
    if "uri" in made:
        sip["uri"] = made["uri"]["original"]
    if "call_id" in made:
        sip["call_id"] = made["call_id"]
    if "cseq" in made:
        sip["cseq"] = str(made["cseq"]["code"])
    elif "cseq" in ours:
        sip["cseq"] = ours["cseq"]
    for name in ("from", "to"):
        if name in made:
            sip[name] = made[name]["uri"]["original"]
    return sip | {name: ours[name] for name in _OURS if name in ours}
