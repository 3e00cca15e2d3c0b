"""Asks the running server for its state and for changes, over Kamailio's own RPC."""

from __future__ import annotations

import getpass
import os
import secrets
import time
from typing import Any, Final

from sipsieve.control import rpc_table

from .rpc import Rpc, RpcError

#: The htable in which requests and answers lie; kemi/sipsieve.cfg makes it.
TABLE: Final = "sipsieve_control"

#: Seconds that an answer may take: compiling some hundred rules on a busy machine takes a few.
ANSWER_TIME: Final = 30.0

#: Seconds between looks for an answer; the server looks ten times a second itself.
_LOOK_EVERY: Final = 0.05


class Refused(Exception):
    """The server understood, and said no: the text says why."""


class Running:
    """A running server with sipsieve in it."""

    def __init__(self, rpc_path: str = "") -> None:
        self.rpc = Rpc(rpc_path)

    def ask(self, what: str, **detail: Any) -> dict[str, Any]:
        """The server's answer to a request. Raises `Refused`, or `RpcError` where there is none."""
        identity = secrets.token_hex(8)
        content = {"do": what, "user": user(), **detail}
        self.rpc.call("htable.sets", TABLE, rpc_table.ASK + identity, rpc_table.encode(content))
        answer = self._answer(rpc_table.SAY + identity, what)
        if not answer.get("ok"):
            raise Refused(str(answer.get("error") or "the server gave no reason"))
        return answer

    def _answer(self, key: str, what: str) -> dict[str, Any]:
        end = time.monotonic() + ANSWER_TIME
        while True:
            try:
                found = self.rpc.call("htable.get", TABLE, key)
            except RpcError as error:
                # Kamailio has no entry of that name yet.
                if error.code not in (404, 500):
                    raise
                found = None
            if isinstance(found, dict) and isinstance(item := found.get("item"), dict):
                self.rpc.call("htable.delete", TABLE, key)
                return rpc_table.decode(str(item.get("value", "")))
            if time.monotonic() > end:
                raise RpcError(
                    f"{self.rpc.path}: no answer to {what} within {ANSWER_TIME:g} s; is sipsieve.cfg included there, and of this version?"
                )
            time.sleep(_LOOK_EVERY)


def user() -> str:
    """Who calls, for the record: the account, and who became root for it."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = str(os.getuid())
    before = os.environ.get("SUDO_USER")
    return f"{before} as {name}" if before and before != name else name


def laggards(status: dict[str, Any]) -> list[dict[str, Any]]:
    """The workers that still decide by an older revision; each switches at its next message."""
    current = status["revision"]["revision"]
    return [worker for worker in status["workers"] if worker["revision"] != current]
