"""Takes the caller out of a SIP message, as such programs do: with few questions asked."""

from __future__ import annotations

import re
from typing import NamedTuple


class Event(NamedTuple):
    """What the back office is told of a request; text as it stood on the wire."""

    method: str
    name: str
    number: str
    agent: str
    subject: str
    dialled: str


def read(raw: bytes) -> Event:
    """An event from a message. Never raises: what is not there is empty."""
    text = raw.decode("utf-8", "replace").replace("\0", "")
    head = text.partition("\r\n\r\n")[0]

    def field(name: str, compact: str = "") -> str:
        # A folded line belongs to its header, and is kept as it came.
        found = re.search(rf"(?im)^(?:{name}{'|' + compact if compact else ''})[ \t]*:[ \t]*(.*(?:\r\n[ \t].*)*)", head)
        return found[1].rstrip("\r") if found else ""

    caller = field("from", "f")
    quoted = re.match(r'\s*"((?:[^"\\]|\\.)*)"', caller, re.S)
    name = re.sub(r"\\(.)", r"\1", quoted[1], flags=re.S) if quoted else caller.partition("<")[0].strip()
    number = re.search(r"sips?:([^@>;]*)@", caller)
    first = head.split(" ", 2)
    dialled = re.search(r"sips?:([^@]*)@", first[1]) if len(first) > 1 else None
    return Event(
        first[0],
        name,
        number[1] if number else "",
        field("user-agent"),
        field("subject", "s"),
        dialled[1] if dialled else "",
    )
