"""Holds the documentation to what a user can type or read: commands, keys, rule ids, log fields, make targets."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest

from harness import ROOT
from sipsieve.config.policy import Policy
from sipsieve.detection import ruleset, structure
from sipsieve_analysis.cli import main

DOCS = "\n".join(path.read_text() for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))])


def _policy_keys(struct: Any, prefix: str = "") -> Iterator[str]:
    for field in msgspec.structs.fields(struct):
        name = f"{prefix}{field.encode_name}"
        if name == "network":  # either [network] or [[network]]
            name = "network.trusted"
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from _policy_keys(field.type, f"{name}.")
        else:
            yield name


def _log_fields(schema: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, sub in schema.get("properties", {}).items():
        if sub.get("properties"):
            yield from _log_fields(sub, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


@pytest.mark.parametrize("name", main.list_commands(click.Context(main)))
def test_every_command_is_documented(name: str) -> None:
    assert f"sipsieve {name}" in DOCS


@pytest.mark.parametrize("key", list(_policy_keys(Policy)))
def test_every_policy_key_is_documented(key: str) -> None:
    assert f"`{key}`" in (ROOT / "docs/policy.md").read_text()


def test_every_rule_id_is_documented() -> None:
    text = (ROOT / "docs/rules.md").read_text()
    ids = [rule.id for rule in ruleset.load().rules] + list(structure.CHECKS)
    assert [rule for rule in ids if f"`{rule}`" not in text] == []


def test_every_log_field_is_documented() -> None:
    schema = json.loads((ROOT / "docs/decision-log.schema.json").read_text())
    text = (ROOT / "docs/decision-log.md").read_text()
    fields = [name for kind in ("decision", "count") for name in _log_fields(schema["definitions"][kind])]
    assert len(fields) > 20
    assert [field for field in fields if f"`{field}`" not in text] == []


def test_every_make_target_named_in_the_docs_exists() -> None:
    named = set(re.findall(r"`(?:sudo )?make ([a-z][a-z-]*)", DOCS))
    listed = subprocess.run(["make", "-pnq", "help"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", listed, re.M))
    assert named
    assert named - targets == set()


def test_every_link_between_the_docs_leads_somewhere() -> None:
    broken = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", path.read_text())
        if not (path.parent / target).exists()
    ]
    assert broken == []


def test_the_scripts_that_the_docs_name_are_there() -> None:
    named = set(re.findall(r"`((?:kemi|lab|bench|packaging|integrations)/[\w./-]+)`", DOCS))
    assert [name for name in sorted(named) if not Path(ROOT, name).exists()] == []
