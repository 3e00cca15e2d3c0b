"""Where calls may go: prefixes, classes, rates, times and the patterns of toll fraud, over the core's shared tables."""

from __future__ import annotations

import datetime
import itertools
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import SDP, request
from sipsieve._core import Memory
from sipsieve.abuse.shared_counters import SharedCounters
from sipsieve.config import policy
from sipsieve.config.destinations import numbering
from sipsieve.decision.engine import Engine
from sipsieve.detection import ruleset
from sipsieve.model import Decision, Source

RULES = ruleset.load()
NOON = 3600 * 1000

SITE = '[dialling]\ncountry = "49"\ninternational = ["00", "011"]\noutside = ["9"]\n'
OPEN = "[limits]\nenabled = false\n"

serial = itertools.count()


class Site:
    """An engine with destinations over tables of its own."""

    def __init__(self, entry: str, mode: str = "enforce", more: str = OPEN) -> None:
        text = f'{more}{SITE}[[destinations]]\nname = "site"\nmode = "{mode}"\n{entry}'
        self.engine = Engine(policy.loads(text), RULES)
        self.memory = Memory(4096, "", 1, 10)
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

    def decide(self, raw: bytes, source: Source | None = None) -> Decision:
        return self.engine.decide(raw, source or self.source(), self.now, self.counters, lambda: True)

    def source(self, ip: str = "192.0.2.1") -> Source:
        return self.engine.networks.source(ip, 5060, "tcp")

    def dials(self, number: str, call: str = "", cseq: int = 1, user: str = "", **kw: str) -> Decision:
        raw = dial(number, call, cseq, user, kw.get("from_", "<sip:alice@example.com>;tag=a"))
        return self.decide(raw, self.source(kw.get("ip", "192.0.2.1")))

    def answered(self, number: str, call: str, cseq: int = 1, user: str = "", ip: str = "192.0.2.1") -> Decision:
        """A call that is let through is answered too."""
        decision = self.dials(number, call, cseq, user, ip=ip)
        if not rules(decision):
            self.decide(answer(number, call, cseq))
        return decision

    def hangs_up(self, number: str, call: str) -> None:
        self.decide(
            request("BYE", uri=f"sip:{number}@pbx.example.com", from_="<sip:alice@example.com>;tag=a",
                    to=f"<sip:{number}@pbx.example.com>;tag=b", call_id=call, cseq="9 BYE")
        )  # fmt: skip


def dial(
    number: str, call: str = "", cseq: int = 1, user: str = "", from_: str = "<sip:alice@example.com>;tag=a"
) -> bytes:
    credentials = (
        f'Authorization: Digest username="{user}", realm="example.com", nonce="n", uri="sip:x", response="0"',
    )
    return request(
        "INVITE",
        uri=f"sip:{number}@pbx.example.com",
        from_=from_,
        to=f"<sip:{number}@pbx.example.com>",
        call_id=call or f"call{next(serial)}",
        cseq=f"{cseq} INVITE",
        headers=("Contact: <sip:alice@192.0.2.1>", "Content-Type: application/sdp", *(credentials if user else ())),
        body=SDP,
    )


def answer(number: str, call: str, cseq: int = 1) -> bytes:
    return (
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx\r\nFrom: <sip:alice@example.com>;tag=a\r\n"
        f"To: <sip:{number}@pbx.example.com>;tag=b\r\nCall-ID: {call}\r\nCSeq: {cseq} INVITE\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def rules(decision: Decision) -> list[str]:
    return [finding.rule for finding in decision.findings]


def test_nothing_is_looked_at_without_an_entry() -> None:
    engine = Engine(policy.loads(SITE), RULES)
    assert (
        engine.decide(
            dial("0088299900"), engine.networks.source("192.0.2.1", 1, "tcp"), 1.0, Site("").counters
        ).findings
        == ()
    )


@pytest.mark.parametrize(
    "number", ["+8821234567", "008821234567", "9008821234567", "%2b8821234567", "+88-21.234(567);x=y"]
)
def test_a_forbidden_number_is_refused_however_it_is_written(number: str) -> None:
    decision = Site('forbidden = ["networks"]').dials(number)
    assert (rules(decision), decision.status) == (["destination-forbidden"], 403)
    assert decision.reason == "site: +882 (international network or shared code) is forbidden"
    assert decision.ban is None


def test_observe_is_the_default_and_blocks_nothing() -> None:
    site = Site('forbidden = ["CU"]')
    assert site.dials("+5371234567").enforced
    watched = Engine(policy.loads(f'{SITE}[[destinations]]\nname = "site"\nforbidden = ["CU"]'), RULES)
    decision = watched.decide(dial("+5371234567"), site.source(), NOON, site.counters)
    assert rules(decision) == ["destination-forbidden"]
    assert not decision.enforced


def test_the_whole_policy_in_observe_mode_blocks_nothing() -> None:
    site = Site('forbidden = ["CU"]', more=f'mode = "observe"\n{OPEN}')
    assert not site.dials("+5371234567").enforced


def test_only_what_is_allowed_may_be_called_and_the_own_country() -> None:
    site = Site('allowed = ["FR", "+4420"]')
    refused = {
        number: rules(site.dials(number))
        for number in ("+33140000000", "+442079460000", "030123456", "+4930123456", "201")
    }
    assert set(map(tuple, refused.values())) == {()}
    for number in ("+441619460000", "+12125550100", "0019005550100"):
        assert rules(site.dials(number)) == ["destination-not-allowed"]


def test_a_prefix_that_is_written_out_goes_before_a_country() -> None:
    site = Site('forbidden = ["GB", "+4420123"]\nallowed = ["+4420"]')
    assert rules(site.dials("+442079460000")) == []
    assert rules(site.dials("+441619460000")) == ["destination-forbidden"]
    assert rules(site.dials("+442012300000")) == ["destination-forbidden"]


def test_countries_that_share_a_code_are_told_apart() -> None:
    site = Site('forbidden = ["JM", "DO"]')
    assert rules(site.dials("+18765550100")) == ["destination-forbidden"]
    assert rules(site.dials("+18095550100")) == ["destination-forbidden"]
    assert rules(site.dials("+12125550100")) == []


def test_dear_calls_have_a_rate_and_each_call_counts_once() -> None:
    site = Site("expensive = { per_hour = 3 }")
    for number in range(3):
        # The challenge, the credentials and a retransmission are one call.
        for cseq in (1, 2, 2):
            assert rules(site.dials("+870123456", f"call-{number}", cseq)) == []
    over = site.dials("+870123456", "fourth")
    assert rules(over) == ["destination-expensive"]
    assert over.reason == "site: +870 (satellite telephone): 4 expensive calls in an hour, 3 are allowed"
    assert rules(site.dials("+870123456", "fourth", 2)) == ["destination-expensive"]
    # One that was let through stays so, whatever came after it.
    assert rules(site.dials("+870123456", "call-0", 3)) == []
    assert rules(site.dials("+33140000000")) == []
    assert rules(site.dials("+870123456", ip="192.0.2.2")) == []
    site.now += 2 * 3600
    assert rules(site.dials("+870123456", "later")) == []


def test_trying_on_keeps_nobody_out_for_longer() -> None:
    site = Site("expensive = { per_hour = 4 }")
    for _ in range(50):
        site.dials("+870123456")
    site.now += 3600 + 1800
    assert [rules(site.dials("+870123456")) for _ in range(2)] == [[], []]


def test_calls_abroad_by_the_minute() -> None:
    site = Site("abroad = { per_minute = 5 }")
    assert [rules(site.dials("+33140000000")) for _ in range(6)] == [[]] * 5 + [["destination-abroad"]]
    assert rules(site.dials("030123456")) == []


def test_a_trusted_network_is_held_to_an_entry_that_names_it() -> None:
    trusted = f'[network]\ntrusted = ["192.0.2.0/24"]\n{OPEN}'
    assert rules(Site('forbidden = ["CU"]', more=trusted).dials("+5371234567")) == []
    named = Site('forbidden = ["CU"]\nnetworks = ["192.0.2.0/25"]', more=trusted)
    assert rules(named.dials("+5371234567")) == ["destination-forbidden"]
    assert rules(named.dials("+5371234567", ip="192.0.2.200")) == []


def test_the_first_entry_that_fits_holds() -> None:
    agency = '[[destinations]]\nname = "all"\nmode = "enforce"\nforbidden = ["CU"]\n'
    site = Site(f'accounts = ["travel"]\ndomains = ["Agency.example"]\n{agency}')
    travel = "<sip:travel@agency.example>;tag=a"
    assert rules(site.dials("+5371234567", from_=travel)) == []
    assert rules(site.dials("+5371234567", user="travel", from_="<sip:x@agency.example:5060>;tag=a")) == []
    assert rules(site.dials("+5371234567", user="alice", from_=travel)) == ["destination-forbidden"]
    assert rules(site.dials("+5371234567")) == ["destination-forbidden"]


def test_an_account_is_held_to_what_the_backend_accepted() -> None:
    site = Site('per = "account"\nexpensive = { per_hour = 2 }')
    # Whoever writes the name of a customer uses nothing of his up, however often.
    for number in range(20):
        assert rules(site.dials("+870123456", f"claimed-{number}", user="alice")) == []
    assert [rules(site.answered("+870123456", f"real-{number}", 2, "alice", f"192.0.2.{number}")) for number in range(3)] == [
        [], [], ["destination-expensive"],
    ]  # fmt: skip
    assert rules(site.dials("+870123456", "others", user="bob")) == []
    # A challenge must be had before anybody is known.
    assert rules(site.dials("+870123456", "unknown")) == []


def test_a_domain_is_held_to_the_calls_of_all_its_accounts() -> None:
    site = Site('per = "domain"\nabroad = { per_hour = 4 }')
    found = [rules(site.answered("+33140000000", f"d{number}", 1, f"user{number}")) for number in range(5)]
    assert found == [[]] * 4 + [["destination-abroad"]]


def test_countries_blocks_and_spellings() -> None:
    site = Site("countries_per_hour = 3\nblock_per_hour = 5\nspellings_per_hour = 4")
    numbers = ["+33140000000", "+442079460000", "+390612345678"]
    assert [rules(site.dials(number)) for number in numbers * 2] == [[]] * 6
    assert rules(site.dials("+81312345678")) == ["destination-countries"]
    site = Site("block_per_hour = 5")
    assert [rules(site.dials(f"+33140001{number}")) for number in range(200, 206)] == [[]] * 5 + [["destination-block"]]
    # Numbers side by side at home are one company's.
    assert [rules(site.dials(f"+49301234{number}")) for number in range(200, 209)] == [[]] * 9
    site = Site("spellings_per_hour = 4")
    prefixes = ["00", "000", "011", "900", "9900"]
    found = [rules(site.dials(f"{prefix}442079460000")) for prefix in prefixes]
    assert found == [[]] * 4 + [["destination-spellings"]]
    # Prefixes that lead nowhere at this site count too, in the dialling plan or not.
    assert rules(site.dials("7011442079460000")) == ["destination-spellings"]
    assert rules(site.dials("011442079460000")) == []


def test_short_calls_and_many_callers_of_one_range() -> None:
    site = Site("short_per_hour = 2\nshort_seconds = 6")
    for number, seconds in enumerate((5, 60, 4, 2)):
        assert rules(site.answered("+33140000000", f"s{number}")) == []
        site.now += seconds
        site.hangs_up("+33140000000", f"s{number}")
        site.hangs_up("+33140000000", f"s{number}")
    assert rules(site.dials("+33140000000")) == ["destination-short"]
    assert rules(site.dials("030123456")) == []
    # Missed calls that are rung back: many customers, one range, each but once.
    site = Site("callers_per_hour = 3")
    found = [
        rules(site.answered(f"+2521234{500 + number}", f"w{number}", ip=f"192.0.2.{number}")) for number in range(5)
    ]
    assert found == [[]] * 4 + [["destination-callers"]]
    assert rules(site.dials("+252999999", ip="192.0.2.9")) == []
    # Nothing was answered: nobody can have a range shut by sending INVITEs in others' names.
    site = Site("callers_per_hour = 3")
    assert [rules(site.dials("+2521234500", ip=f"192.0.2.{number}")) for number in range(9)] == [[]] * 9


OFF = 'off_hours = { from = "20:00", to = "06:00", zone = "Europe/Berlin", refuse = "expensive", abroad = { per_hour = 1 } }'


@pytest.mark.parametrize(
    ("local", "off"),
    [("2026-07-03T19:59", False), ("2026-07-03T20:00", True), ("2026-07-04T12:00", True), ("2026-07-06T05:59", True),
     ("2026-07-06T06:00", False), ("2026-12-04T19:59", False), ("2026-12-04T20:00", True)],
)  # fmt: skip
def test_nights_and_weekends_are_those_of_the_site(local: str, off: bool) -> None:
    berlin = pytest.importorskip("zoneinfo").ZoneInfo("Europe/Berlin")
    site = Site(OFF)
    site.now = datetime.datetime.fromisoformat(local).replace(tzinfo=berlin).timestamp()
    assert rules(site.dials("+870123456")) == (["destination-off-hours"] if off else [])
    assert rules(site.dials("+33140000000")) == []
    assert rules(site.dials("+33140000000")) == (["destination-abroad"] if off else [])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9), st.booleans(), st.integers(0, 20)), max_size=60))
def test_any_sequence_keeps_to_a_plain_model(steps: list[tuple[int, int, bool, int]]) -> None:
    site = Site("expensive = { per_hour = 4 }")
    calls: dict[tuple[int, int], bool] = {}
    counts: Counter[int] = Counter()
    for who, call, dear, later in steps:
        # All within one hour: what the hour before held is another test's.
        site.now = min(site.now + later, NOON + 3599)
        decision = site.dials("+870123456" if dear else "+4930123456", f"m{who}-{call}", ip=f"192.0.2.{who}")
        if dear and (who, call) not in calls:
            counts[who] += 1
            calls[who, call] = counts[who] <= 4
        assert rules(decision) == ([] if not dear or calls[who, call] else ["destination-expensive"])


def test_workers_together_let_through_as_many_as_one(tmp_path: Path) -> None:
    site = Site("expensive = { per_hour = 50 }")
    children = []
    for worker in range(4):
        child = os.fork()
        if not child:
            passed = 0
            for number in range(100):
                # Each call is seen by two workers, as its INVITE and as the one with credentials.
                call = f"shared-{(worker // 2) * 100 + number}"
                passed += rules(site.dials("+870123456", call, 1 + worker % 2)) == []
            (tmp_path / str(worker)).write_text(str(passed))
            os._exit(0)
        children.append(child)
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    passed = sum(int((tmp_path / str(worker)).read_text()) for worker in range(4))
    # Of a call that is refused the repetition may be in another worker's hands at that very moment.
    assert 100 <= passed <= 110
    assert rules(site.dials("+870123456")) == ["destination-expensive"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('forbidden = ["Cuba"]', "destinations[0].forbidden[0]: 'Cuba' is no destination."),
        ('dear = ["premum"]', "Did you mean 'premium'?"),
        ('networks = ["nowhere"]', "destinations[0].networks[0]: 'nowhere' is no address or network"),
        ('off_hours = { zone = "Mars/Olympus" }', "destinations[0].off_hours.zone: 'Mars/Olympus' is no time zone"),
        ('[[destinations]]\nname = "site"', "destinations[1].name: 'site' is the name of destinations[0]"),
        ("per_hour = 3", "destinations[0].per_hour: no such key"),
    ],
)
def test_what_can_t_be_used_is_named(text: str, said: str) -> None:
    with pytest.raises(policy.PolicyError) as raised:
        policy.loads(f'[[destinations]]\nname = "site"\n{text}')
    assert said in str(raised.value)


def test_the_table_says_where_it_is_from() -> None:
    table = numbering()
    assert len(table.countries) > 230
    assert all(one.source and one.date and (one.prefixes or one.countries) for one in table.classes.values())
    assert all(land in table.countries for one in table.classes.values() for land in one.countries)
