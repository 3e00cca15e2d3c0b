"""Counts what a source sends in a minute, and says when that is more than the policy allows."""

from __future__ import annotations

from typing import Final, NamedTuple

from .model import Counters, Source
from .policy import Limits as LimitPolicy

#: Copies of one message that RFC 3261 17.1 lets a client send in 32 s (11: timers E and F at T1 = 500 ms,
#: T2 = 4 s). More than these are not retransmissions and count.
RETRANSMISSIONS: Final = 11

#: Length of a window in seconds; the policy speaks of minutes.
WINDOW: Final = 60

_CLASSES: Final = {"INVITE": "invite", "REGISTER": "register"}


class Excess(NamedTuple):
    """A limit that was passed: rule id, class, and what was counted against what is allowed."""

    rule: str
    name: str
    seen: int
    allowed: int

    @property
    def reason(self) -> str:
        """For the log."""
        return f"{self.seen} {self.name.replace('_', ' ')} in a minute, {self.allowed} are allowed"


class Limits:
    """The policy's limits over shared counters. Holds no state of its own."""

    def __init__(self, policy: LimitPolicy) -> None:
        self.enabled = policy.enabled
        self.allowed: dict[str, int] = {
            "invite": policy.invite.per_minute,
            "register": policy.register.per_minute,
            "other": policy.other.per_minute,
            "dialog": policy.dialog.per_minute,
            "malformed": policy.malformed.per_minute,
            "source_ports": policy.source_ports.per_minute,
        }

    def request(
        self, method: str, in_dialog: bool, identity: int, source: Source, now: float, counters: Counters
    ) -> tuple[str, int]:
        """Counts a request. Returns its class and the count in this window, 0 where it does not count.

        CANCEL is never counted (RFC 3261 9.1: it must get through for a call to be taken back).
        """
        if method == "CANCEL":
            return "", 0
        name = "dialog" if in_dialog else _CLASSES.get(method, "other")
        if not self.allowed[name]:
            return "", 0
        if 1 < counters.copies(identity, now) <= RETRANSMISSIONS:
            return name, 0
        return name, counters.add(f"{name}:{source.key}:{int(now) // WINDOW}")

    def excess(self, name: str, count: int) -> Excess | None:
        """Whether `count` of class `name` is too much."""
        allowed = self.allowed.get(name, 0)
        return Excess(f"limit-{name.replace('_', '-')}", name, count, allowed) if 0 < allowed < count else None

    def suspicious(
        self, key: str, port: int, now: float, counters: Counters, malformed: bool
    ) -> tuple[dict[str, int], Excess | None]:
        """Counts a message that tells against its source: malformed, hostile, or an INVITE that failed.

        Ports count only here: twelve phones behind one address use twelve ports, but do not send
        garbage from them.
        """
        window = int(now) // WINDOW
        counts: dict[str, int] = {}
        found: Excess | None = None
        if malformed and self.allowed["malformed"]:
            counts["malformed"] = counters.add(f"malformed:{key}:{window}")
            found = self.excess("malformed", counts["malformed"])
        if self.allowed["source_ports"] and counters.add(f"port:{key}:{port}:{window}") == 1:
            counts["source_ports"] = counters.add(f"source_ports:{key}:{window}")
            found = self.excess("source_ports", counts["source_ports"]) or found
        return counts, found
