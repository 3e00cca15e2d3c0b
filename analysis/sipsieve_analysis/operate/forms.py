"""Brings decision records of the first form, which has no `sipsieve.version`, into the second, which is written today."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

Record = dict[str, Any]

#: The version of the form that is written today.
VERSION: Final = 2

#: What stood in `sip` though Packetbeat has no such field.
_OURS: Final = ("bytes", "authorization", "client", "field", "excerpt", "raw", "kept")

#: Stands in each line of today's form, and in no line of another: quotes inside values are escaped.
_TODAY: Final = b'"sipsieve":{"version":2'

_Known = TypeVar("_Known")


class Uri(Struct, frozen=True, gc=False):
    """`sip.uri`."""

    original: str = ""


class Party(Struct, frozen=True, gc=False):
    """`sip.from` or `sip.to`."""

    uri: Uri = Uri()


class CSeq(Struct, frozen=True, gc=False):
    """`sip.cseq`."""

    code: int = 0


def upgrade(record: Record) -> Record:
    """The record in today's form; one that is, is handed back. What is no record of the guard stays what it is.

    The record that is given may be changed.
    """
    ours, event, sip = record.get("sipsieve"), record.get("event"), record.get("sip")
    if (isinstance(ours, dict) and "version" in ours) or not isinstance(event, dict):
        return record
    ours = {"version": VERSION, **(ours if isinstance(ours, dict) else {})}
    policy = record.get("policy")
    if event.get("kind") == "event":
        enforced = policy.pop("enforced", True) if isinstance(policy, dict) else True
        event["outcome"] = "failure" if event.get("action") == "error" else "success" if enforced else "unknown"
        if "steady" in event:
            ours["steady"] = event.pop("steady")
        _drop_empty(record, event)
        if isinstance(sip, dict):
            record["sip"] = _sip(sip, ours)
    elif event.get("outcome") == "refused":
        event["outcome"] = "failure"
    record["ecs"] = {"version": "8.11.0"}
    record["sipsieve"] = ours
    return record


def _drop_empty(record: Record, event: Record) -> None:
    """What is not written any more where there is nothing to say."""
    rule = record.get("rule")
    for parent, name in ((event, "reason"), (rule, "id"), (record, "counters")):
        if isinstance(parent, dict) and name in parent and not parent[name]:
            del parent[name]


def _sip(sip: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    kind = sip.get("type")
    if kind == "malformed":
        ours["malformed"] = True
    elif kind is not None:
        made["type"] = "response" if kind == "reply" else kind
    if "method" in sip:
        made["method"] = sip["method"]
    if "status" in sip:
        if kind == "reply":
            made["code"] = sip["status"]
        else:
            ours["answer"] = sip["status"]
    if "uri" in sip:
        made["uri"] = {"original": sip["uri"]}
    if "call_id" in sip:
        made["call_id"] = sip["call_id"]
    for name in ("from", "to"):
        if name in sip:
            made[name] = {"uri": {"original": sip[name]}}
    number = sip.get("cseq")
    if isinstance(number, str) and len(number) <= 10 and number.isascii() and number.isdigit():
        made["cseq"] = {"code": int(number)}
    for name in _OURS:
        if name in sip:
            ours[name] = sip[name]
    return made


def decode(line: bytes, decoder: msgspec.json.Decoder[_Known], kind: type[_Known]) -> _Known:
    """A line of either form as a struct that holds what is needed of today's.

    Raises `msgspec.MsgspecError`, `ValueError` or `RecursionError` on what is none.
    """
    if _TODAY in line:
        return decoder.decode(line)
    # No text with half a character gets in, as none does into a struct.
    record = msgspec.json.decode(line)
    return msgspec.convert(upgrade(record) if isinstance(record, dict) else record, kind)
