"""The figures that `make detection` has reached on the project's own cases: no change may fall behind them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "detection"))

import corpora
from disguise import disguised
from embed import FIELDS
from evaluate import Attack, benign_messages, decide, engine, outcome, own_attacks, own_benign, recall

from sipsieve.model import Verdict

GUARD = engine()


def test_every_own_attack_is_stopped_in_every_field() -> None:
    result = recall(GUARD, own_attacks(), FIELDS)
    families = result.families
    assert len(families) == 17
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


def test_a_text_that_a_scrub_leaves_in_any_form_has_passed() -> None:
    raw = FIELDS["from.display"](b'x"; drop table a--')
    decision = decide(GUARD, FIELDS["user-agent"](b"' or id is not null and 'x'='x"))
    left = decision._replace(verdict=Verdict.SCRUB, replacement=raw)
    assert outcome(left, b'x"; drop table a--') == "passed"
    assert outcome(left, b"something else") == "scrubbed"


def test_no_shape_of_a_held_back_text_stands_in_what_rules_are_made_on(tmp_path: Path) -> None:
    def row(source: str, payload: str) -> str:
        return json.dumps(
            {"family": "sqli", "payload": payload, "source": source, "scope": "core", "strength": "strong"}
        )

    rows = [
        row("client9/libinjection:a.txt", "' OR 1=1--"),
        row("sqlmapproject/sqlmap:b.xml", "'%20or 22=22--"),
        row("sqlmapproject/sqlmap:b.xml", "' or name like '%"),
    ]
    (tmp_path / "attacks.jsonl").write_text("\n".join(rows) + "\n")
    assert [a.text for a in corpora.attacks(tmp_path, "develop")] == [b"' OR 1=1--"]
    assert [a.text for a in corpora.attacks(tmp_path, "held-back")] == [b"' or name like '%"]
    assert len(corpora.attacks(tmp_path, "all")) == 3


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ([], 0, ""),
        (["--at-least", "stopped=0.9", "--at-most", "ordinary.refused=0.9"], 0, ""),
        (["--at-least", "stopped=1", "--at-most", "passed=0"], 2, "no figure 'passed'"),
        (["--at-most", "stopped=0.5"], 1, "not at most 0.5"),
        (["--at-least", "stopped"], 2, "is not NAME=VALUE"),
        (["--fields", "nose"], 2, "no field nose"),
    ],
)
def test_the_exit_code_says_whether_the_figures_are_held(options: list[str], code: int, said: str) -> None:
    program = Path(corpora.__file__).with_name("evaluate.py")
    command = [sys.executable, program, "--own", "--every", "20", "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    if code != 2:
        assert set(json.loads(done.stdout)) == {"part", "figures", "attacks", "harmless"}
