"""Who an address is."""

from __future__ import annotations

import pytest

from sipsieve.abuse.sources import Networks
from sipsieve.config import policy

SOME = Networks(policy.loads('[network]\ntrusted = ["192.0.2.0/24", "2001:db8:1::/48"]\n'))


@pytest.mark.parametrize(
    ("ip", "text", "key", "trusted"),
    [
        ("192.0.2.7", "192.0.2.7", "192.0.2.7", True),
        ("198.51.100.7", "198.51.100.7", "198.51.100.7", False),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2", True),
        ("[2001:db8:2::1]", "2001:db8:2::1", "2001:db8:2:0", False),
        ("0:0:0:0:0:0:0:1", "::1", "0:0:0:0", False),
        ("::ffff:192.0.2.7", None, None, True),
        ("nonsense", "nonsense", "nonsense", False),
        ("", "", "", False),
    ],
)
def test_addresses(ip: str, text: str | None, key: str | None, trusted: bool) -> None:
    source = SOME.source(ip, 5060, "udp")
    assert source.trusted is trusted
    if text is not None:
        assert (source.ip, source.key) == (text, key)
    assert SOME.source(ip, 5060, "udp") is source, "kept ready"


def test_a_flood_of_forged_sources_fills_no_memory() -> None:
    networks = Networks(policy.loads(""))
    for number in range(30_000):
        networks.source(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", number, "udp")
    assert len(networks._sources) <= 8192
