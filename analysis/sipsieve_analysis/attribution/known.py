"""Reads who is known to the operator: own scanners, monitors, carriers and sites, which nothing is held against."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Final, NamedTuple

#: What an address may be declared as.
KINDS: Final = ("scanner", "monitor", "carrier", "site")

_EXAMPLE: Final = "198.51.100.0/28 scanner Audit of the security team"


class KnownError(Exception):
    """A file that can't be used: says file, line and what to write."""


class Entry(NamedTuple):
    """One declaration. `kind` is one of `KINDS`."""

    network: ipaddress.IPv4Network | ipaddress.IPv6Network
    kind: str
    name: str


class Known:
    """Declared addresses."""

    def __init__(self, entries: list[Entry]) -> None:
        # The narrowest network says most.
        self._entries = sorted(entries, key=lambda entry: -entry.network.prefixlen)

    def find(self, ip: str) -> Entry | None:
        """What an address was declared as."""
        try:
            address = ipaddress.ip_address(ip)
        except ValueError:
            return None
        return next((entry for entry in self._entries if address in entry.network), None)


def read(path: Path) -> Known:
    """Reads lines of an address or network, a kind and a name; `#` begins a comment. Raises `KnownError`, `OSError`."""
    entries = []
    for number, text in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
        words = text.partition("#")[0].split(maxsplit=2)
        if not words:
            continue
        try:
            network = ipaddress.ip_network(words[0], strict=False)
        except ValueError:
            raise KnownError(
                f"{path}, line {number}: {words[0]!r} is no address or network; a line is like: {_EXAMPLE}"
            ) from None
        kind = words[1] if len(words) > 1 else ""
        if kind not in KINDS:
            raise KnownError(
                f"{path}, line {number}: {kind!r} is none of {', '.join(KINDS)}; a line is like: {_EXAMPLE}"
            )
        entries.append(Entry(network, kind, words[2] if len(words) > 2 else ""))
    return Known(entries)
