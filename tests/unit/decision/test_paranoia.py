"""Paranoia levels: each sees more than the one before, and no level touches a phone's ordinary messages."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "detection"))

from evaluate import benign_messages, decide, engine, own_benign
from ordinary import ORDINARY_MESSAGES

from harness import invite
from sipsieve.detection import ruleset
from sipsieve.model import Verdict

GUARDS = {level: engine(level) for level in (1, 2, 3)}
_ORDER = [Verdict.ALLOW, Verdict.SCRUB, Verdict.REJECT]
RULES = ruleset.load().rules


def verdicts(name: str) -> list[str]:
    raw = invite(from_=f'"{name}" <sip:a@example.com>;tag=1')
    return [str(decide(GUARDS[level], raw).verdict) for level in (1, 2, 3)]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        # One message, three verdicts: a local of a union, or the beginning of a UNION ('...
        ("Union (Local 7)", ["allow", "scrub", "reject"]),
        # What a rule is sure of is taken out at level 1 and refused from level 2 on.
        ("Sales; select 1", ["scrub", "reject", "reject"]),
        # A word of a language before a semicolon is odd at level 3 only.
        ("Perl; Sons", ["allow", "allow", "reject"]),
        ("Select; Sons", ["allow", "allow", "reject"]),
        ("O'Brien & Sons (Sales)", ["allow", "allow", "allow"]),
        ("UPDATE users SET password='1' WHERE name='admin'", ["reject", "reject", "reject"]),
    ],
)
def test_levels_judge_differently(name: str, wanted: list[str]) -> None:
    assert verdicts(name) == wanted


@pytest.mark.parametrize("case", list(own_benign()), ids=lambda case: f"{case.kind}:{case.text.decode()}")
def test_a_higher_level_is_never_milder(case: object) -> None:
    for _, raw in benign_messages(case):  # type: ignore[arg-type]
        seen = [_ORDER.index(decide(GUARDS[level], raw).verdict) for level in (1, 2, 3)]
        assert seen == sorted(seen)


@pytest.mark.parametrize("raw", ORDINARY_MESSAGES, ids=range(len(ORDINARY_MESSAGES)))
def test_what_phones_send_passes_at_every_level(raw: bytes) -> None:
    for guard in GUARDS.values():
        assert decide(guard, raw).verdict is Verdict.ALLOW


def test_higher_levels_still_pass_most_ordinary_names() -> None:
    """Level 2 touches words of SQL with a bracket behind them, level 3 errs more; among the names are many odd ones."""
    touched = dict.fromkeys((2, 3), 0)
    total = 0
    for case in own_benign():
        for _, raw in benign_messages(case):
            total += 1
            for level in touched:
                touched[level] += decide(GUARDS[level], raw).verdict is not Verdict.ALLOW
    assert touched[2] <= 0.02 * total, touched
    assert touched[3] <= 0.03 * total, touched


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.paranoia > 1], ids=lambda rule: rule.id)
def test_a_rule_of_a_higher_level_fires_from_there_on(rule: ruleset.Rule) -> None:
    for text in rule.hits:
        raw = invite(from_=f'"{text}" <sip:a@example.com>;tag=1')
        if '"' in text:
            continue
        for level, guard in GUARDS.items():
            fired = rule.id in {finding.rule for finding in decide(guard, raw).findings}
            assert fired == (level >= rule.paranoia), (text, level)
