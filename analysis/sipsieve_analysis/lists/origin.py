"""Where the bans of a list come from: the running server, or a file that it keeps them in."""

from __future__ import annotations

import time
from pathlib import Path

from sipsieve.abuse import bans, sources
from sipsieve.abuse.bans import Entry
from sipsieve.config.policy import Policy

from ..operate import banlist
from ..operate.rpc import Rpc


class StateFileError(ValueError):
    """A state file that can't be used; says which and why."""


def entries(state: Path | None, rpc_path: str, policy: Policy) -> tuple[list[Entry], int]:
    """The bans of the state file, without one of the server; and how many are left out.

    Left out is what is, or holds, a trusted network of `policy`: a running server lifts such a ban within a second, a file has it until it is
    written again. Raises `StateFileError`, `RpcError`.
    """
    networks = sources.Networks(policy)
    found = _all(state, rpc_path)
    allowed = [one for one in found if bans.network(one.key) is not None and not networks.never_banned(one.key)]
    return allowed, sum(bans.network(one.key) is not None for one in found) - len(allowed)


def _all(state: Path | None, rpc_path: str) -> list[Entry]:
    if state is None:
        table = Rpc(rpc_path).table(banlist.BANS)
        return [one for one in (bans.entry(key, value) for key, value in table.items()) if one is not None]
    try:
        if state.stat().st_size > bans.MAX_STATE:
            raise ValueError(f"is larger than {bans.MAX_STATE} bytes")
        return bans.restore(state.read_text(encoding="ascii"), time.time(), 100_000)
    except OSError as error:
        raise StateFileError(f"--state {state}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise StateFileError(f"--state {state}: is no state file of bans: {error}") from error
