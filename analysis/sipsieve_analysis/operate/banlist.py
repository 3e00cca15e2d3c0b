"""Reads and lifts the bans of a running server."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass
from typing import Any, Final

from sipsieve.abuse.bans import entry, lasting
from sipsieve.model import Scope

from .rpc import Rpc, RpcError

#: The tables of sipsieve.cfg.
BANS: Final = "sipsieve_bans"
BANNED: Final = "sipsieve_banned"
SEEN: Final = "sipsieve_seen"
OFFENCES: Final = "sipsieve_offences"


@dataclass(slots=True, frozen=True)
class Listed:
    """One ban. Times in seconds since the epoch; `last` None: nothing came since the ban."""

    source: str
    rule: str
    reason: str
    first: int
    last: int | None
    until: int
    remaining: int
    offences: int
    udp_only: bool
    scope: str
    dropped: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def read(rpc: Rpc, now: float) -> list[Listed]:
    """All bans, the longest left first. Raises `RpcError`."""
    dropped, seen = rpc.table(BANNED), rpc.table(SEEN)
    found = []
    for key, value in rpc.table(BANS).items():
        one = entry(key, value)
        if one is None or one.until <= now:
            continue
        last = int(seen.get(key, 0))
        found.append(
            Listed(
                one.key, one.rule, one.reason, one.since, last if last >= one.since else None, one.until,
                int(one.until - now), one.offences, one.scope is Scope.DATAGRAMS, one.scope.label,
                int(dropped.get(key, 0)) if last >= one.since else 0,
            )
        )  # fmt: skip
    return sorted(found, key=lambda ban: (-ban.remaining, ban.source))


def lift(rpc: Rpc, key: str) -> bool:
    """Lifts one ban and forgets the offences; False where there was none. Raises `RpcError`."""
    try:
        rpc.call("htable.get", BANS, key)
    except RpcError:
        return False
    rpc.call("htable.delete", BANS, key)
    for scope in ("u", "a"):
        with contextlib.suppress(RpcError):
            rpc.call("htable.delete", OFFENCES, f"{key}/{scope}")
    return True


def announce(rpc: Rpc, now: float) -> int:
    """Puts each ban once more as it stands, so that the other nodes of a cluster hear of it; returns how many. Raises `RpcError`."""
    told = 0
    for key, value, left in lasting(rpc.table(BANS), now):
        rpc.call("htable.setxs", BANS, key, value, left)
        told += 1
    return told
