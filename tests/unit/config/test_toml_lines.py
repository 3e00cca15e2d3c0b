"""An error of a policy names the line, whoever reads the policy."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from sipsieve.config.policy import PolicyError, load
from sipsieve.config.toml_lines import line_of
from sipsieve_analysis.cli import main

_TEXT = """mode = "observe"
[[domain]]
name = "a.example"
[[domain]]
name = "b.example"
[domain.bans]
seconds = 5
[network]
trusted = [
    "10.0.0.0/8",
]
[log]
"""


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("mode", 1),
        ("domain[0].name", 3),
        ("domain[1].name", 5),
        ("domain[1].bans.seconds", 7),
        ("domain[0].bans.seconds", 2),
        ("network.trusted[0]", 9),
        ("log.path", 12),
        ("nothing.here", 0),
        ("domain]]", 0),
        ("", 0),
    ],
)
def test_a_key_is_found_in_its_own_table_of_an_array_else_what_it_would_stand_in(key: str, line: int) -> None:
    assert line_of(_TEXT, key) == line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n[limits.invite]\nper_minute = -1\n", ":3: limits.invite.per_minute: "),
        ('mode = "x"\n', ":1: mode: "),
        ("a = 1\nb = = 2\n", ":2: is not valid TOML"),
        ('[[network]]\ncidr = "10.0.0.0/8"\n[[network]]\ncidr = "10.0.0.0/8"\n', ":4: network[1].cidr: "),
    ],
)
def test_commands_that_read_a_policy_name_file_and_line(tmp_path: Path, text: str, said: str) -> None:
    path, log = tmp_path / "p.toml", tmp_path / "d.jsonl"
    path.write_text(text)
    log.write_text("")
    with pytest.raises(PolicyError) as error:
        load(path)
    assert f"{path}{said}" in str(error.value)
    for call in (
        ["check"],
        ["explain", "192.0.2.1"],
        ["backtest", str(log)],
        ["report", str(log)],
        ["tail", "--log", str(log)],
    ):
        ran = CliRunner().invoke(main, [call[0], "--policy", str(path), *call[1:]])
        assert ran.exit_code in (1, 2)
        assert f"{path}{said}" in ran.output, call


def test_a_policy_that_is_not_there_is_told_beside_a_log(tmp_path: Path) -> None:
    log = tmp_path / "d.jsonl"
    log.write_text("")
    ran = CliRunner().invoke(main, ["report", "--policy", str(tmp_path / "none.toml"), str(log)])
    assert ran.exit_code == 1
    assert "none.toml: cannot be read: No such file" in ran.output
