"""The kill switch: a variable in Kamailio's shared memory that sipsieve.cfg asks before it calls Python."""

from __future__ import annotations

from typing import Final

from .rpc import Rpc, RpcError

#: 1 while messages pass uninspected; sipsieve.cfg reads it. And who turned it last, for the decision log.
SWITCH: Final = "sipsieve_off"
WHO: Final = "sipsieve_off_by"

#: The longest text about who and why; it must fit an RPC call even when every character is escaped.
MAX_WHO: Final = 400


def is_off(rpc: Rpc) -> bool:
    """Whether inspection is off in the running server."""
    try:
        answer = rpc.call("pv.shvGet", SWITCH)
    except RpcError as error:
        raise _explained(error, rpc) from None
    return int(_value(answer)) == 1


def turn(rpc: Rpc, *, off: bool, who: str) -> bool:
    """Turns inspection off or on in all workers at once; False if it was so already.

    `who` is a text for the decision log: who did it and why.
    """
    if is_off(rpc) == off:
        return False
    rpc.call("pv.shvSet", WHO, "str", who[:MAX_WHO] or "unknown")
    rpc.call("pv.shvSet", SWITCH, "int", 1 if off else 0)
    if is_off(rpc) != off:
        raise RpcError(f"{rpc.path}: the switch did not turn")
    return True


def _value(answer: object) -> str:
    """The value in an answer of pv.shvGet, whatever its form: releases differ."""
    if isinstance(answer, dict):
        return str(answer.get("value", next(iter(answer.values()), "")))
    return str(answer).rpartition("=")[2].strip() if not isinstance(answer, list) else str(answer[-1])


def _explained(error: RpcError, rpc: Rpc) -> RpcError:
    if error.code == 404:
        return RpcError(
            f"{rpc.path}: the server there has no sipsieve switch: its configuration does not include sipsieve.cfg, "
            "or includes an older one"
        )
    if error.code == 500:
        return RpcError(f"{error}. Does the configuration load the pv module?")
    return error
