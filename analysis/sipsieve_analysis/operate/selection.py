"""Picks records by source, decision, rule and family."""

from __future__ import annotations

import fnmatch
import ipaddress
from dataclasses import dataclass, field

from .decisions import Record, action_of, findings_of, source_of


@dataclass(slots=True, frozen=True)
class Selection:
    """What to let through; an empty field lets everything through. Several values of one field are alternatives."""

    sources: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    decisions: frozenset[str] = field(default_factory=frozenset)
    rules: tuple[str, ...] = ()
    families: frozenset[str] = field(default_factory=frozenset)

    def wants(self, record: Record) -> bool:
        """Whether the record is one of those."""
        if self.decisions and action_of(record) not in self.decisions:
            return False
        if self.sources and not self._from(source_of(record)):
            return False
        if not (self.rules or self.families):
            return True
        found = findings_of(record)
        if self.families and not any(entry.get("family") in self.families for entry in found):
            return False
        names = [str(entry.get("rule", "")) for entry in found]
        return not self.rules or any(fnmatch.fnmatchcase(name, rule) for name in names for rule in self.rules)

    def _from(self, ip: str) -> bool:
        try:
            address = ipaddress.ip_address(ip.strip("[]"))
        except ValueError:
            return False
        return any(address in network for network in self.sources if network.version == address.version)


def network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """An address or network as an operator types it. Raises `ValueError` with what is allowed."""
    try:
        return ipaddress.ip_network(text.strip("[]"), strict=False)
    except ValueError:
        raise ValueError(
            f"{text!r} is no address or network; allowed: 192.0.2.7, 192.0.2.0/24, 2001:db8::/32"
        ) from None
