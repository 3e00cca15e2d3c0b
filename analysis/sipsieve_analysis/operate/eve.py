"""Decision records as Suricata's EVE JSON has alerts, for tools that read nothing else."""

from __future__ import annotations

import zlib
from typing import Any, Final

from .decisions import Record, is_observed, ours_of, text_at, weightiest

#: Suricata's severities, 1 the gravest; and the range of signature ids that Suricata leaves to local rules.
_SEVERITIES: Final = ((10, 1), (5, 2))
_LOCAL: Final = 1_000_000


def to_eve(record: Record) -> dict[str, Any]:
    """The record as an EVE event: `alert` where a rule fired or the message was refused, else `sip`; `stats` are counts and
    changes, in `sipsieve`. Raises `ValueError` on what is no decision record."""
    event = record.get("event")
    if (
        not isinstance(event, dict)
        or "kind" in ours_of(record)
        or event.get("kind") not in ("event", "metric", "state")
    ):
        raise ValueError("is no decision record")
    made: dict[str, Any] = {"timestamp": record["@timestamp"].replace("Z", "+0000")}
    kind = event.get("kind")
    source = record.get("source") or {}
    if kind != "event":
        made["event_type"] = "stats"
        address = source.get("ip") or (event.get("source") if event.get("action") in ("ban", "unban") else None)
        if address is not None:
            made["src_ip"] = address
        return made | {"sipsieve": event}
    action, enforced = event.get("action"), not is_observed(record)
    rules, findings = record.get("rule", {}).get("id") or [], record.get("findings") or []
    alert = bool(rules) or action in ("reject", "drop", "scrub")
    made |= {
        "event_type": "alert" if alert else "sip",
        "src_ip": source.get("ip"),
        "src_port": source.get("port"),
        "proto": "UDP" if (record.get("network") or {}).get("transport") == "udp" else "TCP",
        "app_proto": "sip",
    }
    if alert:
        worst = weightiest(record)
        name = str(worst.get("rule") or (rules[0] if rules else f"sipsieve-{action}"))
        score = sum(one.get("score") or 0 for one in findings)
        made["alert"] = {
            "action": "blocked" if enforced and action in ("reject", "drop") else "allowed",
            "gid": 1,
            # The same for the same rule, on each machine.
            "signature_id": _LOCAL + zlib.crc32(name.encode()) % 900_000,
            "rev": 1,
            "signature": f"sipsieve {name}",
            "category": str(worst.get("family", "")),
            "severity": next((severity for least, severity in _SEVERITIES if score >= least), 3),
        }
    sip = record.get("sip") or {}
    seen = {
        "method": sip.get("method"),
        "uri": text_at(sip, "uri", "original") or None,
        "code": sip.get("code"),
    }
    made["sip"] = {name: str(value) for name, value in seen.items() if value is not None}
    return made | {"sipsieve": {"action": action, "id": event.get("id"), "reason": event.get("reason"), "rules": rules}}
