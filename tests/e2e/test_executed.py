"""Payloads that were composed at random and did something when they were run: how many are stopped may only grow."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from typing import Any

import pytest

from harness import ROOT

PROGRAM = ROOT / "tests/detection/executed.py"
sys.path.insert(0, str(PROGRAM.parent))

from execution import Execution  # noqa: E402
from grammar import Grammar, is_held_back  # noqa: E402

#: Figures as seen. They may be raised, never lowered.
FLOORS = {
    "develop": {"stopped": 0.985, "tight.stopped": 0.985},
    "held-back": {"stopped": 0.985, "tight.stopped": 0.985},
}
#: The same of the productions by the backends' own grammars, in sixteen kinds of place.
WAYS_FLOORS = {
    "develop": {"stopped": 0.96, "tight.stopped": 0.99},
    "held-back": {"stopped": 0.92, "tight.stopped": 0.94},
}
#: These may be lowered, never raised.
CEILINGS = {
    "develop": {"ordinary.refused": 0.0, "look-alikes.refused": 0.02},
    "held-back": {"ordinary.refused": 0.0, "look-alikes.refused": 0.02},
}


def run(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, PROGRAM, *options], capture_output=True, text=True, check=False, timeout=240)


@pytest.mark.parametrize("part", sorted(FLOORS))
def test_what_is_stopped_does_not_fall(part: str) -> None:
    floors = [f"--at-least={name}={value}" for name, value in FLOORS[part].items()]
    ceilings = [f"--at-most={name}={value}" for name, value in CEILINGS[part].items()]
    done = run("--json", "--databases=sqlite", "--count=60", "--harmless=1000", f"--part={part}", *floors, *ceilings)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    texts = sum(family["texts"] for family in found["attacks"]["families"].values())
    assert texts > 5000


@pytest.mark.parametrize("part", sorted(WAYS_FLOORS))
def test_what_is_stopped_of_the_ways_by_grammar_does_not_fall(part: str) -> None:
    floors = [f"--at-least={name}={value}" for name, value in WAYS_FLOORS[part].items()]
    done = run("--json", "--ways", "--databases=sqlite", "--count=30", "--harmless=1", f"--part={part}", *floors)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    # Of one family none of the held-back productions does anything in SQLite and a shell.
    assert len(found["attacks"]["families"]) == (16 if part == "develop" else 15)
    assert sum(family["texts"] for family in found["attacks"]["families"].values()) > 4000


def test_only_what_does_something_counts_as_executed() -> None:
    with Execution(["sqlite"]) as execution:
        for place, text in (
            ("string", "' or 1=1-- "),
            ("string", "x';drop table secrets-- "),
            ("string-double", 'x" or 1=1-- '),
            ("number", "0 or 1"),
            ("unquoted", ";touch p"),
            ("double", "$(reboot)"),
            ("single", "';cat secret;'"),
            ("argument", "-o p secret"),
        ):
            assert execution.where(place, text), (place, text)
        for place, text in (
            ("string", "bob"),
            ("string", "O''Brien"),
            ("string", "O'Brien"),
            ("string", "x' and "),
            ("number", "1"),
            ("unquoted", "bob"),
            ("double", "'$x'"),
            ("single", "$(reboot)"),
            ("argument", "/dev/null"),
        ):
            assert not execution.where(place, text), (place, text)


def test_developed_texts_are_made_of_developed_productions_only() -> None:
    grammar = Grammar({"a": [f"«b» {n}" for n in range(50)], "b": [f"x{n}" for n in range(50)]})
    held = {production for production in grammar.productions() if is_held_back(production)}
    assert 10 < len(held) < 60
    for part in ("develop", "held-back"):
        texts = grammar.texts(["a"], random.Random(1), part)
        for _ in range(200):
            text = next(texts)
            assert text.held_back == bool(held & set(text.productions)) == (part == "held-back")
