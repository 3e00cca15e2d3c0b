"""Bans as a MISP event (MISP core format): an attribute `ip-src` for each network, unpublished, for your organisation only."""

from __future__ import annotations

import ipaddress
import json
import uuid
from datetime import datetime
from typing import Any

from .stix import NAMESPACE


def write(found: list[dict[str, Any]], written: str) -> str:
    """The rows of `blocklist.rows` as JSON, for `add_event` or an import. `written` is the time as RFC 3339 writes it.

    One event a day: its identifier is made from the day, those of attributes from network and beginning, so that a later list adds
    to it. MISP has no expiry; `last_seen` is when the ban ends, for its decaying models.
    """
    day = written[:10]
    event = {
        "uuid": str(uuid.uuid5(NAMESPACE, f"event {day}")),
        "info": f"Networks that attacked SIP, {day} (sipsieve)",
        "date": day,
        # Medium; analysis complete; your organisation only.
        "threat_level_id": "2",
        "analysis": "2",
        "distribution": "0",
        "published": False,
        "timestamp": str(_seconds(written)),
        "Attribute": [_attribute(row) for row in found],
    }
    return json.dumps({"Event": event}, indent=2) + "\n"


def _attribute(row: dict[str, Any]) -> dict[str, Any]:
    network = ipaddress.ip_network(row["network"])
    whole = network.prefixlen == network.max_prefixlen
    return {
        "uuid": str(uuid.uuid5(NAMESPACE, f"attribute {network} {row['since']}")),
        "type": "ip-src",
        "category": "Network activity",
        "value": str(network.network_address) if whole else str(network),
        # What can be forged is told, but nothing is to be blocked for it.
        "to_ids": not row["udp_only"],
        "distribution": "5",
        "comment": f"rule {row['rule']}, {row['offences']}. time in a row"
        + (", on datagrams" if row["udp_only"] else ""),
        "timestamp": str(_seconds(row["since"])),
        "first_seen": row["since"],
        "last_seen": row["until"],
    }


def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())
