"""Turns what a raw log tells of a message into a decision record, by way of the guard's engine."""

from __future__ import annotations

import json
from typing import Any, Final

from sipsieve.decision_log.record import line_of, timestamp

from .rawlog import Raw
from .replayed import Replay

#: Stands for what the log did not print; taken out of the record again.
_UNKNOWN: Final = "unknown.invalid"

#: Headers of which a second copy would be a finding of our own making.
_ORDER: Final = ("max-forwards", "from", "to", "call-id", "cseq")


def record(raw: Raw, time: float, replay: Replay) -> bytes:
    """The record of one message as a line of JSON."""
    if raw.answered:
        return _accounted(raw, time)
    if not (raw.message or raw.headers or raw.refused or raw.uri):
        return _counted(raw, time)
    whole = bool(raw.message)
    message = raw.message or _message(raw)
    _, line = replay.record(message, raw.ip, raw.port, raw.transport, time, unparsable=raw.refused)
    record: dict[str, Any] = json.loads(line)
    if not raw.ip:
        record["source"] = {}
    sip = record["sip"]
    if not whole:
        sip.pop("bytes", None)
        # What we filled in ourselves says nothing of who wrote the rest.
        sip.pop("client", None)
        for name in ("uri", "from", "to", "call_id"):
            if _UNKNOWN in str(sip.get(name, "")):
                del sip[name]
        # Findings that only the filling caused are none.
        record["findings"] = [
            f for f in record.get("findings", []) if f["rule"] not in ("content-length-zero", "header-missing")
        ]
        if not raw.refused and not raw.limited and not record["findings"]:
            record["event"]["action"] = "allow"
    if raw.refused and record["event"]["action"] == "allow":
        record["event"]["action"] = "drop"
    record["policy"]["enforced"] = raw.refused or raw.limited
    if raw.limited:
        record["event"]["action"] = "drop"
        record.setdefault("findings", []).append(
            {
                "rule": "pike",
                "family": "limits",
                "score": 5,
                "field": "source",
                "reason": "pike: too many requests",
                "excerpt": "",
            }
        )
    return line_of(record)


def _message(raw: Raw) -> bytes:
    """A message that holds what the log printed, and nothing else that a rule could mind."""
    method = raw.method or "OPTIONS"
    headers = {name: value.replace("\r", " ").replace("\n", " ") for name, value in raw.headers.items()}
    call_id = headers.pop("call-id", "") or raw.call_id or _UNKNOWN
    sender = headers.pop("from", f"<sip:{_UNKNOWN}>;tag=1")
    receiver = headers.pop("to", f"<sip:{_UNKNOWN}>")
    for name in ("content-length", "cseq", "via", "max-forwards", "l", "v"):
        headers.pop(name, None)
    host = f"[{raw.ip}]" if ":" in raw.ip else raw.ip or _UNKNOWN
    lines = [
        f"{method} {raw.uri.replace(' ', '%20') or 'sip:' + _UNKNOWN} SIP/2.0",
        f"Via: SIP/2.0/{raw.transport.upper()} {host};branch=z9hG4bK-unknown",
        "Max-Forwards: 70",
        f"From: {sender}",
        f"To: {receiver}",
        f"Call-ID: {call_id}",
        f"CSeq: {raw.cseq or 1} {method}",
        *(f"{name}: {value}" for name, value in headers.items()),
        "Content-Length: 2",
    ]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n\r\n"


def _accounted(raw: Raw, time: float) -> bytes:
    sip = {"type": "request", "method": raw.method, "call_id": raw.call_id, "cseq": raw.cseq or "1"}
    for name in ("from", "to"):
        if name in raw.headers:
            sip[name] = raw.headers[name].strip("<>")
    return line_of(_base(raw, time) | {"sip": sip}) + line_of(
        _base(raw, time) | {"source": {}, "sip": {**sip, "type": "reply", "status": raw.answered}}
    )


def _counted(raw: Raw, time: float) -> bytes:
    record = _base(raw, time)
    record["sip"] = {"type": "request", "method": raw.method, **({"call_id": raw.call_id} if raw.call_id else {})}
    if raw.limited:
        record["event"]["action"] = "drop"
        record["findings"] = [
            {
                "rule": "pike",
                "family": "limits",
                "score": 5,
                "field": "source",
                "reason": "pike: too many requests",
                "excerpt": "",
            }
        ]
    return line_of(record)


def _base(raw: Raw, time: float) -> dict[str, Any]:
    source: dict[str, Any] = {"ip": raw.ip} if raw.ip else {}
    if raw.port:
        source["port"] = raw.port
    return {
        "@timestamp": timestamp(time),
        "source": source,
        "network": {"transport": raw.transport},
        "event": {"kind": "event", "action": "allow"},
        "policy": {"mode": "observe", "enforced": raw.limited},
    }
