"""What the docs show of commands at a running server, run anew at a real one."""

from __future__ import annotations

from pathlib import Path

import pytest

import shown


@pytest.mark.parametrize(
    ("page", "scene"), shown.cases(live=True), ids=lambda part: part.stem if isinstance(part, Path) else part
)
def test_the_page_shows_what_its_commands_print(page: Path, scene: str) -> None:
    assert shown.differences(page, scene) == "", "to show what they print: make shown"
