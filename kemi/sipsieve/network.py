"""Says who an address is: trusted or not, and what it is counted under."""

from __future__ import annotations

import ipaddress
from typing import Final

from .model import Source
from .policy import Network, Policy

#: Sources kept ready. A flood of forged addresses empties the table now and then; nothing else.
_CACHE: Final = 65536

#: An IPv6 customer holds a /64 at least (RFC 6177), so one host can use any address in it.
_V6_GROUPS: Final = 4


class Networks:
    """The policy's networks, ready to be asked."""

    def __init__(self, policy: Policy) -> None:
        self._trusted: tuple[Network, ...] = policy.trusted
        self._known: dict[str, tuple[str, bool]] = {}
        self._sources: dict[tuple[str, int, str], Source] = {}

    def source(self, ip: str, port: int, transport: str) -> Source:
        """The source of a message. `ip` as Kamailio writes it; an unreadable one is a stranger's."""
        cached = self._sources.get((ip, port, transport))
        if cached is not None:
            return cached
        known = self._known.get(ip)
        if known is None:
            if len(self._known) >= _CACHE:
                self._known.clear()
            known = self._known[ip] = self._look_up(ip)
        if len(self._sources) >= _CACHE:
            self._sources.clear()
        source = self._sources[ip, port, transport] = Source(ip, port, transport, *known)
        return source

    def _look_up(self, ip: str) -> tuple[str, bool]:
        try:
            address = ipaddress.ip_address(ip.strip("[]"))
        except ValueError:
            return ip, False
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        real = mapped or address
        trusted = any(real in network for network in self._trusted if network.version == real.version)
        return key(address), trusted


def key(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """What an address is counted and banned under: itself, or its /64 as `2001:db8:0:1`.

    Groups in lower-case hexadecimal without leading zeros, as `kemi/sipsieve.cfg` builds them natively.
    """
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    groups = address.exploded.split(":")[:_V6_GROUPS]
    return ":".join(f"{int(group, 16):x}" for group in groups)
