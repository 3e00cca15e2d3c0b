"""Writes small files in MaxMind's format (MaxMind DB File Format Specification 2.0), for tests: none is shipped."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Mapping
from typing import Any

_MARKER = b"\xab\xcd\xefMaxMind.com"


class _Short(int):
    """A number of 16 bits, which the format keeps apart from longer ones."""


class _Long(int):
    """One of 64 bits."""


def _headed(kind: int, size: int) -> bytes:
    """A field's control bytes: its type and size."""
    extended = bytes([kind - 7]) if kind > 7 else b""
    first = 0 if kind > 7 else kind << 5
    if size < 29:
        return bytes([first | size]) + extended
    if size < 285:
        return bytes([first | 29]) + extended + bytes([size - 29])
    return bytes([first | 30]) + extended + struct.pack(">H", size - 285)


def _encoded(value: object) -> bytes:
    if isinstance(value, str):
        return _headed(2, len(value.encode())) + value.encode()
    if isinstance(value, int):
        content = value.to_bytes((value.bit_length() + 7) // 8, "big")
        kind = 5 if isinstance(value, _Short) else 9 if isinstance(value, _Long) else 6
        return _headed(kind, len(content)) + content
    if isinstance(value, list):
        return _headed(11, len(value)) + b"".join(map(_encoded, value))
    assert isinstance(value, dict)
    return _headed(7, len(value)) + b"".join(_encoded(key) + _encoded(item) for key, item in value.items())


def written(networks: Mapping[str, Mapping[str, Any]], built: float, database: str = "Test", version: int = 6) -> bytes:
    """A file with a record for each network; a longer prefix goes before a shorter one. `built` in seconds since the epoch."""
    data, places = b"", dict[bytes, int]()
    nodes: list[list[int | None]] = [[None, None]]
    #: Behind a node's number stands a record's place, below 0, until the number of nodes is known.
    parsed = [(ipaddress.ip_network(text), record) for text, record in networks.items()]
    for network, record in sorted(parsed, key=lambda pair: pair[0].prefixlen):
        content = _encoded(dict(record))
        if content not in places:
            places[content] = len(data)
            data += content
        width = 32 if network.version == 4 else 128
        bits = [int(network.network_address) >> width - 1 - place & 1 for place in range(network.prefixlen)]
        if network.version == 4 and version == 6:
            bits = [0] * 96 + bits
        node = 0
        for bit in bits[:-1]:
            below = nodes[node][bit]
            if below is None or below < 0:
                nodes.append([below, below])
                below = nodes[node][bit] = len(nodes) - 1
            node = below
        nodes[node][bits[-1]] = -1 - places[content]

    def numbered(child: int | None) -> int:
        if child is None:
            return len(nodes)
        return child if child >= 0 else len(nodes) + 16 + (-1 - child)

    tree = b"".join(struct.pack(">I", numbered(child)) for node in nodes for child in node)
    about = {
        "binary_format_major_version": _Short(2),
        "binary_format_minor_version": _Short(0),
        "build_epoch": _Long(built),
        "database_type": database,
        "description": {"en": "made by a test"},
        "ip_version": _Short(version),
        "languages": ["en"],
        "node_count": len(nodes),
        "record_size": _Short(32),
    }
    return tree + bytes(16) + data + _MARKER + _encoded(about)
