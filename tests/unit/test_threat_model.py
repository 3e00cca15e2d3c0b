"""What SECURITY.md promises and docs/threat-model.md claims names tests that there are, and that hold something."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
DOCUMENTS = (ROOT / "SECURITY.md", ROOT / "docs" / "threat-model.md")

LINKS = sorted(
    {
        (document.name, (document.parent / link).resolve())
        for document in DOCUMENTS
        for link in re.findall(r"\]\(([^)]*test_\w+\.py)\)", document.read_text())
    }
)


def rows(text: str, heading: str) -> list[list[str]]:
    """The cells of the table under a heading, its head and rule left out."""
    part = text.partition(heading)[2].partition("\n## ")[0]
    lines = [line for line in part.split("\n") if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines][1:]


@pytest.mark.parametrize(("document", "path"), LINKS, ids=lambda value: getattr(value, "stem", value))
def test_a_named_test_is_there_and_asserts(document: str, path: Path) -> None:
    assert path.is_file(), f"{document} names {path}"
    tree = ast.parse(path.read_text())
    tests = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    assert tests
    assert any(isinstance(node, ast.Assert) for node in ast.walk(tree))


@pytest.mark.parametrize(
    ("document", "heading"),
    [(DOCUMENTS[0], "## What it promises"), (DOCUMENTS[1], "## What is at stake")],
    ids=["SECURITY.md", "threat-model.md"],
)
def test_each_promise_has_its_test(document: Path, heading: str) -> None:
    promises = [row for row in rows(document.read_text(), heading) if not set(row[0]) <= set("-")]
    assert len(promises) >= 10
    for row in promises:
        assert "test_" in row[-1], f"{document.name}: {row[0]!r} has no test"
