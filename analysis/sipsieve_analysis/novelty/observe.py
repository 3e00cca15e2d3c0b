"""Reads decision records into what is learned of and judged: who sent it, its header fields in their order, its values."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta, Struct, field

from sipsieve import _core

from ..operate.forms import CSeq, Party, Uri, decode
from ..tuning.records import as_sent

#: Values of one message, header fields first: nothing that is normal has more.
_VALUES: Final = 200

_UNSAFE: Final = re.compile(r"[\r\n<>]")
_PAIR: Final = re.compile(rb"\\(.)", re.DOTALL)
_AOR: Final = re.compile(r"sips?:(?:([^@;?>]{1,128})@)?([^;?>:\s]{1,128})", re.IGNORECASE)


class _Source(Struct, frozen=True, gc=False):
    ip: str = ""


class _Event(Struct, frozen=True, gc=False):
    kind: str = ""
    action: str = ""
    id: str = ""


class _Found(Struct, frozen=True, gc=False):
    score: int = 0
    family: str = ""


class _Agent(Struct, frozen=True, gc=False):
    original: str = ""


class _Sip(Struct, frozen=True, gc=False):
    type: str = ""
    method: str = ""
    code: Annotated[int, Meta(ge=0, le=999)] = 0
    uri: Uri = Uri()
    call_id: str = ""
    cseq: CSeq = CSeq()
    from_: Party = field(default=Party(), name="from")
    to: Party = Party()


class _Ours(Struct, frozen=True, gc=False):
    client: str = ""
    raw: str | None = None


class Told(Struct):
    """One line of the decision log, as far as it is needed here."""

    time: datetime = field(name="@timestamp")
    event: _Event
    source: _Source | str = _Source()
    sip: _Sip = _Sip()
    sipsieve: _Ours = _Ours()
    findings: list[_Found] = []
    user_agent: _Agent = _Agent()

    @property
    def ip(self) -> str:
        """The sender's address, "" without one."""
        return self.source.ip if isinstance(self.source, _Source) else ""

    @property
    def transaction(self) -> tuple[str, int, str]:
        """What a request and its answers share."""
        return self.sip.call_id, self.sip.cseq.code, self.sip.method

    @property
    def is_message(self) -> bool:
        """Whether it is one message's record."""
        return self.event.kind == "event"

    @property
    def is_blocked(self) -> bool:
        """Whether the guard refused it, or took something out of it."""
        return self.event.action in ("reject", "drop", "scrub")

    @property
    def is_suspect(self) -> bool:
        """Whether it was blocked, or something was found in it that counts."""
        return self.is_blocked or any(found.score for found in self.findings)


_DECODER: Final = msgspec.json.Decoder(Told)


class Value(NamedTuple):
    """One value of a message: its kind of part, field (`from.display_name`), header (`from`), and bytes."""

    kind: str
    field: str
    header: str
    text: bytes


class Observed(Struct):
    """A request, taken apart. `headers`: names in their order, empty where the record does not hold the message."""

    time_us: int
    ip: str
    id: str
    method: str
    agent: str
    client: str
    call_id: str
    account: str
    #: The user that is called or asked for.
    target: str
    headers: list[str]
    values: list[Value]
    whole: bool


def told(line: bytes) -> Told | None:
    """A line of the decision log; None where it is none."""
    try:
        return decode(line, _DECODER, Told)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def observed(record: Told) -> Observed:
    """Takes a request's record apart; where the message was not kept, what the record tells of it."""
    sip, kept = record.sip, record.sipsieve.raw
    whole = kept is not None and not kept.endswith("…")
    raw = as_sent(kept) if whole and kept is not None else _stand_in(record)
    headers = [header[0] for header in _core.parse(raw)[6]] if whole else []
    values = [
        # As it is meant (RFC 3261 25.1): a quote inside quotes is a quote.
        Value(kind, name, header, _PAIR.sub(rb"\1", text) if stood == "quoted" and b"\\" in text else text)
        for kind, name, header, _, _, text, stood in _core.parts(raw, True, False)
    ]
    match = _AOR.match(sip.uri.original)
    return Observed(
        int(record.time.timestamp() * 1e6),
        record.ip,
        record.event.id,
        sip.method,
        record.user_agent.original,
        record.sipsieve.client,
        sip.call_id,
        aor(sip.from_.uri.original),
        (match[1] or "") if match else "",
        headers,
        values[:_VALUES],
        whole,
    )


def aor(uri: str) -> str:
    """The account that a URI names, `user@host` in small letters; "" without a user."""
    match = _AOR.match(uri)
    return f"{match[1]}@{match[2]}".lower() if match and match[1] else ""


def _stand_in(record: Told) -> bytes:
    sip = record.sip
    sender, receiver = sip.from_.uri.original, sip.to.uri.original
    lines = [f"{_safe(sip.method) or 'X'} {_safe(sip.uri.original) or 'sip:x'} SIP/2.0"]
    lines += [
        f"{name}: {value}"
        for name, value in (
            ("From", f"<{_safe(sender)}>" if sender else ""),
            ("To", f"<{_safe(receiver)}>" if receiver else ""),
            ("Call-ID", _safe(sip.call_id)),
            ("User-Agent", _safe(record.user_agent.original)),
        )
        if value
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "replace")


def _safe(text: str) -> str:
    return _UNSAFE.sub("_", text)


def number(*texts: str) -> int:
    """Names texts by 63 bits, the same on every machine."""
    whole = "\0".join(texts).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(whole, digest_size=8).digest(), "big") >> 1
