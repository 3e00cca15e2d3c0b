"""The linter refuses each kind of broken rule, and an operator's broken file is named with id and reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from harness import KEMI, ROOT
from sipsieve.detection import ruleset
from sipsieve.detection.lint import lint, lint_rule
from sipsieve.detection.structure import CHECKS
from sipsieve_analysis.commands.rules import command
from sipsieve_analysis.rules_reference import reference

GOOD = """family = "sip"
[[rule]]
id = "own-premium"
pattern = '''\\b00900\\d{4}'''
score = 5
reason = "a premium-rate number"
parts = ["userinfo"]
hits = ["009001234"]
misses = ["00491234"]
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "own.toml"
    path.write_text(text)
    return path


def test_the_built_in_rules_are_sound() -> None:
    assert [fault for fault in lint(ruleset.load().rules) if ": prefilter:" not in fault] == []


def test_an_own_rule_is_read_and_works(tmp_path: Path) -> None:
    rules = ruleset.load(own=[str(write(tmp_path, GOOD))])
    assert "own-premium" in [rule.id for rule in rules.match(b"009001234")]


@pytest.mark.parametrize(
    ("change", "to", "says"),
    [
        (r"\b00900\d{4}", "(", "own-premium: pattern"),
        (r"\b00900\d{4}", r"(a)\\1", "own-premium"),
        (r"\b00900\d{4}", r"(?=00900)0", "own-premium: pattern"),
        (r"\b00900\d{4}", r"0{2000}", "own-premium: pattern"),
        (r"\b00900\d{4}", r"\w", "own-premium: pattern: fires on any text"),
        ('hits = ["009001234"]', 'hits = ["1"]', "own-premium: hits: does not fire on '1'"),
        ('misses = ["00491234"]', 'misses = ["009001234"]', "own-premium: misses: fires on '009001234'"),
        ('misses = ["00491234"]', "misses = []", "misses"),
        ('hits = ["009001234"]\n', "", "hits"),
        ('reason = "a premium-rate number"', 'reason = "bad"', "own-premium: reason"),
        ('reason = "a premium-rate number"\n', "", "reason"),
        ("score = 5", "score = 0\ntight = 0", "own-premium: score"),
        ("own-premium", "sql-union-select", "sql-union-select: this id is already used"),
        ("score = 5", "scoer = 5", "scoer"),
    ],
)
def test_a_broken_rule_is_refused_with_file_id_and_reason(tmp_path: Path, change: str, to: str, says: str) -> None:
    assert change in GOOD
    path = write(tmp_path, GOOD.replace(change, to))
    with pytest.raises(ruleset.RuleError) as caught:
        ruleset.load(own=[str(path)])
    assert str(path) in str(caught.value)
    assert says in str(caught.value)
    result = CliRunner().invoke(command, [str(path)])
    assert result.exit_code == 1
    assert says in result.output


def test_two_rules_with_one_pattern_are_a_fault(tmp_path: Path) -> None:
    rules = ruleset.load_file(write(tmp_path, GOOD + GOOD.split("\n", 1)[1].replace("own-premium", "own-other")))
    assert list(lint(rules)) == ["own-other: has the pattern of own-premium; keep one of them"]
    assert list(lint_rule(rules[0])) == []


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("f", "own-premium: headers: 'f' never matches; that header field is 'from' here"),
        ("x customer", "own-premium: headers: 'x customer' is no name of a header field; it never matches"),
        ("from:", "own-premium: headers: 'from:' never matches; that header field is 'from' here"),
        ("sdp", "own-premium: headers: 'sdp' never matches; a session description is 'body' here"),
        ("", "own-premium: headers: '' is no name of a header field; it never matches"),
        ("from: x\\r\\nto", "is no name of a header field; it never matches"),
    ],
)
def test_a_header_field_that_no_message_has_is_a_fault_and_keeps_no_server_from_starting(
    tmp_path: Path, name: str, says: str
) -> None:
    path = write(tmp_path, f'{GOOD}headers = ["request_uri", "{name}", "x-customer"]\n')
    result = CliRunner().invoke(command, [str(path)])
    assert result.exit_code == 1
    assert [line for line in result.output.splitlines() if ": headers: " in line] == result.output.splitlines()
    assert len(result.output.splitlines()) == 1 and says in result.output
    assert "own-premium" in [rule.id for rule in ruleset.load(own=[str(path)]).rules]


@pytest.mark.parametrize(
    ("gap", "says"),
    [
        (".{0,60}", "write .* for .{0,60}"),
        ("[^')]{1,30}", "write [^')]+ for [^')]{1,30}"),
        (".{0,20}", ""),
        (r"\.{0,60}", ""),
    ],
)
def test_a_wide_gap_with_a_bound_is_a_fault(tmp_path: Path, gap: str, says: str) -> None:
    pattern = next(line for line in GOOD.splitlines() if line.startswith("pattern"))
    own = GOOD.replace(pattern, f"{pattern[:-3]}(?:{gap}x)?'''")
    assert own != GOOD
    faults = list(lint(ruleset.load_file(write(tmp_path, own))))
    assert faults == ([f"own-premium: pattern: {says}, which is dear"] if says else [])


@pytest.mark.parametrize("name", ["from", "From", "request_uri", "reason_phrase", "header_name", "body", "X-Customer"])
def test_what_parts_of_messages_are_named_is_no_fault(tmp_path: Path, name: str) -> None:
    rules = ruleset.load_file(write(tmp_path, f'{GOOD}headers = ["{name}"]\n'))
    assert list(lint(rules)) == []


def test_an_exception_names_a_rule_that_exists(tmp_path: Path) -> None:
    path = tmp_path / "exceptions.toml"
    path.write_text('[[exception]]\nrule = "sql-unoin"\nreason = "a typing error"\n')
    with pytest.raises(ruleset.RuleError, match="sql-unoin: no rule has this id"):
        ruleset.load(exceptions=[str(path)])


def test_the_reference_is_what_the_rules_say() -> None:
    assert (ROOT / "docs" / "rules.md").read_text() == reference(ruleset.load()), (
        "run: sipsieve rules --markdown > docs/rules.md"
    )


def test_every_structural_check_is_raised_somewhere() -> None:
    """A row of the reference that nothing can cause promises what isn't done."""
    sources = "".join(path.read_text() for path in (KEMI / "core" / "src").rglob("*.rs"))
    for name in CHECKS:
        # Once in the table, and once where it is found.
        assert sources.count(f'"{name}"') >= 2, name
