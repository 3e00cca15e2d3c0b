"""The figures that `make detection` has reached on the project's own cases: no change may fall behind them."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "detection"))

from disguise import disguised
from embed import FIELDS
from evaluate import Attack, benign_messages, decide, engine, own_attacks, own_benign, recall

from sipsieve.model import Verdict

GUARD = engine()


def test_every_own_attack_is_stopped_in_every_field() -> None:
    result = recall(GUARD, own_attacks(), FIELDS)
    families = {family for family, _ in result.total}
    assert len(families) == 14
    assert result.rate() >= 0.99, result.misses
    for family in families:
        for field in FIELDS:
            # A Via parameter takes any token raw: `;reboot;` is one.
            assert result.rate(family, field) >= (0.9 if field == "via.raw" else 0.97), (family, field)


@pytest.mark.parametrize("case", list(own_benign()), ids=lambda case: f"{case.kind}:{case.text.decode()}")
def test_no_harmless_name_agent_or_user_is_touched(case: object) -> None:
    for field, raw in benign_messages(case):  # type: ignore[arg-type]
        decision = decide(GUARD, raw)
        assert decision.verdict is Verdict.ALLOW, (field, [(f.rule, f.field, f.score) for f in decision.findings])


def test_disguises_and_odd_places_do_not_help() -> None:
    """Every 5th of 20,000 combinations of attack, disguise and place."""
    total, missed = Counter[str](), Counter[str]()
    for number, (_, _, place, text, raw) in enumerate(disguised()):
        if number % 5:
            continue
        decision = decide(GUARD, raw)
        gone = decision.verdict is Verdict.SCRUB and text not in (decision.replacement or text)
        total[place] += 1
        if not gone and decision.verdict not in (Verdict.REJECT, Verdict.DROP):
            missed[place] += 1
    assert missed.total() <= 0.005 * total.total(), missed
    for place in total:
        assert missed[place] <= 0.03 * total[place], (place, missed[place], total[place])


def test_an_attack_type_is_named() -> None:
    assert recall(GUARD, [Attack("sql", b"Alice")], {"from.display": FIELDS["from.display"]}).rate() == 0
