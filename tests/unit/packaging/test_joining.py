"""What somebody needs who joins: the guide's rule is a good one, and the public workflows call what there is."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

import sipsieve
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


def test_hooks_before_a_commit_call_what_there_is() -> None:
    (repo,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    asked = {hook["id"]: hook["entry"] for hook in repo["hooks"]}
    assert repo["repo"] == "local" and {"ruff", "ruff-format", "mypy"} <= set(asked)
    lint = "\n".join(path.read_text() for path in [ROOT / "Makefile", *sorted((ROOT / "make").glob("*.mk"))])
    for name in ("ruff", "ruff-format", "mypy"):
        assert asked[name].removeprefix(".venv/bin/") in lint.replace("$(VENV)/bin/", ""), name


def test_recipes_are_of_this_version_and_lead_to_files_that_exist() -> None:
    recipe = (ROOT / "packaging/alpine/APKBUILD").read_text()
    assert f"\npkgver={sipsieve.__version__}\n" in recipe
    for text in (recipe, (ROOT / "packaging/rpm/sipsieve.spec").read_text()):
        named = re.findall(r"(?<![\w/])packaging/[\w./-]+", text)
        assert named and all((ROOT / name).exists() for name in named), named


def test_the_role_s_variables_are_documented() -> None:
    role = ROOT / "packaging/ansible/roles/sipsieve"
    page = (ROOT / "docs/install.md").read_text()
    variables = yaml.safe_load((role / "defaults/main.yml").read_text())
    assert all(f"`{name}`" in page for name in variables)
    used = "\n".join(path.read_text() for path in role.rglob("*") if path.is_file() and path.parent.name != "defaults")
    assert all(name in used for name in variables)
    named = set(re.findall(r"\bsipsieve_[a-z]\w*", used)) - {
        "sipsieve_status",
        "sipsieve_asked",
        "sipsieve_VERSION_ARCH",
    }
    assert named == set(variables)
