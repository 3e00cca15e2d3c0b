"""Turns decisions into lines of the decision log (see docs/decision-log.md)."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

import msgspec

from .indicators import of_texts, payloads
from .model import Decision, Finding, Kind, Message, Source
from .privacy import Mask

#: The schema's version; raised when a field changes its meaning.
SCHEMA: Final = 1

#: Findings written of one message.
MAX_FINDINGS: Final = 8

#: Bytes of a Call-ID or User-Agent that are written.
MAX_VALUE: Final = 256

_CALL_ID: Final = re.compile(rb"\n(?:call-id|i)[ \t]*+:[ \t]*+([^\r\n]{0,1024})", re.I)
_USER_AGENT: Final = re.compile(rb"\n(?:user-agent|server)[ \t]*+:[ \t]*+([^\r\n]{0,1024})", re.I)
_CSEQ: Final = re.compile(rb"\ncseq[ \t]*+:[ \t]*+([0-9]{1,10})", re.I)
_FROM: Final = re.compile(rb"\n(?:from|f)[ \t]*:[^\r\n]{0,1024}?(sips?:[^\r\n>;]{1,256}|tel:[^\r\n>;]{1,256})", re.I)
_TO: Final = re.compile(rb"\n(?:to|t)[ \t]*:[^\r\n]{0,1024}?(sips?:[^\r\n>;]{1,256}|tel:[^\r\n>;]{1,256})", re.I)
_VALUES: Final = (
    ("call_id", _CALL_ID, b"\nCall-ID: "),
    ("cseq", _CSEQ, b"\nCSeq: "),
    ("from", _FROM, b"\nFrom: "),
    ("to", _TO, b"\nTo: "),
)
_SECRET: Final = re.compile(
    rb"\b((?:c?nonce|response|rspauth|nextnonce)\s*=\s*)(?:\"(?:[^\"\r\n]|\r?\n[ \t])*\"?|[^,;\s]*)", re.I
)


def escaped(value: bytes, limit: int = MAX_VALUE) -> str:
    """Foreign bytes as text: UTF-8 where it is, `\\xNN` where it is not, cut at `limit` bytes.

    Digest secrets are replaced by `…`. JSON's own escapes do the rest, so that nothing but printable
    ASCII reaches the file.
    """
    cut = value[:limit]
    # Every secret has its name and an equals sign before it.
    text = (_SECRET.sub(rb"\1...", cut) if b"=" in cut else cut).decode("utf-8", "backslashreplace")
    return f"{text}…" if len(value) > limit else text


def timestamp(now: float) -> str:
    """Seconds since the epoch as RFC 3339 in UTC, to the microsecond."""
    whole = int(now)
    micro = round((now - whole) * 1e6)
    if micro == 1_000_000:
        whole, micro = whole + 1, 0
    return f"{_second(whole)}.{micro:06d}Z"


def second(whole: int) -> bytes:
    """A second since the epoch as RFC 3339 in UTC, up to where its fraction begins."""
    return _second(whole).encode("ascii")


@lru_cache(maxsize=4)
def _second(whole: int) -> str:
    stamp = time.gmtime(whole)
    return f"{stamp.tm_year:04d}-{stamp.tm_mon:02d}-{stamp.tm_mday:02d}T{stamp.tm_hour:02d}:{stamp.tm_min:02d}:{stamp.tm_sec:02d}"


def _match(pattern: re.Pattern[bytes], head: bytes, common: bytes) -> re.Match[bytes] | None:
    """The first match of the pattern. `common` is the header's usual spelling, which is found faster."""
    start = head.find(common)
    if start >= 0:
        # The same pattern, begun at the header: only what stands before it could have matched earlier.
        match = pattern.match(head, start)
        if match is not None:
            return match
    return pattern.search(head)


def _first(pattern: re.Pattern[bytes], head: bytes, common: bytes) -> str | None:
    match = _match(pattern, head, common)
    return escaped(match[1]) if match else None


#: A record in pieces: bytes as they stand, and spans of the message.
Pieces = tuple[bytes | tuple[int, int], ...]

_PLAIN: Final = bytes(range(0x20, 0x7F))
#: What JSON writes as it is.
_SAFE: Final = bytes(byte for byte in range(0x20, 0x7F) if byte not in b'"\\')


def pieces(message: Message, holes: Iterable[tuple[int, int]]) -> Pieces:
    """What the records of messages end with that differ from an ordinary one in these holes only, which hold
    letters and digits: what `Recorder.decision` writes after `counters`. () where that can't be told beforehand."""
    head = message.raw[: message.body_start - 2]
    is_request = message.kind is Kind.REQUEST
    sip: dict[str, object] = {"type": str(message.kind), "method": message.method}
    if not is_request:
        sip["status"] = message.status
    sip["bytes"] = len(message.raw)
    out: list[bytes | tuple[int, int]] = [b'"sip":' + msgspec.json.encode(sip)[:-1]]
    values: list[tuple[str, tuple[int, int] | None]] = [
        (name, match.span(1) if (match := _match(pattern, head, common)) else None) for name, pattern, common in _VALUES
    ]
    if is_request:
        values.insert(0, ("uri", (message.uri_start, message.uri_start + len(message.uri))))
    holes = sorted(holes)
    for name, span in values:
        if span is None:
            continue
        if (value := _pieces(message.raw, span, holes)) is None:
            return ()
        out += [f',"{name}":"'.encode(), *value, b'"']
    out.append(b"}")
    agent = _match(_USER_AGENT, head, b"\nUser-Agent: " if is_request else b"\0")
    if agent is not None:
        if (value := _pieces(message.raw, agent.span(1), holes)) is None:
            return ()
        out += [b',"user_agent":{"original":"', *value, b'"}']
    out.append(b"}\n")
    return _joined(out)


def _pieces(raw: bytes, span: tuple[int, int], holes: list[tuple[int, int]]) -> list[bytes | tuple[int, int]] | None:
    """A value in pieces; None for one that is not written as it stands, whatever is in the holes."""
    position, end = span
    value = raw[position:end]
    if len(value) > MAX_VALUE or b"=" in value or value.translate(None, _SAFE):
        return None
    out: list[bytes | tuple[int, int]] = []
    for low, high in holes:
        if low >= span[0] and high <= end:
            out += [raw[position:low], (low, high)]
            position = high
        elif low < end and high > span[0]:
            return None
    return [*out, raw[position:end]]


def _joined(parts: Iterable[bytes | tuple[int, int]]) -> Pieces:
    """The same with as few pieces as can be."""
    out: list[bytes | tuple[int, int]] = []
    for part in parts:
        if isinstance(part, bytes) and out and isinstance(out[-1], bytes):
            out[-1] += part
        elif part:
            out.append(part)
    return tuple(out)


def origin(source: Source) -> bytes:
    """Of the record of an ordinary message, what stands between its time and `event.id`; b"" for an odd address."""
    piece = b'"source":%b,"network":%b,"event":{"kind":"event","action":"allow","id":"' % (
        msgspec.json.encode({"ip": source.ip, "port": source.port}),
        msgspec.json.encode({"transport": source.transport}),
    )
    return piece if not piece.translate(None, _PLAIN) else b""


class Recorder:
    """Formats records; knows what is the same in all of them."""

    def __init__(
        self,
        rules: str,
        policy: str,
        mode: str,
        excerpt_bytes: int = 256,
        raw_bytes: int = 0,
        mask: Mask | None = None,
    ) -> None:
        self._rules = rules
        self._policy = policy
        self._mode = mode
        self._excerpt = excerpt_bytes
        self._raw = raw_bytes
        self._mask = mask

    def allowed(self) -> bytes:
        """Of the record of an ordinary message, what stands between `event.id` and the counters.

        b"" where records hold more than `pieces` can tell: the message itself, or masks.
        """
        if self._mask is not None or self._raw:
            return b""
        rule = {"id": [], "version": self._rules}
        policy = {"version": self._policy, "mode": self._mode, "enforced": True}
        return b'","reason":""},"rule":%b,"policy":%b,"counters":{' % (
            msgspec.json.encode(rule), msgspec.json.encode(policy),
        )  # fmt: skip

    def decision(self, decision: Decision, raw: bytes, source: Source, now: float, identity: str) -> bytes:
        """One message's record: a line of JSON, ASCII only, with its line end.

        Fields that the guard knows by itself stand before any that the sender controls.
        """
        end = raw.find(b"\r\n\r\n")
        head = raw[: end + 2 if end >= 0 else 8192]
        sip: dict[str, object] = {
            "type": str(decision.kind),
            "method": escaped(decision.method.encode("utf-8", "replace"), 32),
        }
        status = decision.status
        if decision.kind is Kind.REPLY and head[8:11].isdigit():
            status = int(head[8:11])
        if status:
            sip["status"] = status
        finding = _worst(decision.findings)
        record: dict[str, object] = {
            "@timestamp": timestamp(now),
            "source": {"ip": source.ip, "port": source.port},
            "network": {"transport": source.transport},
            "event": {
                "kind": "event",
                "action": "error" if decision.error else str(decision.verdict),
                "id": identity,
                "reason": escaped(decision.reason.encode("utf-8", "replace"), 256),
            },
            "rule": {"id": [f.rule for f in decision.findings[:MAX_FINDINGS]], "version": self._rules},
            "policy": {"version": self._policy, "mode": self._mode, "enforced": decision.enforced},
            "counters": dict(decision.counters),
        }
        if decision.ban is not None:
            record["ban"] = {"source": decision.ban.key, "seconds": decision.ban.seconds, "rule": decision.ban.rule}
        if finding is not None:
            sip["field"] = finding.field
            sip["excerpt"] = escaped(finding.excerpt, self._excerpt)
        sip["bytes"] = len(raw)
        if decision.kind is Kind.REQUEST:
            line = head.lstrip(b"\r\n").split(b"\r\n", 1)[0]
            sip["uri"] = escaped(line[line.find(b" ") + 1 : max(line.rfind(b" "), 0)])
        for name, pattern, common in _VALUES:
            # With a finding the header may be there twice: then it is the first that counts.
            if (value := _first(pattern, head, b"\0" if decision.findings else common)) is not None:
                sip[name] = value
        if self._raw:
            sip["raw"] = escaped(raw, self._raw)
        record["sip"] = sip
        # A request has no Server header field (RFC 3261 20.35), a reply may have both.
        agent_name = b"\nUser-Agent: " if decision.kind is Kind.REQUEST and not decision.findings else b"\0"
        if (agent := _first(_USER_AGENT, head, agent_name)) is not None:
            record["user_agent"] = {"original": agent}
        if decision.findings:
            record["findings"] = [
                {
                    "rule": f.rule,
                    "family": f.family,
                    "score": f.score,
                    "field": f.field,
                    "reason": f.reason,
                    "excerpt": escaped(f.excerpt, self._excerpt),
                }
                for f in decision.findings[:MAX_FINDINGS]
            ]
            # Of the whole values, not of their excerpts: the host often stands at a payload's end.
            named = of_texts(escaped(value, 4096) for value in payloads(decision.findings))
            if named:
                record["indicators"] = [{"type": item.kind, "value": item.value} for item in named]
        if self._mask is not None:
            self._mask.record(record)
        return line_of(record)

    def summary(
        self, ip: str, method: str, verdict: str, count: int, first: float, last: float, now: float, rule: str = ""
    ) -> bytes:
        """A count of messages that have no record of their own; `rule` where a flood of like records was folded."""
        return line_of(
            {
                "@timestamp": timestamp(now),
                "source": {"ip": ip},
                "event": {
                    "kind": "metric",
                    "action": verdict,
                    "count": count,
                    "start": timestamp(first),
                    "end": timestamp(last),
                },
                "rule": {"id": [rule], "version": self._rules} if rule else {"version": self._rules},
                "policy": {"version": self._policy, "mode": self._mode},
                "sip": {"method": method},
            }
        )

    def notice(self, action: str, now: float, detail: Mapping[str, object]) -> bytes:
        """Something about the guard itself: a start, records lost, a failure."""
        return line_of(
            {
                "@timestamp": timestamp(now),
                "event": {"kind": "state", "action": action, **detail},
                "rule": {"version": self._rules},
                "policy": {"version": self._policy, "mode": self._mode},
            }
        )


def _worst(findings: tuple[Finding, ...]) -> Finding | None:
    return max(findings, key=lambda f: (f.score, f.family != "structure"), default=None)


def line_of(record: Mapping[str, object]) -> bytes:
    """A record as one line. JSON's ASCII escapes keep DEL out too, which JSON itself would let through."""
    try:
        # About ten times faster, but it writes everything beyond control bytes as it is.
        line = msgspec.json.encode(record)
        if line.isascii() and b"\x7f" not in line:
            return line + b"\n"
    except (UnicodeEncodeError, TypeError, ValueError):
        pass
    text = json.dumps(record, separators=(",", ":"), ensure_ascii=True)
    return text.replace("\x7f", "\\u007f").encode("ascii") + b"\n"
