"""The site is built without a broken link, asks no other machine, and can be searched."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from harness import ROOT
from sipsieve_analysis.cli import main

PAGES = [path.relative_to(ROOT / "docs") for path in sorted((ROOT / "docs").rglob("*.md"))]


def build(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    """Builds the site of a tree, as `make site` does."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--config-file", "packaging/site/mkdocs.yml", "--site-dir", str(target)],
        cwd=source, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site") / "site"
    done = build(ROOT, target)
    assert done.returncode == 0, done.stdout + done.stderr
    return target


def test_each_page_is_there(site: Path) -> None:
    for page in [
        *PAGES,
        Path("index.md"),
        Path("commands.md"),
        Path("CONTRIBUTING.md"),
        Path("CHANGELOG.md"),
        Path("SECURITY.md"),
    ]:
        made = site / page.with_suffix(".html")
        assert made.exists() or (page.name == "README.md" and (made.with_name("index.html")).exists()), page


def test_the_site_fetches_nothing(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        fetched = re.findall(r"<(?:script|img|iframe|source)[^>]+src=\"?(https?:[^\"\s>]+)", text)
        fetched += re.findall(
            r"<link[^>]+rel=\"?(?:stylesheet|preconnect|preload)\"?[^>]*href=\"?(https?:[^\"\s>]+)", text
        )
        assert fetched == [], page


def test_it_can_be_searched(site: Path) -> None:
    index = (site / "search" / "search_index.json").read_text(encoding="utf-8")
    for word in ("quiet_passes", "sql-tautology", "SIPSIEVE_NO_PREROUTING"):
        assert word in index, word


def test_each_command_s_help_is_a_part_of_the_commands_page(site: Path) -> None:
    text = (site / "commands.html").read_text(encoding="utf-8")
    for name in main.list_commands(click.Context(main)):
        assert f"Usage: sipsieve {name}" in text, name


def test_a_link_that_leads_nowhere_ends_the_build(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for part in ("docs", "packaging/site", "kemi/sipsieve", "analysis", "tests/fixtures"):
        shutil.copytree(ROOT / part, tree / part, ignore=shutil.ignore_patterns("__pycache__", "case"))
    for path in [*ROOT.glob("*.md"), ROOT / "NOTICE", ROOT / "kemi/sipsieve.toml"]:
        shutil.copy(path, tree / path.relative_to(ROOT))
    shutil.copytree(ROOT / "tests/e2e", tree / "tests/e2e", dirs_exist_ok=True)
    shutil.copytree(ROOT / "tests/unit", tree / "tests/unit", dirs_exist_ok=True)
    page = tree / "docs" / "alerts.md"
    kept = page.read_text()
    for broken in ("[a](nosuch.md)", "[a](../kemi/nosuch.py)", "[a](bans.md#no-such-heading)"):
        page.write_text(kept + broken + "\n")
        done = build(tree, tmp_path / "out")
        assert done.returncode != 0 and re.search("nosuch|no-such-heading", done.stdout + done.stderr), broken


def test_the_modules_that_the_module_page_names_are_those_that_are_loaded() -> None:
    loaded = set(re.findall(r'^loadmodule "([a-z0-9_]+)\.so"', (ROOT / "kemi/sipsieve.cfg").read_text(), re.M))
    section = (ROOT / "docs/module.md").read_text().partition("### 2.1.")[2].partition("### 2.2.")[0]
    assert set(re.findall(r"`([a-z0-9_]+)`", section)) == loaded


def test_the_pictures_are_small_and_shown_on_the_site(site: Path) -> None:
    pictures = sorted((ROOT / "docs/pictures").iterdir())
    pages = "\n".join(page.read_text(encoding="utf-8") for page in site.glob("*.html"))
    assert pictures
    for picture in pictures:
        assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size < 150_000, picture
        assert f"pictures/{picture.name}" in pages and (site / "pictures" / picture.name).exists(), picture
    made = (ROOT / "packaging/site/pictures.py").read_text()
    assert all(f'"{picture.name}"' in made for picture in pictures)
