"""Standing as the table keeps it, its kept form, and what a domain has of its own; judged by the engine over shared tables."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import request
from sipsieve import _core as core
from sipsieve.abuse import earned_standing
from sipsieve.abuse.earned_standing import Entry, StandingTable, dump, entry, load
from sipsieve.abuse.shared_counters import SharedCounters
from sipsieve.config import policy
from sipsieve.decision.engine import Engine
from sipsieve.detection import ruleset
from sipsieve.model import Decision

RULES = ruleset.load()
NOW = 1_800_000_000
FADES = 180
POLICY = policy.loads("")


class Node:
    """One server's standing: the core's table, and one that stands for Kamailio's."""

    def __init__(self, shared: dict[str, str] | None = None) -> None:
        self.table: dict[str, str] = {} if shared is None else shared
        self.earned = core.Earned(64)
        self.notices: list[str] = []
        access = earned_standing.Access(
            lambda: self.table,
            self.table.get,
            lambda key, value, _seconds: self.table.update({key: value}),
            lambda key: self.table.pop(key, None),
            lambda _table, _key: len(self.table) + 1,
            lambda _table, _key, _value: None,
        )
        self.standing = StandingTable(access, self.earned, self._notice)

    def _notice(self, action: str, _now: float, _detail: Any) -> bool:
        self.notices.append(action)
        return True

    def proves(self, key: str, minute: int, proof: str = "call") -> None:
        """A proof in that minute, told as the core tells it."""
        credit = self.earned.earn(key, minute * 60, FADES)
        if credit is not None and credit >= POLICY.bans.earned_minutes:
            self.standing.told(key, proof, credit, NOW + minute * 60, POLICY)

    def has(self, key: str, minute: int) -> bool:
        return self.earned.has(key, minute * 60, 3, FADES)

    def looks(self, minute: int) -> None:
        self.standing.look(NOW + minute * 60, minute * 60, POLICY)


def test_since_until_and_by_which_proofs() -> None:
    node = Node()
    node.proves("192.0.2.1", 1)
    node.proves("192.0.2.1", 2)
    assert not node.table
    node.proves("192.0.2.1", 3, "registration")
    node.proves("192.0.2.1", 4)
    known = entry("192.0.2.1", node.table["192.0.2.1"])
    assert known == Entry("192.0.2.1", 4, NOW + 240, NOW + 180, NOW + 240 + 2 * FADES * 60, ("call", "registration"))


def test_it_is_shared_and_lost_everywhere_and_not_had_again_at_once() -> None:
    shared: dict[str, str] = {}
    one, other = Node(shared), Node(shared)
    for minute in range(4):
        one.proves("192.0.2.1", minute)
    other.looks(4)
    assert other.has("192.0.2.1", 4)
    assert other.earned.lose("192.0.2.1")
    other.standing.told("192.0.2.1", "limit-malformed", 0, NOW + 240, POLICY)
    # The first has not looked yet: a proof there gives nothing back.
    one.proves("192.0.2.1", 5)
    assert "l|" in shared["192.0.2.1"] and not one.has("192.0.2.1", 5)
    one.looks(6)
    assert other.notices == ["disgrace"] and not one.has("192.0.2.1", 6)
    for minute in range(7, 11):
        one.proves("192.0.2.1", minute)
        one.looks(minute)
    assert one.has("192.0.2.1", 10) and shared["192.0.2.1"].startswith("s|")


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("prl"), st.integers(0, 200)), max_size=60), st.data())
def test_what_a_restart_takes_up_is_what_was_there(steps: list[tuple[int, str, int]], data: st.DataObject) -> None:
    """After any proofs, losses and times: who has standing after a restart had it before, and as long."""
    node, minute = Node(), 0
    for source, what, passed in steps:
        minute += passed
        key = f"192.0.2.{source}"
        if what == "p":
            node.proves(key, minute)
        elif what == "l" and node.has(key, minute) and node.earned.lose(key):
            node.standing.told(key, "limit-findings", 0, NOW + minute * 60, POLICY)
    text = dump(node.table)
    gone = data.draw(st.integers(0, 2000))
    again = Node()
    # Its clock may have begun anew.
    steady = data.draw(st.integers(0, 10**6))
    again.standing.restore(text, NOW + (minute + gone) * 60, steady, POLICY)
    for source in range(4):
        key = f"192.0.2.{source}"
        before = node.earned.has(key, (minute + gone) * 60, 3, FADES)
        after = again.earned.has(key, steady, 3, FADES)
        # The last quarter of an hour of a source with all its credits may not have been told.
        slack = node.earned.has(key, (minute + gone + 16) * 60, 3, FADES)
        assert after <= before and slack <= after


@pytest.mark.parametrize("value", [
    "", "s", "l|1", "l|x|ban", "s|0|1|1|1|call", "s|10|1|1|1|call", "s|3|1|1|1|friend", "s|3|-1|1|1|call", "l|1|../x", 7, None,
])  # fmt: skip
def test_what_others_wrote_there_is_nobody_s_standing(value: object) -> None:
    assert entry("192.0.2.1", value) is None
    assert entry("no address", "s|3|1|1|1|call") is None


@pytest.mark.parametrize("text", ["{}", "[]", "7", '{"format": 2, "standing": {}}', '{"format": 1, "standing": []}'])
def test_what_is_no_kept_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="state file"):
        load(text, NOW, 9)


def test_workers_that_earn_and_lose_at_once_agree() -> None:
    """Four processes over one table: nobody earns more than a credit a minute, and what is lost at last is lost for all."""
    table = core.Earned(64)
    pids = []
    for worker in range(4):
        pid = os.fork()
        if not pid:
            for minute in range(4000):
                table.earn("192.0.2.1", minute * 60, FADES)
                table.earn(f"192.0.2.{10 + worker}", minute // 1000 * 60, FADES)
                if worker == 3 and minute % 7 == 0:
                    table.lose("192.0.2.1")
            os._exit(0)
        pids.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 4
    assert [table.credit(f"192.0.2.{10 + worker}", 3 * 60, FADES) for worker in range(4)] == [4] * 4
    table.lose("192.0.2.1")
    assert table.credit("192.0.2.1", 4000 * 60, FADES) == 0


# Domains

DOMAINS = """
[limits]
ban_factor = 2
[limits.other]
per_minute = 10
burst = 0
[[domain]]
name = "Mild.example"
bans = false
[[domain]]
name = "short.example"
ban_seconds = [7, 8]
[[domain]]
name = "patient.example"
ban_factor = 5
[[domain]]
name = "odd.example"
[[domain.exceptions]]
rule = "sql-*"
field = "from.*"
reason = "their PBX writes queries into names"
"""
HOSTILE = '"\' or 1=1--" <sip:mallory@example.com>;tag=1'


class Site:
    """An engine over shared tables; a ban is always the source's first."""

    def __init__(self, text: str = DOMAINS) -> None:
        self.engine = Engine(policy.loads(text), RULES)
        memory = core.Memory(8192, "", 1, 10)
        self.counters = SharedCounters(
            memory,
            lambda _t, _n: 1,
            lambda _t, _n: None,
            lambda *_: None,
            lambda *_: None,
            lambda: NOW,
            9,
            9,
            lambda _key: False,
        )

    def sends(self, uri: str, ip: str = "192.0.2.1", transport: str = "udp", **more: str) -> Decision:
        source = self.engine.networks.source(ip, 5060, transport)
        return self.engine.decide(request("OPTIONS", uri=uri, **more), source, NOW, self.counters)


@pytest.mark.parametrize(
    ("domain", "banned_at", "seconds"),
    [("other.example", 21, 60), ("MILD.example", None, 0), ("short.example", 21, 7), ("patient.example", 51, 60)],
)
def test_a_domain_bans_as_it_says(domain: str, banned_at: int | None, seconds: int) -> None:
    site = Site()
    made = [site.sends(f"sip:bob@{domain}") for _ in range(60)]
    # What is over the limit is refused with or without a ban.
    assert [one.verdict.value for one in made] == ["allow"] * 10 + ["reject"] * 50
    bans = [(number, one.ban.seconds) for number, one in enumerate(made, 1) if one.ban]
    assert bans[:1] == ([(banned_at, seconds)] if banned_at else [])


def test_a_mild_domain_is_no_shelter() -> None:
    """What a source sends to a domain without bans bans it where it sends to another."""
    site = Site()
    assert not any(site.sends("sip:bob@mild.example").ban for _ in range(60))
    assert site.sends("sip:bob@other.example").ban


def test_an_exception_holds_in_its_domain_and_field_alone() -> None:
    site = Site()
    assert site.sends("sip:bob@odd.example", from_=HOSTILE).findings == ()
    assert site.sends("sip:bob@odd.example", to=HOSTILE).verdict.value == "reject"
    assert site.sends("sip:bob@example.com", from_=HOSTILE).verdict.value == "reject"
    assert site.sends("sip:odd.example@example.com", from_=HOSTILE).verdict.value == "reject"


def test_an_exception_for_a_rule_that_is_none_is_refused() -> None:
    with pytest.raises(policy.PolicyError, match=r"domain\[3\]\.exceptions\[0\]\.rule: 'sqk-\*' is no rule"):
        Site(DOMAINS.replace("sql-*", "sqk-*"))


LOST = '[standing]\nlost_by = ["attack", "account", "destination"]\n[bans]\nearned_minutes = 1\n'


@pytest.mark.parametrize(("transport", "loses"), [("udp", False), ("tcp", True), ("tls", True), ("ws", False)])
def test_only_what_nobody_else_can_have_sent_loses_it(transport: str, loses: bool) -> None:
    site = Site(LOST)
    earned = site.counters.memory.earned
    earned.earn("192.0.2.1", NOW, FADES)
    assert site.sends("sip:bob@example.com", transport=transport, from_=HOSTILE).enforced
    assert earned.has("192.0.2.1", NOW, 1, FADES) is not loses


def test_a_newcomer_shares_where_there_are_too_many_and_who_has_standing_does_not() -> None:
    site = Site("[bans]\nearned_minutes = 1\n[limits]\ncapacity = 1024\n")
    memory = core.Memory(1024, "", 1, 10)
    site.counters.memory = memory
    memory.earned.earn("192.0.2.1", NOW, FADES)
    for number in range(1200):
        site.sends("sip:bob@example.com", ip=f"198.51.{number // 250}.{number % 250}")
    counts = memory.counts
    for ip, own in (("192.0.2.1", 3), ("192.0.2.2", 0)):
        for _ in range(3):
            site.sends("sip:bob@example.com", ip=ip)
        assert counts.of(f"{ip}:u", "other", NOW // 60, NOW // 60) == own
