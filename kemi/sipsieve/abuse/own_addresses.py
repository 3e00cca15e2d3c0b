"""Knows which addresses are the server's own, or another node's of its cluster: those are never banned."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

#: Of the kernel's table of IPv4 routes: an address of this machine.
_LOCAL: Final = re.compile(r"\|-- ([0-9.]+)\n\s+/32 host LOCAL")

#: Addresses that are listed in a record.
_MOST: Final = 64


def local_ipv6() -> tuple[str, ...]:
    """The machine's IPv6 addresses as 32 hexadecimal digits."""
    try:
        return tuple(line.split()[0] for line in Path("/proc/net/if_inet6").read_text().splitlines())
    except OSError:
        return ()


def local_ipv4() -> tuple[str, ...]:
    """The machine's IPv4 addresses."""
    try:
        text = Path("/proc/net/fib_trie").read_text()
    except OSError:
        return ()
    return tuple(dict.fromkeys(_LOCAL.findall(text)))


def _groups(digits: str) -> list[int]:
    return [int(digits[at : at + 4], 16) for at in range(0, 32, 4)]


class OwnAddresses:
    """Asked by key, as `network.key` makes it."""

    def __init__(self, nodes: Sequence[str], is_myself: Callable[[str], bool], ipv6: Sequence[str]) -> None:
        """`nodes`: the other nodes as address:port; `is_myself`: whether the server listens on an address; `ipv6`:
        the machine's, as `local_ipv6` gives them."""
        self._nodes = tuple(node.rpartition(":")[0] for node in nodes)
        self._is_myself = is_myself
        self._ipv6 = tuple(_groups(line) for line in ipv6)

    def listed(self, ipv4: Sequence[str]) -> list[str]:
        """Those that the server listens on, and the other nodes', for the log; `ipv4`: the machine's."""
        own = [address for address in ipv4 if self._is_myself(address)]
        spelled = [":".join(f"{group:x}" for group in groups) for groups in self._ipv6]
        return sorted({*own, *(address for address in spelled if self._is_myself(f"[{address}]")), *self._nodes})[
            :_MOST
        ]

    def hold(self, key: str) -> bool:
        """Whether a ban on that key would shut one of them out."""
        if ":" not in key:
            return key in self._nodes or (key.count(".") == 3 and self._is_myself(key))
        groups = [int(group, 16) for group in key.split(":") if group]
        for local in self._ipv6:
            if local[: len(groups)] == groups and self._is_myself(f"[{':'.join(f'{group:x}' for group in local)}]"):
                return True
        return False
