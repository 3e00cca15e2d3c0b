"""Turns decisions into lines of the decision log (see docs/decision-log.md), which the core writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from .. import _core
from .._core import escaped, timestamp
from ..model import Decision, Source
from .privacy import Mask

if TYPE_CHECKING:
    from ..config.policy import Policy

__all__ = ["SCHEMA", "Recorder", "escaped", "line_of", "recorder_of", "timestamp"]

#: The schema's version; raised when a field changes its meaning.
SCHEMA = 1


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
        record_bytes: int = 2048,
        replay: bool = False,
    ) -> None:
        #: The same for the core, which writes the records of messages that pass.
        self.core = _core.Recorder(
            rules,
            policy,
            mode,
            excerpt_bytes,
            raw_bytes,
            "off" if mask is None else "users" if mask.every_user else "numbers",
            b"" if mask is None else mask.key,
            record_bytes,
            replay,
        )

    def decision(
        self, decision: Decision, raw: bytes, source: Source, now: float, identity: str, steady: int | None = None
    ) -> bytes:
        """One message's record: a line of JSON, ASCII only, with its line end. `steady`: seconds of the limits' clock."""
        ban = decision.ban
        return self.core.decision(
            raw,
            now,
            source.ip,
            source.port,
            source.transport,
            identity,
            "error" if decision.error else decision.verdict,
            decision.reason,
            decision.enforced,
            decision.status,
            decision.kind,
            decision.method.encode("utf-8", "replace"),
            list(decision.counters.items()),
            None if ban is None else (ban.key, ban.seconds, ban.rule),
            [finding[:6] for finding in decision.findings],
            steady,
            source.country,
            source.asn,
            source.organization,
        )

    def summary(
        self, ip: str, method: str, verdict: str, count: int, first: float, last: float, now: float, rule: str = ""
    ) -> bytes:
        """A count of messages that have no record of their own; `rule` where a flood of like records was folded."""
        return self.core.summary(ip, method, verdict, count, first, last, now, rule)

    def notice(self, action: str, now: float, detail: Mapping[str, object]) -> bytes:
        """Something about the guard itself: a start, records lost, a failure."""
        return self.core.notice(action, now, dict(detail))


def recorder_of(rules: str, policy: Policy, mode: str, mask: Mask | None) -> Recorder:
    """A recorder as a policy's `[log]` asks for it; `rules`: their version."""
    log = policy.log
    return Recorder(
        rules, policy.version, mode, log.excerpt_bytes, log.message_bytes, mask, log.record_bytes, log.record == "replay"
    )  # fmt: skip


def line_of(record: Mapping[str, object]) -> bytes:
    """Any record as one line. JSON's ASCII escapes keep DEL out too, which JSON itself would let through."""
    try:
        # About ten times faster, but it writes everything beyond control bytes as it is.
        line = msgspec.json.encode(record)
        if line.isascii() and b"\x7f" not in line:
            return line + b"\n"
    except (UnicodeEncodeError, TypeError, ValueError):
        pass
    text = json.dumps(record, separators=(",", ":"), ensure_ascii=True)
    return text.replace("\x7f", "\\u007f").encode("ascii") + b"\n"
