"""Which addresses a replay may be aimed at."""

from __future__ import annotations

import ipaddress
from typing import Final

#: Loopback, and the networks of lab/compose.yml: parts of the benchmarking range, which is routed nowhere
#: (RFC 2544). The documentation ranges of RFC 5737 would read better, but some networks do use them.
OWN: Final = tuple(
    ipaddress.ip_network(text)
    for text in ("127.0.0.0/8", "::1/128", "198.18.0.0/24", "198.18.66.0/24", "198.18.77.0/24")
)


class ForeignTargetError(ValueError):
    """A target that is not the lab's, without its owner's consent."""


def check(host: str, foreign: str = "", consent: str = "") -> None:
    """Raises `ForeignTargetError` where `host` is not the lab's own.

    `foreign` must repeat the target's address and `consent` must say who agreed: a slip of the
    keyboard can't do both.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise ForeignTargetError(f"{host!r} is no IP address; name the target by its address, not by a name") from None
    if any(address in network for network in OWN if network.version == address.version):
        return
    if foreign == host and consent.strip():
        return
    raise ForeignTargetError(
        f"{host} is neither loopback nor one of the lab's networks, and attacks at a system of somebody else are a "
        f"crime in most countries. If it is yours, or its owner agreed in writing, say both: "
        f'--foreign-target {host} --owner-consents "who agreed, and when"'
    )
