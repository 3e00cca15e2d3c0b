"""Knows which addresses are the server's own, or another node's of its cluster: those are never banned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path


def local_ipv6() -> tuple[str, ...]:
    """The machine's IPv6 addresses as 32 hexadecimal digits."""
    try:
        return tuple(line.split()[0] for line in Path("/proc/net/if_inet6").read_text().splitlines())
    except OSError:
        return ()


class OwnAddresses:
    """Asked by key, as `network.key` makes it."""

    def __init__(self, nodes: Sequence[str], is_myself: Callable[[str], bool], ipv6: Sequence[str]) -> None:
        """`nodes`: the other nodes as address:port; `is_myself`: whether the server listens on an address; `ipv6`:
        the machine's, as `local_ipv6` gives them."""
        self._nodes = tuple(node.rpartition(":")[0] for node in nodes)
        self._is_myself = is_myself
        self._ipv6 = tuple([int(line[at : at + 4], 16) for at in range(0, 32, 4)] for line in ipv6)

    def hold(self, key: str) -> bool:
        """Whether a ban on that key would shut one of them out."""
        if ":" not in key:
            return key in self._nodes or (key.count(".") == 3 and self._is_myself(key))
        groups = [int(group, 16) for group in key.split(":") if group]
        for local in self._ipv6:
            if local[: len(groups)] == groups and self._is_myself(f"[{':'.join(f'{group:x}' for group in local)}]"):
                return True
        return False
