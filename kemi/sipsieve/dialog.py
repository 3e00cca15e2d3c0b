"""Reads from raw bytes which dialog a message belongs to, without a full parse."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_CALL_ID: Final = re.compile(rb"\n(?:call-id|i)[ \t]*+:[ \t]*+([^ \t\r\n][^\r\n]*)\r?\n", re.I)
# The last tag of the first 4 KiB of a line.
_FROM_TAG: Final = re.compile(rb"\n(?:from|f)[ \t]*:[^\r\n]{0,4096};[ \t]*+tag[ \t]*+=[ \t]*+([^;,\s>\"]{1,256})", re.I)
_TO_TAG: Final = re.compile(rb"\n(?:to|t)[ \t]*:[^\r\n]{0,4096};[ \t]*+tag[ \t]*+=[ \t]*+([^;,\s>\"]{1,256})", re.I)
_VIA: Final = re.compile(rb"\n(?:via|v)[ \t]*:[ \t]*([^\r\n]+(?:\r?\n[ \t][^\r\n]*)*)", re.I)
_RECEIVED: Final = re.compile(rb";[ \t]*received=([0-9A-Fa-f.:]{2,45})", re.I)
_RPORT: Final = re.compile(rb";[ \t]*rport=([0-9]{1,5})", re.I)
_SENT_BY: Final = re.compile(
    rb"SIP[ \t]*/[ \t]*2\.0[ \t]*/[ \t]*\w+[ \t]+(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?:[ \t]*:[ \t]*([0-9]{1,5}))?", re.I
)


class Requester(NamedTuple):
    """Whom a reply goes back to, as the Via below ours says."""

    ip: str
    port: int


def call_id(raw: bytes) -> tuple[int, int] | None:
    """Where the Call-ID stands; None where there is none, or one of more than 512 bytes."""
    match = _CALL_ID.search(raw)
    if match is None:
        return None
    start = match.start(1)
    length = len(match[1].rstrip(b" \t"))
    return (start, start + length) if length <= 512 else None


def spans(raw: bytes) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]] | None:
    """Where Call-ID, From tag and To tag stand; None where one is missing."""
    name, one, other = call_id(raw), _FROM_TAG.search(raw), _TO_TAG.search(raw)
    if name is None or one is None or other is None:
        return None
    return name, one.span(1), other.span(1)


def key(raw: bytes) -> str:
    """A name for the dialog (RFC 3261 12: Call-ID and both tags), the same from either side; "" without one."""
    name, one, other = call_id(raw), _FROM_TAG.search(raw), _TO_TAG.search(raw)
    if name is None or one is None or other is None:
        return ""
    # Python's keyed hash: the same in all workers of a server, and not to be foreseen by a sender.
    return f"{hash((raw[name[0] : name[1]], *sorted((one[1], other[1])))) & 0xFFFFFFFFFFFFFFFF:016x}"


def requester(raw: bytes) -> Requester | None:
    """The second Via's address: `received` and `rport` where the server wrote them (RFC 3261 18.2.1, RFC 3581)."""
    values: list[bytes] = []
    for match in _VIA.finditer(raw):
        values += match[1].split(b",")
        if len(values) >= 2:
            break
    if len(values) < 2:
        return None
    second = values[1]
    sent_by = _SENT_BY.search(second)
    received, rport = _RECEIVED.search(second), _RPORT.search(second)
    if received is None and sent_by is None:
        return None
    ip = received[1] if received else sent_by[1].strip(b"[]") if sent_by else b""
    port = rport[1] if rport else (sent_by[2] or b"5060") if sent_by else b"5060"
    return Requester(ip.decode("ascii"), min(int(port), 65535))
