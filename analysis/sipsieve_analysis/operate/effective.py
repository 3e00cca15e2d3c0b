"""What the policy says about one address."""

from __future__ import annotations

import ipaddress
from typing import Any

import msgspec

from sipsieve.network import Networks
from sipsieve.policy import Policy


def effective(policy: Policy, ip: str) -> dict[str, Any]:
    """The part of the policy that holds for `ip`: what it is counted under, trust, mode, limits.

    Raises `ValueError` where `ip` is no address.
    """
    address = ipaddress.ip_address(ip.strip("[]"))
    source = Networks(policy).source(str(address), 5060, "udp")
    networks = [str(network) for network in policy.trusted if network.version == address.version and address in network]
    limits = msgspec.to_builtins(policy.limits)
    return {
        "ip": str(address),
        "counted_as": source.key,
        "trusted": source.trusted,
        "networks": networks,
        "mode": policy.mode,
        "limits": {
            "applied": policy.limits.enabled and not source.trusted,
            **{
                name: value["per_minute"]
                for name, value in limits.items()
                if isinstance(value, dict) and "per_minute" in value
            },
        },
        "bans": {"applied": policy.bans.enabled and not source.trusted, "seconds": policy.bans.seconds},
    }
