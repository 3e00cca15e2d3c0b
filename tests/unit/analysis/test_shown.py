"""The docs show what their commands print: each page's blocks are run anew; and what is normalised is no more than what differs."""

from __future__ import annotations

from pathlib import Path

import pytest

import shown


@pytest.mark.parametrize(
    ("page", "scene"), shown.cases(live=False), ids=lambda part: part.stem if isinstance(part, Path) else part
)
def test_the_page_shows_what_its_commands_print(page: Path, scene: str) -> None:
    assert shown.differences(page, scene) == "", "to show what they print: make shown"


def test_a_command_that_prints_something_else_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    monkeypatch.setattr(shown, "ROOT", tmp_path)
    page.write_text("<!-- shown: checkout; keep 1 -->\n```console\n$ seq 3\n1\n…\n```\n")
    assert shown.differences(page, "checkout") == ""
    page.write_text(page.read_text().replace("\n1\n", "\n2\n"))
    told = shown.differences(page, "checkout")
    assert "-2" in told and "+1" in told


def test_each_prompt_in_a_marked_block_is_run_and_no_command_is_left_unmarked_unawares() -> None:
    """What a page shows of a command without a marker is named here, with its reason in a comment."""
    text = {page.name: shown.unmarked(page) for page in shown.pages() if shown.unmarked(page)}
    assert text == {
        # An example of Kamailio's own, which not every machine has; a proof and a demo that take a server and root.
        "audit.md": ["sipsieve audit sipcapture.cfg", "sipsieve audit --prove kamailio.cfg", "make demo-audit"],
    }  # fmt: skip


def test_only_what_differs_from_run_to_run_is_made_alike() -> None:
    line = "up 2s, mode observe, policy 205ab774ec34, 82 messages: allow 42; 203.0.113.9:5060 (9m 59s left)"
    assert shown.steady(line) == line.replace("205ab774ec34", "ID")
    assert (
        shown.steady(line, live=True)
        == "up SPAN, mode observe, policy ID, 82 messages: allow 42; 203.0.113.9:PORT (SPAN left)"
    )
    assert shown.steady("127 messages in 3 windows by feedfacedead") == "127 messages in 3 windows by feedfacedead"
