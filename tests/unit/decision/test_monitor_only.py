"""A rule that is only watched blocks nothing, and the log says what it would have done."""

from __future__ import annotations

import functools

import pytest

from harness import request
from sipsieve.config import policy
from sipsieve.decision.engine import Engine
from sipsieve.decision.explain import NoCounters
from sipsieve.detection import ruleset
from sipsieve.model import Decision, Source, Verdict

RULES = ruleset.load()
SOURCE = Source("192.0.2.7", 5060, "udp", "192.0.2.7")
SQL = '"x\' UNION SELECT ha1 FROM users" <sip:a@example.com>;tag=1'


class Counting(NoCounters):
    """Counts for real, in this process."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def add(self, key: str, amount: int = 1) -> int:
        self.counts[key] = self.counts.get(key, 0) + amount
        return self.counts[key]

    def get(self, key: str) -> int:
        return self.counts.get(key, 0)


@functools.cache
def _engine(text: str) -> Engine:
    return Engine(policy.loads(text), RULES)


def _decide(text: str, raw: bytes, counters: NoCounters | None = None) -> Decision:
    return _engine(text).decide(raw, SOURCE, 1000.0, counters or NoCounters())


def _watched(*ids: str) -> str:
    return f"[rules]\nobserve = {list(ids)!r}\n"


def test_a_watched_rule_blocks_nothing_and_says_what_it_would_have_done() -> None:
    decision = _decide(_watched("sql-*"), request(from_=SQL))
    assert decision.verdict is Verdict.REJECT
    assert decision.status == 403
    assert not decision.enforced
    assert any(finding.rule.startswith("sql-") for finding in decision.findings)


def test_what_other_rules_say_is_still_done() -> None:
    raw = request(from_=SQL, headers=("User-Agent: EagleSIP",))
    decision = _decide(_watched("sql-*"), raw)
    assert decision.verdict is Verdict.REJECT
    assert decision.enforced
    assert decision.reason.startswith("user-agent")


def test_a_watched_rule_counts_for_no_ban() -> None:
    counters = Counting()
    raw = request(from_=SQL)
    for _ in range(200):
        decision = _decide(_watched("sql-*", "limit-other"), raw, counters)
        assert not decision.enforced
        assert decision.ban is None
    assert not any("findings" in key or "ports" in key for key in counters.counts)


def test_watching_the_limit_lets_a_flood_through_but_not_an_attack() -> None:
    text = '[limits.other]\nper_minute = 3\n[rules]\nobserve = ["limit-*"]\n'
    counters = Counting()
    last = [_decide(text, request(), counters) for _ in range(20)][-1]
    assert last.verdict is Verdict.REJECT
    assert last.status == 503
    assert not last.enforced
    attack = _decide(text, request(from_=SQL), counters)
    assert attack.enforced
    assert attack.status == 403


def test_a_watched_empty_invite_passes() -> None:
    decision = _decide(_watched("content-length-zero"), request("INVITE"))
    assert decision.verdict is Verdict.REJECT
    assert not decision.enforced
    assert _decide(_watched("sql-*"), request("INVITE", from_=SQL)).enforced


def test_a_name_without_a_rule_is_refused() -> None:
    with pytest.raises(policy.PolicyError, match=r"rules.observe\[0\].*did you mean 'sql-"):
        _decide(_watched("sql-union-selekt"), request())
