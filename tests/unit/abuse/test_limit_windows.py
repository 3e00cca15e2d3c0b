"""Limits over counters in memory: windows and their borders, bursts, distinct values, what may ban."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from harness import request
from sipsieve._core import Inspection
from sipsieve.abuse.sources import Networks
from sipsieve.config import policy
from sipsieve.decision.engine import Engine
from sipsieve.detection import ruleset
from sipsieve.model import Ban, Decision, Scope, Source
from sipsieve_analysis.readers.replayed import MemoryCounters

NOON = 60 * 1000.0

RULES = ruleset.load()
INSPECTOR = Engine(policy.loads(""), RULES).inspector


def seen(raw: bytes) -> Inspection:
    return INSPECTOR.inspect(raw)


class Excess(NamedTuple):
    """A limit that was passed: its rule, what was counted, and whether that bans."""

    rule: str
    seen: int
    ban: Ban | None


class Sender:
    """One source before the limits of a policy."""

    def __init__(self, text: str, ip: str = "192.0.2.1", transport: str = "udp") -> None:
        self.engine = Engine(policy.loads(f'{text}\n[content_length_zero]\ninvite = "allow"'), RULES)
        self.counters = MemoryCounters()
        self.source: Source = self.engine.networks.source(ip, 5060, transport)

    def decides(self, raw: bytes, now: float) -> Decision:
        return self.engine.decide(raw, self.source, now, self.counters)

    def sends(self, count: int, now: float, method: str = "INVITE", **changes: str) -> list[Excess | None]:
        """What each of `count` different requests passes."""
        return [excess(self.decides(request(method, **changes), now)) for _ in range(count)]


def excess(decision: Decision) -> Excess | None:
    """The limit that a message passed."""
    for finding in decision.findings:
        if finding.family == "limits":
            return Excess(finding.rule, int(finding.reason.split()[0]), decision.ban)
    return None


def passed(found: list[Excess | None]) -> int:
    """How many were within the limit."""
    return sum(one is None for one in found)


def test_the_limit_itself_is_allowed_and_one_more_is_not() -> None:
    sender = Sender("[limits.invite]\nper_minute = 10")
    assert passed(sender.sends(11, NOON)) == 10


@pytest.mark.parametrize("gap", [0.0, 1.0, 10.0, 29.0])
def test_the_border_between_windows_gives_nothing_for_free(gap: float) -> None:
    sender = Sender("[limits.invite]\nper_minute = 10")
    assert passed(sender.sends(10, NOON + 59.9)) == 10
    # What was sent just before the border counts by the share of it that lies within the last minute.
    allowed = passed(sender.sends(10, NOON + 60 + gap))
    assert allowed <= 5 + gap / 60 * 10


def test_a_minute_later_all_is_forgotten() -> None:
    sender = Sender("[limits.invite]\nper_minute = 10")
    sender.sends(10, NOON)
    assert passed(sender.sends(10, NOON + 121)) == 10


def test_a_burst_is_for_who_kept_to_the_limit_before() -> None:
    sender = Sender("[limits.invite]\nper_minute = 10\nburst = 10")
    assert passed(sender.sends(25, NOON)) == 20
    # The minute after it the burst is spent.
    assert passed(sender.sends(25, NOON + 119)) <= 10


def test_a_steady_sender_at_the_limit_is_never_refused() -> None:
    sender = Sender("[limits.invite]\nper_minute = 60")
    found = [sender.sends(1, NOON + second)[0] for second in range(600)]
    assert passed(found) == 600


def test_a_retransmission_counts_once_and_twelve_copies_are_none() -> None:
    sender = Sender("[limits.invite]\nper_minute = 10")
    same = request("INVITE")
    counted = [sender.decides(same, NOON).counters.get("invite", 0) for _ in range(13)]
    assert counted == [1] + [0] * 10 + [2, 3]


def test_cancel_never_counts() -> None:
    sender = Sender("[limits.other]\nper_minute = 1")
    assert passed(sender.sends(50, NOON, "CANCEL")) == 50


def test_volume_bans_only_who_goes_on_far_beyond() -> None:
    sender = Sender("[limits]\nban_factor = 3\n[limits.invite]\nper_minute = 10")
    found = [one for one in sender.sends(40, NOON) if one is not None]
    assert next(one.seen for one in found if one.ban) == 31
    assert not any(one.ban for one in found if one.seen <= 30)


def test_factor_0_never_bans_for_volume() -> None:
    sender = Sender("[limits]\nban_factor = 0\n[limits.invite]\nper_minute = 1")
    assert not any(one.ban for one in sender.sends(500, NOON) if one is not None)


@pytest.mark.parametrize(
    ("transport", "scope"),
    [("udp", Scope.DATAGRAMS), ("tcp", Scope.ALL), ("tls", Scope.ALL), ("wss", Scope.WEBSOCKETS)],
)
def test_evidence_tells_against_what_it_can_have_come_from(transport: str, scope: Scope) -> None:
    found = Sender("[limits.invite]\nper_minute = 1", transport=transport).sends(3, NOON)[2]
    assert found is not None
    assert found.ban is not None
    assert found.ban.scope is scope


def test_datagrams_and_connections_are_counted_apart() -> None:
    sender = Sender("[limits.invite]\nper_minute = 2")
    assert passed(sender.sends(2, NOON)) == 2
    loaded = policy.loads("[limits.invite]\nper_minute = 2")
    sender.source = Networks(loaded).source("192.0.2.1", 5060, "tcp")
    assert passed(sender.sends(3, NOON)) == 2


def test_who_asks_for_many_is_seen_and_who_calls_one_number_often_is_not() -> None:
    sender = Sender("[limits.other]\nper_minute = 1000\n[limits.targets]\nper_minute = 20")
    found = [sender.sends(1, NOON, "OPTIONS", uri=f"sip:{n}@example.com")[0] for n in range(60)]
    first = next(number for number, one in enumerate(found) if one is not None)
    # The first quarter is not looked at, so that quiet sources cost one counter.
    assert 20 <= first <= 26
    assert passed(Sender("[limits.targets]\nper_minute = 20").sends(60, NOON, "OPTIONS", uri="sip:1@example.com")) == 60


def test_distinct_values_of_one_source_are_bounded() -> None:
    sender = Sender("[limits.other]\nper_minute = 100000\n[limits.targets]\nper_minute = 20")
    for n in range(2000):
        sender.sends(1, NOON, "OPTIONS", uri=f"sip:{n}@example.com")
    assert len(sender.counters._counts) < 100


def test_a_network_of_its_own_has_limits_of_its_own() -> None:
    text = (
        '[limits.invite]\nper_minute = 10\n[[network]]\ncidr = "192.0.2.0/24"\nlimits = { invite = { per_minute = 3 } }'
    )
    assert passed(Sender(text).sends(12, NOON)) == 3
    assert passed(Sender(text, "198.51.100.1").sends(12, NOON)) == 10


def test_counters_of_many_sources_together_refuse_but_never_ban() -> None:
    sender = Sender("[limits.invite]\nper_minute = 2")
    add = sender.counters.add
    sender.counters.add = lambda key, amount=1: -add(key, amount)  # type: ignore[method-assign]
    found = sender.sends(50, NOON)
    assert passed(found) == 2
    assert not any(one.ban for one in found if one is not None)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"INVITE sip:100@example.com SIP/2.0\r\nTo: <sip:9@x>\r\n", b"100"),
        (b"REGISTER sip:example.com SIP/2.0\r\nTo: <sip:100@x>\r\n", b"100"),
        (b"OPTIONS sip:example.com SIP/2.0\r\n", b""),
        (b"INVITE", b""),
        (b"REGISTER sip:x", b""),
        # Spelled in any way that a registrar reads (RFC 3261 7.3.1, 7.3.3).
        (b"REGISTER sip:example.com SIP/2.0\r\nt:<sip:100@x>\r\n\r\n", b"100"),
        (b"REGISTER sip:example.com SIP/2.0\r\nTO : sip:100@x;tag=1\r\n\r\n", b"100"),
        (b"INVITE sip:" + b"1" * 5000 + b"@x SIP/2.0\r\n", b""),
    ],
)
def test_whom_a_request_is_for(raw: bytes, expected: bytes) -> None:
    assert seen(raw).target == expected
