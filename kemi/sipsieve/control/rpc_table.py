"""Takes an operator's requests out of a shared table and puts the answers there."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

#: A request is `ask:ID`, its answer `say:ID`; both expire with the table. Values are JSON in base64,
#: which passes through any RPC transport as it is.
ASK: Final = "ask:"
SAY: Final = "say:"

#: Requests taken at one look.
_AT_ONCE: Final = 16


class Table(Protocol):
    """A small table of texts that an RPC command can reach."""

    def entries(self) -> Mapping[str, str]:
        """All of it."""
        ...

    def put(self, key: str, value: str) -> None:
        """Sets one entry."""
        ...

    def remove(self, key: str) -> None:
        """Removes one entry."""
        ...


def encode(content: Mapping[str, Any]) -> str:
    """A request or answer as the table holds it."""
    return base64.b64encode(json.dumps(content, ensure_ascii=True).encode("ascii")).decode("ascii")


def decode(text: str) -> dict[str, Any]:
    """What `encode` made; {} for anything else."""
    try:
        content = json.loads(base64.b64decode(text, validate=True))
    except (ValueError, binascii.Error, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def serve(table: Table, handle: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> int:
    """Answers what is asked. Returns how many requests there were."""
    entries = table.entries()
    asked = [key for key in entries if key.startswith(ASK)][:_AT_ONCE]
    for key in asked:
        # Removed first: a request that fails must not come again.
        table.remove(key)
        table.put(SAY + key.removeprefix(ASK), encode(handle(decode(entries[key]))))
    return len(asked)
