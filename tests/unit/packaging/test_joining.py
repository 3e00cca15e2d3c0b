"""What somebody needs who joins: the guide's rule is a good one, and the public workflows call what there is."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from harness import ROOT
from sipsieve_analysis.cli import main

GUIDE = (ROOT / "CONTRIBUTING.md").read_text()
GITHUB = ROOT / ".github"


def test_the_guides_rule_passes_its_own_check(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL)
    rule = tmp_path / "rule.toml"
    rule.write_text(example)
    ran = CliRunner().invoke(main, ["rules", str(rule)])
    assert ran.exit_code == 0, ran.output
    rule.write_text(example.replace("pg_sleep(5)", "pg_wait(5)"))
    assert CliRunner().invoke(main, ["rules", str(rule)]).exit_code == 1, "a hit that is not hit is a fault"


def test_workflows_call_targets_that_exist() -> None:
    text = "\n".join(path.read_text() for path in sorted((GITHUB / "workflows").iterdir()))
    makefiles = "\n".join(path.read_text() for path in [ROOT / "Makefile", *sorted((ROOT / "make").glob("*.mk"))])
    called = re.findall(r"- run: make ([a-z-]+)", text)
    assert called == ["unit"]
    assert all(re.search(rf"^{target}:", makefiles, re.MULTILINE) for target in called)
    assert "- run: .ci/run" in text and (ROOT / ".ci" / "run").stat().st_mode & 0o100


@pytest.mark.parametrize("path", sorted((GITHUB / "ISSUE_TEMPLATE").iterdir()), ids=lambda path: path.stem)
def test_templates_name_commands_that_exist(path: Path) -> None:
    named = re.findall(r"`sipsieve ([a-z]\w*)", path.read_text())
    assert set(named) <= set(main.list_commands(click.Context(main)))
    assert "\t" not in path.read_text()


@pytest.mark.parametrize("package", ["kemi/sipsieve", "analysis/sipsieve_analysis"])
def test_the_packages_say_that_they_are_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").exists()
    assert (ROOT / "pyproject.toml").read_text().count('"py.typed"') == 2
