"""Bans as a STIX 2.1 bundle (OASIS standard, 10 June 2021): an indicator for each network, valid while the ban lasts."""

from __future__ import annotations

import ipaddress
import json
import uuid
from typing import Any, Final

#: Identifiers are made from what they name (RFC 4122, version 5), so that who reads a list twice has each indicator once.
NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "https://sipsieve.invalid/bans")

#: Confidence of 100 (STIX 2.1, appendix A): evidence that came over a connection, and what anybody can forge.
_CONNECTED: Final = 85
_FORGEABLE: Final = 15


def write(found: list[dict[str, Any]], written: str) -> str:
    """The rows of `blocklist.rows` as JSON. `written` is the time as RFC 3339 writes it."""
    author = f"identity--{uuid.uuid5(NAMESPACE, 'identity')}"
    identity = {
        "type": "identity",
        "spec_version": "2.1",
        "id": author,
        "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-01T00:00:00.000Z",
        "name": "sipsieve",
        "identity_class": "system",
    }
    indicators = [_indicator(row, author) for row in found]
    named = " ".join([written, *(one["id"] for one in indicators)])
    bundle = {"type": "bundle", "id": f"bundle--{uuid.uuid5(NAMESPACE, named)}", "objects": [identity, *indicators]}
    return json.dumps(bundle, indent=2) + "\n"


def _indicator(row: dict[str, Any], author: str) -> dict[str, Any]:
    network = ipaddress.ip_network(row["network"])
    kind = f"ipv{network.version}-addr"
    whole = network.prefixlen == network.max_prefixlen
    value = str(network.network_address) if whole else str(network)
    since = row["since"].replace("Z", ".000Z")
    return {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--{uuid.uuid5(NAMESPACE, f'{network} {since}')}",
        "created_by_ref": author,
        "created": since,
        "modified": since,
        "name": f"Attacks on SIP from {value}",
        "description": f"Shut out by the rule {row['rule']}, for the {row['offences']}. time in a row.",
        "indicator_types": ["malicious-activity"],
        "pattern": f"[{kind}:value {'=' if whole else 'ISSUBSET'} '{value}']",
        "pattern_type": "stix",
        "pattern_version": "2.1",
        "valid_from": since,
        "valid_until": row["until"].replace("Z", ".000Z"),
        "confidence": _FORGEABLE if row["udp_only"] else _CONNECTED,
        "labels": [row["rule"]],
    }
