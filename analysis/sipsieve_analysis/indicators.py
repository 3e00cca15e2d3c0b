"""Finds what a payload points at: command hosts, URLs, domains, e-mail addresses, files."""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass
from typing import Any, Final

_HOST_PORT: Final = re.compile(r"(?<![\d.])((?:\d{1,3}\.){3}\d{1,3})(?:[:/ ,'\"]{1,3}(\d{1,5}))?(?![\d.])")
_URL: Final = re.compile(r"\b((?:https?|ftp|tftp|ldaps?|rmi|dns|iiop)://[^\s'\"<>\\)}|;`]{3,200})", re.I)
_DOMAIN_PORT: Final = re.compile(r"\b((?:[a-z0-9-]{1,63}\.){1,5}[a-z]{2,24})[:/ ](\d{2,5})\b", re.I)
_MAIL: Final = re.compile(r"\b[a-z0-9._%+-]{1,64}@(?:[a-z0-9-]{1,63}\.){1,5}[a-z]{2,24}\b", re.I)
_FILE: Final = re.compile(r"(?<![\w.])(/(?:etc|tmp|var|proc|usr|bin|home|root|opt|dev/shm|boot)/[\w./-]{2,120})")


@dataclass(slots=True, frozen=True, order=True)
class Indicator:
    """Something to look for elsewhere. `value` as it was written, `kind` one of ip, host-port, url, domain, email, file, user-agent."""

    kind: str
    value: str

    @property
    def defanged(self) -> str:
        """The value in a form that nobody clicks on by mistake."""
        if self.kind in ("file", "user-agent"):
            return self.value
        return self.value.replace("http", "hxxp").replace(".", "[.]").replace("@", "[@]")


def in_payload(text: str) -> set[Indicator]:
    """The indicators in an excerpt that a rule has found hostile."""
    found: set[Indicator] = set()
    for match in _URL.finditer(text):
        found.add(Indicator("url", match[1]))
    for match in _HOST_PORT.finditer(text):
        if not _is_address(match[1]):
            continue
        found.add(Indicator("ip", match[1]))
        if match[2] and 0 < int(match[2]) < 65536:
            found.add(Indicator("host-port", f"{match[1]}:{match[2]}"))
    for match in _MAIL.finditer(text):
        found.add(Indicator("email", match[0]))
    for match in _DOMAIN_PORT.finditer(text):
        if not _is_address(match[1]):
            found.add(Indicator("domain", match[1].lower()))
    for match in _URL.finditer(text):
        host = re.sub(r"^.*?://", "", match[1]).split("/")[0].rpartition("@")[2].split(":")[0]
        if host and not _is_address(host):
            found.add(Indicator("domain", host.lower()))
    for match in _FILE.finditer(text):
        found.add(Indicator("file", match[1]))
    return found


def command_hosts(text: str) -> set[str]:
    """The hosts that a payload connects to: two payloads with one host come from one hand."""
    return {item.value for item in in_payload(text) if item.kind in ("ip", "domain")}


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


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
