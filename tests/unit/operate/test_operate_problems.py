"""`sipsieve check` names file, line, key, what is wrong and what is allowed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from sipsieve_analysis.cli import main


@pytest.mark.parametrize(
    ("policy", "line", "key", "says"),
    [
        ('mode = "observ"\n', 1, "mode", '"enforce" or "observe"'),
        ("\n[limits]\n\n[limits.invite]\nper_minute = -1\n", 5, "limits.invite.per_minute", "whole number from 0"),
        ("[limits.invit]\nper_minute = 1\n", 1, "limits.invit", "Did you mean 'invite'"),
        ("[log]\npath = 7\n", 2, "log.path", "allowed: text"),
        ("[detection]\nscrub_score = 6\nreject_score = 5\n", 2, "detection.scrub_score", "up to that"),
        ("mode = \n", 1, "", "not valid TOML"),
    ],
)
def test_a_broken_policy_is_explained(tmp_path: Path, policy: str, line: int, key: str, says: str) -> None:
    path = tmp_path / "p.toml"
    path.write_text(policy)
    ran = CliRunner().invoke(main, ["check", "--policy", str(path), "--json"])
    assert ran.exit_code == 1
    problem = json.loads(ran.stdout)["problems"][0]
    assert (problem["file"], problem["line"], problem["key"]) == (str(path), line, key)
    assert says in problem["what"]
    said = CliRunner().invoke(main, ["check", "--policy", str(path)])
    assert f"{path}:{line}: " in said.output


def test_a_broken_rule_is_explained_and_every_file_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('family = "sql"\n[[rule]]\nid = "x"\n')
    (tmp_path / "b.toml").write_text("rule = 1\n")
    (tmp_path / "p.toml").write_text("")
    ran = CliRunner().invoke(main, ["check", "--policy", str(tmp_path / "p.toml"), "--rules", str(tmp_path), "--json"])
    assert ran.exit_code == 1
    assert {Path(problem["file"]).name for problem in json.loads(ran.stdout)["problems"]} >= {"a.toml", "b.toml"}


def test_a_good_policy_is_good(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text('mode = "observe"\n')
    ran = CliRunner().invoke(main, ["check", "--policy", str(tmp_path / "p.toml")])
    assert ran.exit_code == 0
    assert "mode observe" in ran.output
