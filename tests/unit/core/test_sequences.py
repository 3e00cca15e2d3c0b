"""Sequences of messages through the engine and the shared tables, against a plain model of what the policy promises."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sipsieve._core import Memory
from sipsieve.abuse.shared_counters import BANS, OFFENCES, SharedCounters
from sipsieve.config import policy
from sipsieve.decision.engine import Engine
from sipsieve.detection import ruleset
from sipsieve.model import Ban, Decision, Source, Verdict

POLICY = """
[limits]
ban_factor = 2
[limits.invite]
per_minute = 6
burst = 2
[limits.register]
per_minute = 20
burst = 0
[limits.other]
per_minute = 8
burst = 8
[limits.dialog]
per_minute = 10
burst = 0
[limits.targets]
per_minute = 8
burst = 0
[content_length_zero]
invite = "allow"
[bans]
seconds = [60, 600, 3600]
udp_max_seconds = 300
forget_seconds = 7200
"""

ENGINE = Engine(policy.loads(POLICY), ruleset.load())
NOON = 60 * 1000
TRANSACTION = 32
COPIES = 11
FACTOR = 2

#: Name → what is allowed in a minute, and the burst.
LIMITS = {"invite": (6, 2), "register": (20, 0), "other": (8, 8), "dialog": (10, 0), "targets": (8, 0)}

#: Whom a source asks for counts from here on: half a limit, or a quarter of the targets.
QUIET = {"invite": 2, "register": 2, "other": 2, "dialog": 5}

STEPS = (60, 600, 3600)
UDP_MOST = 300
#: Seconds that an offence is remembered, on the evidence of datagrams and of connections.
MEMORY = {"u": 600, "a": 7200}

SOURCES = [
    ("192.0.2.1", 5060, "udp"),
    ("192.0.2.1", 5060, "tcp"),
    ("192.0.2.2", 5060, "udp"),
    ("198.51.100.1", 5080, "tls"),
]

#: Ways to write the To header field's name (RFC 3261 7.3.1, 7.3.3), and its value in a line of its own.
FORMS = ("To: ", "t:", "TO:", "To : ", "tO\t:", "T: ", "To:\r\n ", "to  :\r\n\t")

serial = itertools.count()


def request(method: str, user: str, form: str, dialog: str = "") -> bytes:
    """A new request; `dialog` names the one that it is in."""
    number = next(serial)
    call_id, tags = (dialog, ";tag=bb") if dialog else (f"c{number}", "")
    uri = "sip:example.com" if method == "REGISTER" else f"sip:{user}@example.com"
    return (
        f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{number}\r\nFrom: <sip:a@example.com>;tag=aa\r\n"
        f"{form}<sip:{user}@example.com>{tags}\r\nCall-ID: {call_id}\r\nCSeq: {number + 1} {method}\r\n"
        "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def answer(dialog: str) -> bytes:
    """The 200 that sets a dialog up."""
    return (
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx\r\nFrom: <sip:a@example.com>;tag=aa\r\n"
        f"To: <sip:b@example.com>;tag=bb\r\nCall-ID: {dialog}\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
    ).encode()


class Tables:
    """Kamailio's htables as far as they are used: entries that end at their time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.values: dict[tuple[str, str], object] = {}
        self.ends: dict[tuple[str, str], float] = {}

    def get(self, table: str, name: str) -> object:
        if self.clock() >= self.ends.get((table, name), float("inf")):
            self.values.pop((table, name), None)
            self.ends.pop((table, name), None)
        return self.values.get((table, name))

    def inc(self, table: str, name: str) -> int:
        value = self.get(table, name)
        count = (value if isinstance(value, int) else 0) + 1
        self.values[table, name] = count
        return count

    def set(self, table: str, name: str, value: object) -> None:
        self.values[table, name] = value

    def expire(self, table: str, name: str, seconds: int) -> None:
        self.ends[table, name] = self.clock() + seconds


class Expected(NamedTuple):
    """What the model says of a request: what it counted, the limit that was passed, the length of a ban."""

    counts: dict[str, int]
    passed: str = ""
    ban: int = 0


class Model:
    """The policy in plain words, over dictionaries."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str, int]] = Counter()
        self.targets: set[tuple[str, str, int]] = set()
        self.copies: dict[tuple[bytes, str, int], tuple[int, int]] = {}
        self.dialogs: set[str] = set()
        #: Key → until when, and on what evidence.
        self.bans: dict[str, tuple[int, str]] = {}
        #: Key and evidence → how often, and until when that is remembered.
        self.offences: dict[tuple[str, str], tuple[int, int]] = {}
        self.banned_at: set[tuple[str, str, int]] = set()

    def request(self, raw: bytes, method: str, user: str, dialog: str, source: Source, now: int) -> Expected:
        if method == "CANCEL":
            return Expected({})
        # The same bytes from the same place are a copy, for a transaction's life.
        name = (raw, source.key, source.port)
        since, copies = self.copies.get(name, (now, 0))
        since, copies = (since, copies + 1) if now - since <= TRANSACTION else (now, 1)
        self.copies[name] = since, copies
        if 1 < copies <= COPIES:
            return Expected({})
        kind = {"INVITE": "invite", "REGISTER": "register"}.get(method, "other")
        if dialog in self.dialogs:
            kind = "dialog"
        cell, window = source.cell, now // 60
        self.counts[cell, kind, window] += 1
        count = self.counts[cell, kind, window]
        counts = {kind: count}
        if count <= QUIET[kind]:
            return Expected(counts)
        passed, severe = self._passed(cell, kind, now)
        if kind != "dialog":
            most = 4 * sum(LIMITS["targets"])
            if (cell, user, window) not in self.targets and self.counts[cell, "targets", window] < most:
                self.targets.add((cell, user, window))
                self.counts[cell, "targets", window] += 1
                more, worse = self._passed(cell, "targets", now)
                if more:
                    passed, severe = more, worse
        return Expected(counts, passed, self._ban(source, now) if severe else 0)

    def _passed(self, cell: str, name: str, now: int) -> tuple[str, bool]:
        """The limit's name where it was passed, and whether by the factor that bans."""
        window, second = divmod(now, 60)
        count, before = self.counts[cell, name, window], self.counts[cell, name, window - 1]
        # What of the minute before lies within the last 60 seconds.
        estimate = count + before * (59 - second) // 60
        per_minute, burst = LIMITS[name]
        allowed = per_minute + (burst if before <= per_minute else 0)
        return ("", False) if estimate <= allowed else (name, estimate > FACTOR * (per_minute + burst))

    def _ban(self, source: Source, now: int) -> int:
        scope = "u" if source.transport == "udp" else "a"
        until, on = self.bans.get(source.key, (0, ""))
        # A ban on the evidence of a connection stands above one on that of datagrams.
        if now < until and (scope == "u" or on == "a"):
            return 0
        if (source.key, scope, now) in self.banned_at:
            return 0
        self.banned_at.add((source.key, scope, now))
        known, remembered = self.offences.get((source.key, scope), (0, 0))
        known = known + 1 if now < remembered else 1
        self.offences[source.key, scope] = known, now + MEMORY[scope]
        seconds = STEPS[min(known, len(STEPS)) - 1]
        seconds = min(seconds, UDP_MOST) if scope == "u" else seconds
        self.bans[source.key] = now + seconds, scope
        return seconds


class World:
    """The engine over tables of its own, and the model beside it."""

    def __init__(self) -> None:
        self.now = NOON
        self.tables = Tables(lambda: self.now)
        tables = self.tables
        self.counters = SharedCounters(
            MEMORY_OF_ALL, tables.inc, tables.get, tables.set, tables.expire, lambda: self.now, 1000, 7200, lambda _: False
        )  # fmt: skip
        self.model = Model()
        # The tables are one for all sequences: they begin anew, and later than any entry lives.
        self.now += next(ages) * 100_000 // 60 * 60
        self.sources = [ENGINE.networks.source(*place) for place in SOURCES]

    def sends(self, raw: bytes, method: str, user: str, dialog: str, source: Source) -> None:
        expected = self.model.request(raw, method, user, dialog, source, self.now)
        decision = ENGINE.decide(raw, source, float(self.now), self.counters)
        agree(decision, expected, source)
        if decision.ban is not None:
            self.bans(decision.ban)

    def bans(self, ban: Ban) -> None:
        """As Kamailio's side keeps it."""
        self.tables.set(BANS, ban.key, f"{ban.scope}|0")
        self.tables.expire(BANS, ban.key, ban.seconds)

    def answers(self, dialog: str, ours: bool) -> None:
        decision = ENGINE.decide(answer(dialog), self.sources[0], float(self.now), self.counters, lambda: ours)
        assert decision.verdict is Verdict.ALLOW
        if ours:
            self.model.dialogs.add(dialog)


def agree(decision: Decision, expected: Expected, source: Source) -> None:
    assert dict(decision.counters) == expected.counts
    rules = [finding.rule for finding in decision.findings]
    assert rules == ([f"limit-{expected.passed}"] if expected.passed else [])
    if not expected.passed:
        assert decision.verdict is Verdict.ALLOW
    elif decision.method == "ACK":
        assert decision.verdict is Verdict.DROP
    else:
        assert (decision.verdict, decision.status) == (Verdict.REJECT, 503)
    assert (decision.ban.seconds if decision.ban else 0) == expected.ban
    assert decision.ban is None or (decision.ban.key, decision.ban.scope == "u") == (
        source.key,
        source.transport == "udp",
    )


MEMORY_OF_ALL = Memory(4096, "", 1, 10)
ages = itertools.count()

steps = st.tuples(
    st.sampled_from(
        ["INVITE", "INVITE", "REGISTER", "OPTIONS", "MESSAGE", "ACK", "CANCEL", "BYE", "again", "answer", "foreign"]
    ),
    st.integers(0, len(SOURCES) - 1),
    # Whom for, and from which on with each: few or many.
    st.integers(0, 5),
    st.booleans(),
    st.integers(1, 14),
    st.sampled_from([0, 0, 0, 0, 1, 1, 5, 20, 31, 32, 33, 59, 60, 61, 125, 700]),
)


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(steps, min_size=1, max_size=40), st.sampled_from(FORMS))
def test_what_is_decided_is_what_the_policy_promises(
    sequence: list[tuple[str, int, int, bool, int, int]], form: str
) -> None:
    world = World()
    sent: list[tuple[bytes, str, str, str]] = [(request("INVITE", "first", form), "INVITE", "first", "")]
    forms = itertools.cycle((form, *FORMS))
    name = f"d{next(serial)}-"
    for what, place, user, many, times, passed in sequence:
        world.now += passed
        dialog = f"{name}{user}"
        if what in ("answer", "foreign"):
            world.answers(dialog, what == "answer")
            continue
        for number in range(times):
            if what == "again":
                raw, method, called, inside = sent[-1 - user % len(sent)]
            else:
                method, called = what, f"u{user + number if many else user}"
                inside = dialog if method in ("BYE", "ACK") or (method == "INVITE" and number % 3 == 2) else ""
                raw = request(method, called, next(forms), inside)
                sent.append((raw, method, called, inside))
            world.sends(raw, method, called, inside, world.sources[place])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 11), st.sampled_from(FORMS)), min_size=20, max_size=40))
def test_who_registers_for_many_is_seen_whatever_the_name_of_to(sent: list[tuple[int, str]]) -> None:
    """The same users in any form lead to the same answers as in the plainest one."""
    found = []
    for form in (None, "To: "):
        world = World()
        rules = []
        for user, own in sent:
            raw = request("REGISTER", f"u{user}", form or own)
            decision = ENGINE.decide(raw, world.sources[0], float(world.now), world.counters)
            rules.append([finding.rule for finding in decision.findings])
        found.append(rules)
    assert found[0] == found[1]


def test_the_sequences_reach_what_they_are_about() -> None:
    """Twelve callees, then a flood, then a second one: targets, a limit, a first and a longer ban."""
    world = World()
    found: list[Decision] = []
    for begin in (0, 120):
        world.now = world.now // 60 * 60 + begin
        for number in range(60):
            raw = request("INVITE", f"u{number}", "t:")
            expected = world.model.request(raw, "INVITE", f"u{number}", "", world.sources[1], world.now)
            found.append(ENGINE.decide(raw, world.sources[1], float(world.now), world.counters))
            agree(found[-1], expected, world.sources[1])
            if (ban := found[-1].ban) is not None:
                world.bans(ban)
    bans = [one.ban.seconds for one in found if one.ban]
    assert bans == [60, 600]
    assert {finding.rule for one in found for finding in one.findings} == {"limit-invite", "limit-targets"}
    assert world.tables.get(OFFENCES, f"{world.sources[1].key}/a") == 2
