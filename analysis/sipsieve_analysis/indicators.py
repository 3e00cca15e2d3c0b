"""Reads the indicators that the guard wrote into its records."""

from __future__ import annotations

import json
from typing import Any, Final

from sipsieve.detection.indicators import Indicator, in_payload

__all__ = ["Indicator", "addresses", "command_hosts", "from_record", "in_payload"]


def command_hosts(text: str) -> set[str]:
    """The hosts that a payload connects to: two payloads with one host come from one hand."""
    return {item.value for item in in_payload(text) if item.kind in ("ip", "domain")}


def addresses(item: Indicator) -> list[str]:
    """The addresses in an indicator: itself, or its host's."""
    if item.kind == "ip":
        return [item.value]
    if item.kind == "host-port":
        return [item.value.rpartition(":")[0].strip("[]")]
    return [one.value for one in in_payload(item.value) if one.kind == "ip"] + [
        one.value.rpartition(":")[0].strip("[]") for one in in_payload(item.value) if one.kind == "host-port"
    ]


def from_record(text: str) -> set[Indicator]:
    """Indicators that the guard wrote into a record, whatever form they have there."""
    try:
        value = json.loads(text)
    except ValueError:
        return set()
    found: set[Indicator] = set()
    _collect(value, "", found)
    return found


_KINDS: Final = {
    "ip": "ip", "address": "ip", "ipv4": "ip", "ipv6": "ip", "host": "domain", "domain": "domain", "url": "url", "email": "email",
    "file": "file", "path": "file", "host-port": "host-port", "endpoint": "host-port", "socket": "host-port", "c2": "host-port",
}  # fmt: skip


def _collect(value: Any, key: str, found: set[Indicator]) -> None:
    if isinstance(value, dict):
        kind = value.get("type") or value.get("kind")
        if kind and isinstance(value.get("value"), str):
            _collect(value["value"], str(kind), found)
            return
        for name, inner in list(value.items())[:32]:
            _collect(inner, str(name), found)
    elif isinstance(value, list):
        for inner in value[:32]:
            _collect(inner, key, found)
    elif isinstance(value, str) and 0 < len(value) <= 512:
        name = key.lower().rstrip("s")
        if name in _KINDS:
            found.add(Indicator(_KINDS[name], value))
