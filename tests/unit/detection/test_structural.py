"""No structure of a message hides an attack, and no legal one touches a harmless text."""

from __future__ import annotations

import sys

import pytest

from harness import ROOT

sys.path.insert(0, str(ROOT / "tests/detection"))

from evaluate import decide, engine, outcome
from structures import HARMLESS, PAYLOADS, WAYS

GUARD = engine(text_bodies=True)


@pytest.mark.parametrize("way", WAYS)
def test_a_structure_hides_no_attack(way: str) -> None:
    passed = [text for text in PAYLOADS if outcome(decide(GUARD, WAYS[way].make(text)), text) == "passed"]
    assert not passed


@pytest.mark.parametrize("way", [name for name, way in WAYS.items() if way.legal])
def test_a_harmless_text_in_a_legal_structure_passes(way: str) -> None:
    for text in HARMLESS:
        decision = decide(GUARD, WAYS[way].make(text))
        assert outcome(decision) == "passed", [(finding.rule, finding.field) for finding in decision.findings]


def test_there_are_as_many_ways_as_the_report_says() -> None:
    text = (ROOT / "docs/evaluation.md").read_text()
    twins = sum(len(HARMLESS) for way in WAYS.values() if way.legal)
    assert f"of {len(WAYS)} places" in text
    assert f"({twins} twins)" in text
