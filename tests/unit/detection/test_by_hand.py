"""Payloads written by hand by somebody who had read the rules: how many are stopped may only grow."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from harness import ROOT

PROGRAM = ROOT / "tests/detection/by_hand.py"
sys.path.insert(0, str(PROGRAM.parent))

from by_hand import PARTS, PLACES, TIGHT, Written, figures, measure, select, written  # noqa: E402
from evaluate import decide, engine, outcome  # noqa: E402
from shells import LINES  # noqa: E402

#: Figures as seen. They may be raised, never lowered.
FLOORS = {
    "develop": {"stopped": 0.923, "tight.stopped": 0.953, "prose.stopped": 0.891},
    "held-back": {"stopped": 0.793, "tight.stopped": 0.793, "prose.stopped": 0.793},
    "second-develop": {"stopped": 0.962, "tight.stopped": 0.974, "prose.stopped": 0.950},
    "second-held-back": {"stopped": 0.911, "tight.stopped": 0.927, "prose.stopped": 0.893},
}
GUARD = engine(text_bodies=True)


@pytest.mark.parametrize("part", PARTS)
def test_what_is_stopped_does_not_fall(part: str) -> None:
    families, _ = measure(GUARD, written(part))
    found = figures(families)
    assert {name: found[name] for name, floor in FLOORS[part].items() if found[name] < floor} == {}


def test_the_halves_share_neither_a_class_nor_a_text() -> None:
    developed, held_back = (written(part) for part in ("develop", "held-back"))
    assert {text.kind for text in developed}.isdisjoint(text.kind for text in held_back)
    assert {text.text for text in developed}.isdisjoint(text.text for text in held_back)


def test_no_part_has_a_text_of_another() -> None:
    texts = [text.text for part in PARTS for text in written(part)]
    assert len(texts) == len(set(texts))


@pytest.mark.parametrize("part", PARTS)
def test_each_text_is_there_once_and_can_be_run_where_it_says(part: str) -> None:
    texts = written(part)
    assert len({text.text for text in texts}) == len(texts)
    assert {text.run for text in texts} <= {"", "number", "string", "string-double", *LINES}


def test_a_harmless_text_passes_in_every_place() -> None:
    for place, make in PLACES.items():
        decision = decide(GUARD, make(b"alice"))
        assert outcome(decision) == "passed", (place, [finding.rule for finding in decision.findings])


def test_what_is_counted_is_what_became_of_it() -> None:
    families, kinds = measure(GUARD, [Written("shell", "one", "", "$(id)"), Written("name", "two", "", "alice")])
    assert select(families, TIGHT, "shell") == {"refused": len(TIGHT)}
    assert select(kinds, PLACES, "two") == {"passed": len(PLACES)}
    assert {text for _, _, text in kinds.misses} == {b"alice"}


def test_the_page_says_how_many_there_are() -> None:
    text = (ROOT / "docs/evaluation.md").read_text()
    counts = {part: len(written(part)) for part in PARTS}
    assert f"{counts['develop']} and {counts['held-back']} payloads" in text
    assert f"{counts['second-develop']} and {counts['second-held-back']} payloads" in text
    assert f"in {len(PLACES)} places" in text


@pytest.mark.parametrize("part", ["held-back", "second-held-back"])
def test_texts_that_are_held_back_are_never_shown(part: str) -> None:
    done = subprocess.run(
        [sys.executable, PROGRAM, f"--part={part}", "--show=100", "--at-least=stopped=1"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    assert re.fullmatch(r"stopped is 0\.\d{4}: not at least 1\.0\n", done.stderr)
    assert not [
        text.kind for text in written(part) if f"passed: {text.kind}" in done.stdout or text.kind in done.stdout
    ]
