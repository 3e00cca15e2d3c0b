"""Says who an address is: what it is counted under, and what the policy grants its network."""

from __future__ import annotations

import ipaddress
from typing import Final

from . import bans
from .model import Source
from .policy import NetworkRule, Policy

#: Sources kept ready, about 3 MB a worker. A flood of forged addresses empties the table now and then,
#: which costs a look-up; nothing else.
_CACHE: Final = 8192

#: Transports whose handshake shows that the peer receives what is sent to its address.
CONNECTED: Final = frozenset({"tcp", "tls", "ws", "wss", "sctp"})

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Known = tuple[str, str, bool, bool | None, int, str]


class Networks:
    """The policy's networks, ready to be asked. `rules` stand by falling prefix length."""

    def __init__(self, policy: Policy) -> None:
        self.rules = policy.networks
        self._v4 = policy.limits.ipv4_prefix
        self._v6 = policy.limits.ipv6_prefix
        self._known: dict[str, _Known] = {}
        self._safe: dict[str, bool] = {}
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
        text, key, trusted, enforced, network, cell = known
        cell += ":t" if transport in CONNECTED else ":u"
        source = self._sources[ip, port, transport] = Source(
            text, port, transport, key, trusted, enforced, network, cell
        )
        return source

    def rule(self, address: _Address) -> tuple[int, NetworkRule | None]:
        """The `[[network]]` with the longest prefix around an address: its index in `rules`, -1 for none."""
        for index, (network, rule) in enumerate(self.rules):
            if address.version == network.version and address in network:
                return index, rule
        return -1, None

    def key(self, address: _Address) -> str:
        """What an address is counted and banned under, by the policy's prefix lengths."""
        return key(address, self._v4 if address.version == 4 else self._v6)

    def never_banned(self, name: str) -> bool:
        """Whether a ban on that key would shut out a trusted network, or a part of one."""
        known = self._safe.get(name)
        if known is None:
            around = bans.network(name)
            known = around is None or any(
                rule.trusted and around.version == network.version and around.overlaps(network)
                for network, rule in self.rules
            )
            if len(self._safe) >= _CACHE:
                self._safe.clear()
            self._safe[name] = known
        return known

    def _look_up(self, ip: str) -> _Known:
        try:
            address = ipaddress.ip_address(ip.strip("[]"))
        except ValueError:
            return ip, ip, False, None, -1, _cell(ip)
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        index, rule = self.rule(mapped or address)
        # One spelling in the log, whatever ipv6_hex_style makes Kamailio write (RFC 5952).
        text, name = str(address), self.key(address)
        if rule is None:
            return text, name, False, None, index, _cell(name)
        enforced = None if rule.mode is None else rule.mode == "enforce"
        return text, name, rule.trusted, enforced, index, _cell(name)


def _cell(name: str) -> str:
    # Kamailio's hash can be foreseen. Python's has a secret, the same in all workers of a server, so
    # that nobody can choose addresses whose counters fall on one bucket.
    return f"{hash(name) & 0xFFFFFFFF:08x}:{name}"


def key(address: _Address, prefix: int = 0) -> str:
    """What an address is counted and banned under: `203.0.113.7`, or its /64 as `2001:db8:0:1`.

    `prefix` (0: 32 and 64) is cut at whole octets of IPv4 and at whole groups of IPv6, lower-case
    hexadecimal without leading zeros: as `kemi/sipsieve.cfg` builds the key natively.
    """
    if isinstance(address, ipaddress.IPv4Address):
        return ".".join(str(address).split(".")[: (prefix or 32) // 8])
    groups = address.exploded.split(":")[: (prefix or 64) // 16]
    return ":".join(f"{int(group, 16):x}" for group in groups)
