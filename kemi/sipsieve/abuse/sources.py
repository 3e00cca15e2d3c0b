"""Says who an address is: what it is counted under, and what the policy grants its network."""

from __future__ import annotations

import ipaddress
from typing import Final

from .. import _core
from ..config.policy import Policy
from ..model import Source
from . import bans

#: Sources and keys kept ready, about 3 MB a worker. A flood of forged addresses empties the tables now and then,
#: which costs a look-up; nothing else.
_CACHE: Final = 8192

#: Transports whose handshake shows that the peer receives what is sent to its address.
CONNECTED: Final = frozenset({"tcp", "tls", "ws", "wss", "sctp"})

#: Transports that any page can use in the name of whose browser shows it.
BROWSER: Final = frozenset({"ws", "wss"})

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Networks:
    """The policy's networks, ready to be asked. `rules` stand by falling prefix length, `areas` in the policy's order."""

    def __init__(self, policy: Policy, geo: _core.Geo | None = None) -> None:
        """`geo` knows where addresses are at home; without it no `country` and no `asn` fits."""
        self.rules, self.areas = policy.networks, policy.areas
        self.geo = geo
        #: The same for the core, which asks it of each message.
        self.core = _core.Networks(
            [
                (
                    str(network.network_address),
                    network.prefixlen,
                    rule.trusted,
                    None if rule.mode is None else rule.mode == "enforce",
                )
                for network, rule in self.rules
            ],
            policy.limits.ipv4_prefix,
            policy.limits.ipv6_prefix,
            [
                (
                    (list(rule.country), list(rule.asn), rule.outside),
                    None if rule.mode is None else rule.mode == "enforce",
                    rule.action,
                )
                for rule in self.areas
            ],
            geo,
        )
        self._safe: dict[str, bool] = {}
        self._sources: dict[tuple[str, int, str], Source] = {}

    def source(self, ip: str, port: int, transport: str) -> Source:
        """The source of a message. `ip` as Kamailio writes it; an unreadable one is a stranger's."""
        known = self._sources.get((ip, port, transport))
        if known is None:
            if len(self._sources) >= _CACHE:
                self._sources.clear()
            known = self._sources[ip, port, transport] = Source(*self.core.source(ip, port, transport))
        return known

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


def key(address: _Address, prefix: int = 0) -> str:
    """What an address is counted and banned under: `203.0.113.7`, or its /64 as `2001:db8:0:1`.

    `prefix` (0: 32 and 64) is cut at whole octets of IPv4 and at whole groups of IPv6, lower-case
    hexadecimal without leading zeros: as `kemi/sipsieve.cfg` builds the key natively.
    """
    return _core.key(str(address), prefix or (32 if address.version == 4 else 64))
