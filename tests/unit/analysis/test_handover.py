"""What a report says to whoever commissioned it: made from the findings, in a fixed order, nothing invented."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipsieve.config import policy
from sipsieve_analysis.attack import Intent
from sipsieve_analysis.campaigns import Campaign, CampaignType
from sipsieve_analysis.handover import advice, scope
from sipsieve_analysis.handover.complete import complete
from sipsieve_analysis.intents import Motive
from sipsieve_analysis.ranking import Rank, Tier
from sipsieve_analysis.render import markdown
from sipsieve_analysis.report import Actor, Effect, Lawful, Report

HOUR = 3600 * 1_000_000


def campaign(kind: CampaignType, why: str = "why", first: int = HOUR, succeeded: bool = False) -> Campaign:
    return Campaign(kind, ["192.0.2.1"], first, first + HOUR, 10, why, succeeded=succeeded)


def actor(
    name: str,
    *campaigns: Campaign,
    tier: Tier = Tier.HIGH,
    intents: tuple[Intent, ...] = (),
    effect: Effect | None = None,
) -> Actor:
    done = any(one.succeeded for one in campaigns)
    return Actor(
        name, ["192.0.2.1"], Rank(tier, 50, {}, "Do it."), [Motive(intent, (), "") for intent in intents], list(campaigns), [], [], HOUR, 2 * HOUR,
        10, {"INVITE": 10}, [], 0, [], {}, succeeded=done, effect=effect or Effect(10, 4, 0, 0),
    )  # fmt: skip


def report(*actors: Actor, lawful: Lawful | None = None, answers: bool = True) -> Report:
    return complete(
        Report(
            list(actors), [c for a in actors for c in a.campaigns], [], HOUR, 9 * HOUR, 100, {}, {}, {}, [], [], 3,
            answers=answers, lawful=lawful or Lawful(50, 0, 4),
        )
    )  # fmt: skip


EVERYTHING = (
    actor("zero", campaign(CampaignType.FUZZING, "3 INVITEs without a body (Content-Length: 0) outside any call")),
    actor("guess", campaign(CampaignType.BRUTE_FORCE)),
    actor("flood", campaign(CampaignType.FLOOD)),
    actor("sql", campaign(CampaignType.INJECTION), intents=(Intent.DATA_TAMPERING, Intent.CREDENTIAL_THEFT)),
    actor("thief", campaign(CampaignType.ACCOUNT_TAKEOVER, succeeded=True)),
)


def test_recommendations_stand_in_one_order_whatever_the_actors_is() -> None:
    wanted = [
        "Lock the accounts that were taken over, now",
        "Sanitize every header field of every SIP message before anything reads it",
        "Parameterize every query that touches SIP data",
        "Rate-limit INVITE per IP address",
        "Block Content-Length: 0 on INVITE",
        "Limit failed logins, and change weak passwords",
    ]
    assert [one.title for one in report(*EVERYTHING).advice] == wanted
    assert [one.title for one in report(*reversed(EVERYTHING)).advice] == wanted


def test_each_recommendation_has_a_reason_in_the_log() -> None:
    assert [one.actors for one in report(*EVERYTHING).advice] == [
        ["thief"],
        ["sql"],
        ["sql"],
        ["flood"],
        ["zero"],
        ["guess"],
    ]
    assert report(actor("weather", campaign(CampaignType.SCAN), tier=Tier.LOW)).advice == []
    other = actor("odd", campaign(CampaignType.FUZZING, "6 malformed messages"))
    assert "Block Content-Length: 0 on INVITE" not in [one.title for one in report(other).advice]


def test_the_policy_takes_every_line_that_is_to_be_pasted() -> None:
    pasted = [p.lines for one in report(*EVERYTHING).advice for p in one.pastes if p.place.endswith("sipsieve.toml")]
    assert len(pasted) == 4
    for lines in pasted:
        policy.loads(lines)
    assert policy.loads(pasted[1]).limits.invite.per_minute == 20


@pytest.mark.parametrize(("peak", "wanted"), [(0, 120), (1, 20), (10, 20), (11, 22), (90, 180)])
def test_the_limit_leaves_the_busiest_lawful_source_twice_its_need(peak: int, wanted: int) -> None:
    assert advice.limit(report(lawful=Lawful(9, 0, peak))) == wanted


def test_the_summary_says_who_got_in_first() -> None:
    said = report(*EVERYTHING).summary
    assert said[1].startswith("1 attacker got in")
    assert "hid SQL that changes data" in " ".join(said)
    assert "4 of 10 messages reached the server" in " ".join(said)
    assert "0 of these attackers' 50 messages reach the server; it refuses 0 of 50" in " ".join(said)


def test_without_answers_nobody_is_said_to_have_stayed_out() -> None:
    one = actor("flood", campaign(CampaignType.FLOOD))
    assert any("no account taken over" in text for text in report(one).summary)
    unknown = report(one, answers=False).summary
    assert not any("no account taken over" in text for text in unknown)
    assert any("can't tell" in text for text in unknown)


def test_a_quiet_week_is_said_in_so_many_words() -> None:
    said = report(actor("weather", campaign(CampaignType.SCAN), tier=Tier.LOW)).summary
    assert said[0] == "100 SIP messages were analysed. Nothing in them calls for action."
    assert "1 other sender with 10 messages is the internet's usual noise." in said


def test_events_stand_in_their_order_with_what_began_together_in_one_row() -> None:
    late = actor(
        "late", campaign(CampaignType.FLOOD, first=5 * HOUR), campaign(CampaignType.TOLL_FRAUD, first=5 * HOUR)
    )
    early = actor("early", campaign(CampaignType.INJECTION))
    rows = report(late, early).chronicle
    assert [(row.actor, row.campaigns) for row in rows] == [("early", ["injection"]), ("late", ["flood", "toll_fraud"])]


def test_noise_is_counted_by_kind() -> None:
    low = [actor(f"n{number}", campaign(CampaignType.SCAN), tier=Tier.LOW) for number in range(3)]
    noise = report(*low, EVERYTHING[0]).noise
    assert (noise.actors, noise.messages, noise.kinds) == (3, 30, [("scan", 3, 30)])


def test_a_scope_is_read_and_flags_go_before_it(tmp_path: Path) -> None:
    path = tmp_path / "scope.toml"
    path.write_text('client = "Example Telecom"\ndate = 2026-11-23\nsystems = "one"\nexcluded = ["TLS", "the PBX"]\n')
    read = scope.read(path)
    assert (read.client, read.date, read.systems, read.excluded) == (
        "Example Telecom",
        "2026-11-23",
        ("one",),
        ("TLS", "the PBX"),
    )
    assert read.over(client="Other", title="Week").client == "Other"
    assert read.over().client == "Example Telecom"
    assert not scope.Scope()


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('customer = "x"', "customer: no such key; allowed here: title, client"),
        ("client = 3", "client: 3 is not a text; a line is like"),
        ("systems = [1]", "systems: 1 is not a text or a list of texts"),
        ('client = ["a"]', "client: ['a'] is not a text"),
        ("client = ", "is no TOML"),
        (f'client = "{"x" * 601}"', "client: has 601 characters; allowed are 600"),
    ],
)
def test_a_scope_that_can_not_be_used_says_where_and_what_to_write(tmp_path: Path, written: str, said: str) -> None:
    path = tmp_path / "scope.toml"
    path.write_text(written)
    with pytest.raises(scope.ScopeError) as caught:
        scope.read(path)
    assert str(caught.value).startswith(str(path))
    assert said in str(caught.value)


def test_a_scope_is_text_to_markdown_too() -> None:
    one = report(EVERYTHING[0])
    one.scope = scope.Scope(title="[x](javascript:alert(1))", client="<b>")
    written = markdown.write(one)
    assert "](" not in written.replace("\\]\\(", "")
    assert "<b>" not in written
