"""A narration keeps what the evidence proves."""

from __future__ import annotations

import json

import pytest

from sipsieve_analysis.narrate import checker, claims, material, words
from sipsieve_analysis.narrate.answer import Answer, Sentence, decode

pytest_plugins = ("narrated",)


# What the checker lets stand.


def test_each_fact_proves_itself(told: material.Material) -> None:
    assert len(told.facts) > 30
    failed = {
        fact.id: why for fact in told.facts.values() if (why := checker.problem(Sentence(fact.text, [fact.id]), told))
    }
    assert failed == {}


@pytest.mark.parametrize(
    ("text", "evidence"),
    [
        (
            "The actor at 203.0.113.142 must be handled first, as its tier is immediate and its score is 88.",
            "A1.1 A1.2",
        ),
        ("Between 16 November and 22 November 2026, two actors of tier immediate were seen.", "G1 G2"),
        ("On Wednesday, 18 November 2026, at 04:00 UTC, the attack began.", "A1.5"),
        ("203[.]0[.]113[.]200 sent forty-six INVITE messages over ten ports.", "A3.1 A3.4"),
        ("Two actors sent 49 messages together.", "A2.4 A3.4"),
        ("A2 was active for three days.", "A2.5"),
        ("A3 sent 3.4 % of the messages.", "A3.4 G1"),
        ("The log does not show the answers.", "A3.7"),
        ("It calls itself X5.", "A2.10"),
        ("Sanitize every SIP header and block the sources.", "A1.11"),
        ("The intent is remote code execution (T1190).", "A1.3"),
    ],
)
def test_what_the_evidence_proves_stands(told: material.Material, text: str, evidence: str) -> None:
    assert checker.problem(Sentence(text, evidence.split()), told) == ""


LIES = [
    ("203.0.113.142 sent 46 messages.", "A1.1 A1.4 A3.4", "46"),
    ("203.0.113.142 sent 3 messages.", "A1.1 A1.4", "3"),
    ("It sent 46 messages over 46 source ports.", "A3.4", "46 port"),
    ("It sent 10 messages over 46 ports.", "A3.4", "10 message"),
    ("It sent forty-seven messages.", "A3.4", "47"),
    ("It sent thousands of messages.", "A3.4", "thousands"),
    ("It sent 46.5 messages.", "A3.4", "46.5"),
    ("A3 sent 50 % of the messages.", "A3.4 G1", "50"),
    ("203.0.113.143 sent 2 messages.", "A1.1 A1.4", "203.0.113.143"),
    ("203.0.113.61 sent 2 messages.", "A1.1 A1.4", "203.0.113.61"),
    ("The attack came from 203.0.113.0/24.", "A1.1", "203.0.113.0/24"),
    ("The attack came from 2001:db8::1.", "A1.1", "2001:db8::1"),
    ("The attack came from evil.example.", "A1.1", "evil"),
    ("The attack came from Evilcorp.", "A1.1", "evilcorp"),
    ("Evilcorp began the attack.", "A1.1", "evilcorp"),
    ("The file /etc/passwd was read.", "A1.7", "/"),
    ("The file passwd was read.", "A1.7", "passwd"),
    ("It began on 2026-11-19.", "A1.5", "11-19"),
    ("It began on 18 November 2025.", "A1.5", "2025-11-18"),
    ("It began on November 17.", "A1.5", "11-17"),
    ("It began at 05:30 UTC.", "A1.5", "05:30"),
    ("It began on Monday.", "A1.5", "week"),
    ("A2 was active for nine days.", "A2.5", "9 day"),
    ("Its tier is low.", "A1.2", "low"),
    ("203.0.113.142 is an actor of tier high.", "A1.1 A1.2 A3.2", "high"),
    ("Its score is 84.", "A1.2", "84"),
    ("It wants toll fraud.", "A1.3", "toll"),
    ("203.0.113.142 wants denial of service.", "A1.1 A1.3 A3.3", "denial"),
    ("It succeeded.", "A1.6", "succeeded"),
    ("It compromised the server.", "A1.6", "compromised"),
    ("It sent REGISTER messages.", "A1.4", "register"),
    ("The technique is T1110.", "A1.3", "T1110"),
    ("It calls itself X1.", "A2.10", "X1"),
    ("The traffic is benign.", "A1.1 G1", "benign"),
    ("The traffic is harmless.", "A1.1 G1", "harmless"),
    ("The traffic is legitimate and normal.", "A1.1 G1", "legitimate"),
    ("There is nothing to do.", "A1.11", "no"),
    ("Do not block the sources.", "A1.11", "no"),
    ("Never block the sources.", "A1.11", "no"),
    ("Unblock the sources.", "A1.11", "unblock"),
    ("Ban it for ever.", "A3.11", "ever"),
    ("It was seen.", "A9.9", "no evidence"),
    ("It was seen.", "", "cites nothing"),
    ("It was s\u0435en.", "A1.5", "plain English"),
    ("It was seen\x1b[2J.", "A1.5", "plain English"),
    ("<b>It was seen.</b>", "A1.5", "'<'"),
    ("It was seen. " * 40, "A1.5", "longer"),
    ("X1", "A1.7", "no sentence"),
]


@pytest.mark.parametrize(("text", "evidence", "why"), LIES)
def test_what_the_evidence_does_not_prove_goes(told: material.Material, text: str, evidence: str, why: str) -> None:
    found = checker.problem(Sentence(text, evidence.split()), told)
    assert found and why in found


def test_a_story_cites_its_own_actor_and_steps_cite_actions(told: material.Material) -> None:
    answer = decode(json.dumps({
        "summary": [], "uncertain": [],
        "actors": [
            {"actor": "A2", "story": [{"text": "It was seen.", "evidence": ["A2.5"]}, {"text": "It was seen.", "evidence": ["A1.5"]}]},
            {"actor": "A1", "story": [{"text": "It was seen.", "evidence": ["A1.5"]}]},
            {"actor": "A77", "story": [{"text": "It was seen.", "evidence": ["A1.5"]}]},
        ],
        "first": [
            {"text": "Ban for minutes, not for ever.", "evidence": ["A3.11"]},
            {"text": "Block the sources.", "evidence": ["A1.11"]},
            {"text": "The tier is immediate.", "evidence": ["A1.2"]},
        ],
    }))  # fmt: skip
    found = checker.check(answer, told)
    # In the report's order, not in the model's.
    assert list(found.stories) == list(told.actors)[:2]
    assert [s.text for s in found.first] == ["Block the sources.", "Ban for minutes, not for ever."]
    assert [(r.part, r.why) for r in found.removed] == [
        ("story A2", "cites evidence of another actor"),
        ("story A77", "cites '-', which is no evidence"),
        ("first", "cites no action"),
    ]


def test_a_model_that_never_ends_is_cut(told: material.Material) -> None:
    answer = Answer([Sentence("It was seen.", ["A1.5"])] * 5000, [], [], [])
    found = checker.check(answer, told)
    assert (len(found.summary), found.removed_count, len(found.removed)) == (1, 4994, 50)


def test_no_word_that_soothes_or_accuses_is_free() -> None:
    asserting = [
        "benign",
        "harmless",
        "legitimate",
        "normal",
        "safe",
        "safely",
        "false",
        "positive",
        "customer",
        "authorised",
        "authorized",
        "approved",
        "expected",
        "test",
        "trusted",
        "whitelist",
        "unban",
        "allow",
        "ignore",
        "disregard",
        "carrier",
        "compromised",
        "stolen",
        "breached",
        "infected",
        "leaked",
        "succeeded",
        "failed",
        "reached",
        "low",
        "medium",
        "high",
        "immediate",
        "only",
        "merely",
        "just",
        "simply",
        "minor",
        "negligible",
        "government",
        "hacker",
        "fraud",
        "injection",
        "flood",
        "scan",
    ]
    assert [word for word in asserting if words.known(word)] == []


@pytest.mark.parametrize(
    "text", ["1" * 400, "1:" * 200, ":" * 400, "a-" * 200, "1.1." * 100, "20 nov " * 57, "'" * 400, "T1" * 200]
)
def test_reading_a_sentence_is_quick_whatever_it_is(text: str) -> None:
    import time

    began = time.perf_counter()
    claims.read(text)
    assert time.perf_counter() - began < 0.1
