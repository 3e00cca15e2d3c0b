"""What accounts and domains are held to: only what the backend answered counts, and nobody is locked out by a claim."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import SDP, request
from sipsieve._core import Memory
from sipsieve.abuse.shared_counters import SharedCounters
from sipsieve.config import policy
from sipsieve.decision.engine import Engine
from sipsieve.detection import ruleset
from sipsieve.model import Decision

RULES = ruleset.load()
NOON = 3600 * 1000

serial = itertools.count()


class Site:
    """An engine with limits of accounts over tables of its own, and a backend that knows passwords."""

    def __init__(self, accounts: str = "", more: str = "", mode: str = "enforce") -> None:
        text = f'[limits]\nenabled = false\n[accounts]\nmode = "{mode}"\n{accounts}\n{more}'
        self.engine = Engine(policy.loads(text), RULES)
        self.memory = Memory(8192, "", 1, 10)
        self.now = float(NOON)
        self.counters = SharedCounters(
            self.memory,
            lambda _t, _n: 1,
            lambda _t, _n: None,
            lambda *_: None,
            lambda *_: None,
            lambda: self.now,
            9,
            9,
            bool,
        )

    def tries(
        self, user: str, ip: str, right: bool, method: str = "REGISTER", realm: str = "example.com", number: str = "bob",
        ours: bool | None = True, transport: str = "udp", status: int = 0,
    ) -> Decision:  # fmt: skip
        """A request with credentials; where it is let through, the backend's answer too."""
        call = f"call{os.getpid()}x{next(serial)}"
        credentials = f'Authorization: Digest username="{user}", realm="{realm}", nonce="n", uri="sip:x", response="0"'
        from_ = f"<sip:{user}@example.com>;tag=a"
        raw = request(
            method, uri=f"sip:{number}@example.com", from_=from_, to=f"<sip:{number}@example.com>", call_id=call,
            cseq=f"2 {method}", headers=(credentials, "Contact: <sip:a@192.0.2.1>", "Content-Type: application/sdp"), body=SDP,
        )  # fmt: skip
        source = self.engine.networks.source(ip, 5060, transport)
        decision = self.engine.decide(raw, source, self.now, self.counters)
        if not (decision.enforced and decision.verdict in ("reject", "drop")):
            code = status or (200 if right else 401)
            reply = (
                f"SIP/2.0 {code} X\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx\r\nVia: SIP/2.0/UDP {ip}:5060;branch=z9hG4bKy\r\n"
                f"From: {from_}\r\nTo: <sip:{number}@example.com>;tag=b\r\nCall-ID: {call}\r\nCSeq: 2 {method}\r\n"
                "Content-Length: 0\r\n\r\n"
            ).encode()
            backend = self.engine.networks.source("192.0.2.250", 5060, "udp")
            self.engine.decide(reply, backend, self.now, self.counters, lambda: ours)
        return decision


def rules(decision: Decision) -> list[str]:
    return [finding.rule for finding in decision.findings]


def test_nothing_is_counted_where_nothing_is_asked_for() -> None:
    site = Site()
    assert {tuple(rules(site.tries(f"u{n}", "192.0.2.1", False))) for n in range(300)} == {()}


def test_one_address_that_tries_two_hundred_accounts_once_each() -> None:
    site = Site("guesses_per_hour = 20")
    found = [rules(site.tries(f"u{n}", "192.0.2.1", False)) for n in range(200)]
    assert found == [[]] * 21 + [["account-guesses"]] * 179
    assert rules(site.tries("u1", "192.0.2.2", False)) == []


def test_a_phone_that_is_known_goes_on_beside_a_guesser_behind_the_same_address() -> None:
    site = Site("guesses_per_hour = 5")
    site.tries("alice", "192.0.2.1", True)
    for n in range(50):
        site.tries(f"u{n}", "192.0.2.1", False)
    assert rules(site.tries("alice", "192.0.2.1", True)) == []
    # Known to one account is not known to another.
    assert rules(site.tries("carol", "192.0.2.1", False)) == ["account-guesses"]


def test_one_account_tried_from_forty_addresses() -> None:
    site = Site("failures_per_hour = 10")
    site.tries("alice", "192.0.2.200", True)
    for _ in range(3):
        found = [rules(site.tries("alice", f"192.0.2.{n}", False)) for n in range(40)]
    # Each has had its try; the second is not let through to the backend any more.
    assert found == [["account-failures"]] * 40
    # The customer is where the account is known, or comes from elsewhere with the right password at once.
    assert rules(site.tries("alice", "192.0.2.200", True)) == []
    assert rules(site.tries("alice", "198.51.100.7", True)) == []
    assert rules(site.tries("bob", "192.0.2.1", False)) == []


def test_passwords_sprayed_below_every_limit_per_source() -> None:
    site = Site("spray_per_hour = 30")
    found = [rules(site.tries(f"u{n}", f"198.51.{n // 200}.{n % 200}", False)) for n in range(400)]
    assert found == [[]] * 400
    again = [rules(site.tries(f"v{n}", f"198.51.{n // 200}.{n % 200}", False)) for n in range(400)]
    assert again == [["account-spray"]] * 400
    assert rules(site.tries("alice", "192.0.2.7", True)) == []
    assert rules(site.tries("u1", "198.51.0.1", False, realm="other.example")) == []


def test_one_account_used_from_more_addresses_than_it_has() -> None:
    site = Site("sources_per_hour = 3")
    found = [rules(site.tries("alice", f"192.0.2.{n}", True)) for n in (1, 2, 3, 4, 1, 5)]
    assert found == [[], [], [], ["account-sources"], [], ["account-sources"]]
    site.now += 2 * 3600
    assert rules(site.tries("alice", "192.0.2.4", True)) == []


def test_what_is_only_claimed_locks_nobody_out() -> None:
    site = Site("sources_per_hour = 2\nfailures_per_hour = 5\ncalls_per_hour = 3\nnumbers_per_hour = 3")
    for n in range(100):
        # Answers that belong to no transaction of ours: anybody may have sent them.
        site.tries("alice", f"192.0.2.{n}", False, ours=False)
        site.tries("alice", f"192.0.2.{n}", True, "INVITE", ours=None, number=f"+4930{n}0000")
        # Requests in the customer's name and from his own address, which the backend refuses.
        site.tries("alice", "203.0.113.5", False, "INVITE")
    assert rules(site.tries("alice", "203.0.113.6", True)) == []
    assert rules(site.tries("alice", "203.0.113.6", True, "INVITE")) == []


def test_calls_and_numbers_of_an_account_from_all_its_addresses() -> None:
    site = Site("calls_per_hour = 4")
    found = [rules(site.tries("alice", f"192.0.2.{n}", True, "INVITE")) for n in range(5)]
    assert found == [[]] * 4 + [["account-calls"]]
    assert rules(site.tries("alice", "192.0.2.1", True)) == []
    site = Site("calls_per_minute = 2")
    assert [rules(site.tries("alice", "192.0.2.1", True, "INVITE")) for _ in range(3)] == [[], [], ["account-calls"]]
    site.now += 120
    assert rules(site.tries("alice", "192.0.2.1", True, "INVITE")) == []
    site = Site("numbers_per_hour = 2")
    numbers = ["1000", "1001", "1000", "1002", "1001"]
    found = [rules(site.tries("alice", "192.0.2.1", True, "INVITE", number=number)) for number in numbers]
    assert found == [[], [], [], ["account-numbers"], []]


def test_a_refused_destination_is_no_refused_password() -> None:
    site = Site("failures_per_hour = 1\nguesses_per_hour = 1")
    assert {tuple(rules(site.tries("alice", "192.0.2.1", False, "INVITE", status=403))) for _ in range(9)} == {()}


def test_observe_is_the_default_and_blocks_nothing() -> None:
    assert policy.loads("").accounts.mode == "observe"
    site = Site("guesses_per_hour = 2", mode="observe")
    found = [site.tries(f"u{n}", "192.0.2.1", False) for n in range(9)]
    assert [rules(one) for one in found] == [[]] * 3 + [["account-guesses"]] * 6
    assert not any(one.enforced and one.verdict == "reject" for one in found)


DOMAINS = """
[[domain]]
name = "Tenant.example"
calls_per_hour = 2
domain_per_hour = 3
exempt = ["front-desk"]

[[domain]]
name = "free.example"
mode = "observe"
guesses_per_hour = 0
"""


def test_a_domain_has_its_own() -> None:
    site = Site("guesses_per_hour = 2\ncalls_per_hour = 9", DOMAINS)
    found = [rules(site.tries("alice", "192.0.2.1", True, "INVITE", "tenant.example")) for _ in range(3)]
    assert found == [[], [], ["account-calls"]]
    assert rules(site.tries("bob", "192.0.2.1", True, "INVITE", "tenant.example")) == []
    assert rules(site.tries("carol", "192.0.2.1", True, "INVITE", "tenant.example")) == ["domain-calls"]
    assert rules(site.tries("front-desk", "192.0.2.1", True, "INVITE", "tenant.example")) == []
    # What it does not write stays as it is for all.
    assert [rules(site.tries(f"u{n}", "192.0.2.9", False, realm="tenant.example")) for n in range(4)][3] == [
        "account-guesses"
    ]
    assert {tuple(rules(site.tries(f"u{n}", "192.0.2.8", False, realm="free.example"))) for n in range(40)} == {()}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '[[domain]]\nname = "a.example"\n[[domain]]\nname = "A.example"',
            "domain[1].name: 'a.example' stands in domain[0]",
        ),
        ("[accounts]\nguesses = 3", "accounts.guesses: no such key. Did you mean 'guesses_per_hour'?"),
        ("[[domain]]\nexempt = []", "domain[0]"),
    ],
)
def test_what_can_t_be_used_is_named(text: str, said: str) -> None:
    with pytest.raises(policy.PolicyError) as raised:
        policy.loads(text)
    assert said in str(raised.value)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans()), max_size=50))
def test_any_sequence_keeps_to_a_plain_model(steps: list[tuple[int, int, bool]]) -> None:
    site = Site("failures_per_hour = 3\nguesses_per_hour = 2")
    failures: dict[int, int] = {}
    guesses: dict[int, set[int]] = {}
    tried: set[tuple[int, int]] = set()
    known: set[tuple[int, int]] = set()
    for user, place, right in steps:
        expected = []
        if (user, place) not in known:
            if len(guesses.get(place, set())) > 2:
                expected = ["account-guesses"]
            elif failures.get(user, 0) > 3 and (user, place) in tried:
                expected = ["account-failures"]
        assert rules(site.tries(f"u{user}", f"192.0.2.{place}", right)) == expected
        if expected:
            continue
        if right:
            known.add((user, place))
        else:
            failures[user] = failures.get(user, 0) + 1
            guesses.setdefault(place, set()).add(user)
            tried.add((user, place))


def test_workers_together_count_as_one(tmp_path: Path) -> None:
    site = Site("calls_per_hour = 1000\nfailures_per_hour = 400")
    for worker in range(4):
        child = os.fork()
        if not child:
            for n in range(100):
                site.tries("alice", f"10.{worker}.0.{n}", False)
            os._exit(0)
        assert child
    for _ in range(4):
        assert os.wait()[1] == 0
    assert rules(site.tries("alice", "10.0.0.1", False)) == []
    assert rules(site.tries("alice", "10.0.0.1", False)) == ["account-failures"]
