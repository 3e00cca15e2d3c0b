"""Counts what a source sends in a minute, and says when that is more than the policy allows."""

from __future__ import annotations

from typing import Final, NamedTuple

from .._core import Inspection, identity
from ..config.policy import Limit, Policy
from ..config.policy import Limits as LimitPolicy
from ..model import Counters, Source

#: Copies of one message that RFC 3261 17.1 lets a client send in 32 s (11: timers E and F at T1 = 500 ms,
#: T2 = 4 s). More than these are not retransmissions and count.
RETRANSMISSIONS: Final = 11

#: Length of a window in seconds; the policy speaks of minutes.
WINDOW: Final = 60

#: The limits by name, as in the policy. The first four are rates of everyday requests.
NAMES: Final = (
    "invite", "register", "other", "dialog", "http", "targets", "auth_failures", "malformed", "findings", "source_ports",
)  # fmt: skip

#: Distinct values counted of one source, as a multiple of what it may have: more tell nothing new.
_DISTINCT: Final = 4

#: The counters of requests outside of dialogs, by method; any other counts as `other`.
CLASSES: Final = {"INVITE": "invite", "REGISTER": "register"}

#: The counters of requests, in the order of `Limits.quiet`.
COUNTERS: Final = ("invite", "register", "other", "dialog")


class Excess(NamedTuple):
    """A limit that was passed: rule id, name, and what was counted against what is allowed.

    `ban`: it was passed by so much, or is of such a kind, that the source is shut out. `forgeable`: it
    rests on datagrams alone, which anybody can send in this source's name.
    """

    rule: str
    name: str
    seen: int
    allowed: int
    ban: bool
    forgeable: bool

    @property
    def reason(self) -> str:
        """For the log."""
        return f"{self.seen} {self.name.replace('_', ' ')} in a minute, {self.allowed} are allowed"


class Row(NamedTuple):
    """A limit made ready: up to `quiet` nothing needs a second look."""

    name: str
    per_minute: int
    burst: int
    quiet: int


class Limits:
    """The policy's limits over shared counters. Holds no state of its own."""

    def __init__(self, policy: Policy) -> None:
        self.enabled = policy.limits.enabled
        self._factor = policy.limits.ban_factor
        # By `Source.network`; -1, the last, is for addresses in no [[network]].
        changes = [rule.limits for _, rule in policy.networks]
        merged = [{name: getattr(change, name) or getattr(policy.limits, name) for name in NAMES} for change in changes]
        self._profiles = tuple(_rows(limits) for limits in [*merged, _of(policy.limits)])

    def row(self, name: str, source: Source) -> Row:
        """What holds for a source, by its network."""
        return self._profiles[source.network][name]

    @property
    def quiet_parts(self) -> list[tuple[int, ...]]:
        """By network, the last for addresses in none: for each of `COUNTERS` the count up to which nothing needs a second
        look; -1 where none is kept."""
        rows = [[profile[name] for name in COUNTERS] for profile in self._profiles]
        return [tuple(row.quiet if row.per_minute else -1 for row in profile) for profile in rows]

    def standing(self, source: Source, now: float, counters: Counters) -> dict[str, int]:
        """What a source's counters stand at in this window, zeros left out; for operators."""
        window = int(now) // WINDOW
        counts = {name: counters.get(f"{source.cell}:{name}:{window}") for name in NAMES}
        return {name: count for name, count in counts.items() if count}

    def request(
        self, seen: Inspection, in_dialog: bool, source: Source, now: float, counters: Counters
    ) -> tuple[str, int, Excess | None]:
        """Counts a request: its class, the count in this window (0: does not count), and what was passed.

        `now` is in seconds of a clock that never steps. CANCEL is never counted (RFC 3261 9.1: it must
        get through for a call to be taken back).
        """
        if seen.method == "CANCEL":
            return "", 0, None
        name = "dialog" if in_dialog else CLASSES.get(seen.method, "other")
        row = self._profiles[source.network][name]
        if not row.per_minute:
            return "", 0, None
        if 1 < counters.copies(seen.identity ^ port_mark(source), now) <= RETRANSMISSIONS:
            return name, 0, None
        count = counters.add(f"{source.cell}:{name}:{int(now) // WINDOW}")
        if 0 <= count <= row.quiet:
            return name, count, None
        return self.counted(name, count, seen, source, now, counters)

    def counted(
        self, name: str, count: int, seen: Inspection, source: Source, now: float, counters: Counters
    ) -> tuple[str, int, Excess | None]:
        """What `request` answers of a request that was counted and is more than its limit's quiet part."""
        row = self._profiles[source.network][name]
        if not count:
            # There was no room for a counter of its own.
            count = counters.add(f"{source.cell}:{name}:{int(now) // WINDOW}")
            if 0 <= count <= row.quiet:
                return name, count, None
        excess = self._judge(row, count, source, now, counters)
        if name != "dialog" and count > 0:
            excess = self._target(seen.target, source, now, counters) or excess
        return name, abs(count), excess

    def http(self, source: Source, now: float, counters: Counters) -> tuple[int, Excess | None]:
        """Counts an HTTP request: the count in this window (0: does not count), and what was passed."""
        if not self.row("http", source).per_minute:
            return 0, None
        return self._add("http", 1, source, now, counters)

    def suspicious(
        self, source: Source, now: float, counters: Counters, malformed: bool, weight: int
    ) -> tuple[dict[str, int], Excess | None]:
        """Counts a message that tells against its source: malformed, hostile by `weight`, or an INVITE that failed.

        Ports count only here: twelve phones behind one address use twelve ports, but do not send
        garbage from them.
        """
        counts: dict[str, int] = {}
        found: Excess | None = None
        for name, amount in (("malformed", int(malformed)), ("findings", weight)):
            if amount and self.row(name, source).per_minute:
                counts[name], excess = self._add(name, amount, source, now, counters)
                found = excess or found
        ports = self._distinct("source_ports", str(source.port), source, now, counters)
        if ports:
            counts["source_ports"] = ports[0]
            found = ports[1] or found
        return counts, found

    def auth_failure(self, source: Source, answered: bool, now: float, counters: Counters) -> Excess | None:
        """Counts credentials that the backend refused.

        `answered`: they answered a challenge that had gone to this very source, so nobody forged it.
        The two kinds are counted apart: forged failures must not add up with a typing error.
        """
        if not self.row("auth_failures", source).per_minute:
            return None
        if answered and source.cell.endswith(":u"):
            source = source._replace(cell=source.cell[:-1] + "a")
        return self._add("auth_failures", 1, source, now, counters)[1]

    def _add(self, name: str, amount: int, source: Source, now: float, counters: Counters) -> tuple[int, Excess | None]:
        count = counters.add(f"{source.cell}:{name}:{int(now) // WINDOW}", amount)
        return abs(count), self._judge(self.row(name, source), count, source, now, counters)

    def _judge(self, row: Row, count: int, source: Source, now: float, counters: Counters) -> Excess | None:
        """Whether a count is too much, seen over the last 60 seconds and not only since the window's border.

        What the window before held counts by the share of it that lies within these 60 seconds. The
        burst is there for who kept to the limit in the minute before. A negative count is that of
        many sources together: it may refuse, but tells against none of them.
        """
        seen, together = abs(count), count < 0
        window, elapsed = divmod(int(now), WINDOW)
        before = 0 if together else counters.get(f"{source.cell}:{row.name}:{window - 1}")
        # The running second is in `seen`, so what is left of the window before is counted from its end.
        estimate = seen + before * (WINDOW - 1 - elapsed) // WINDOW
        allowed = row.per_minute + (row.burst if before <= row.per_minute else 0)
        if estimate <= allowed:
            return None
        ban = not together
        if row.name in ("invite", "register", "other", "dialog", "targets"):
            # Too many calls are refused; who goes on and on is shut out.
            ban = ban and 0 < self._factor * (row.per_minute + row.burst) < estimate
        elif row.name == "http":
            # Any web page makes its visitors' browsers send these: they tell nothing about the phones beside them.
            ban = False
        rule = f"limit-{row.name.replace('_', '-')}"
        return Excess(rule, row.name, estimate, allowed, ban, source.cell.endswith(":u"))

    def _target(self, called: bytes, source: Source, now: float, counters: Counters) -> Excess | None:
        """Counts whom a request is for. Only asked of a source that is not quiet any more, so that the
        ordinary request costs one counter; the first requests of a minute are not looked at."""
        mark = f"{identity(called) & 0xFFFFFFFF:x}"
        counted = self._distinct("targets", mark, source, now, counters) if called else None
        return counted[1] if counted else None

    def _distinct(
        self, name: str, value: str, source: Source, now: float, counters: Counters
    ) -> tuple[int, Excess | None] | None:
        """Counts a value that was not seen in this window; None where it was, or enough were."""
        row = self.row(name, source)
        if not row.per_minute:
            return None
        window = int(now) // WINDOW
        total = f"{source.cell}:{name}:{window}"
        if counters.get(total) >= _DISTINCT * (row.per_minute + row.burst):
            return None
        if counters.add(f"{source.cell}:{name}={value}:{window}") != 1:
            return None
        count = counters.add(total)
        return abs(count), self._judge(row, count, source, now, counters)


def port_mark(source: Source) -> int:
    """What makes the same bytes another message: the port and the address that they come from."""
    return identity(source.port.to_bytes(2, "big"), source.key.encode())


def _of(policy: LimitPolicy) -> dict[str, Limit]:
    return {name: getattr(policy, name) for name in NAMES}


def _rows(limits: dict[str, Limit]) -> dict[str, Row]:
    # Half of a limit can't be too much, whatever the window before held within reason; and whom a
    # source calls is of no interest before it made a quarter of the calls that would be too many.
    targets = limits["targets"].per_minute
    rows = {}
    for name, limit in limits.items():
        quiet = limit.per_minute // 2
        if targets and name in ("invite", "register", "other"):
            quiet = min(quiet, targets // 4)
        rows[name] = Row(name, limit.per_minute, limit.burst, quiet)
    return rows
