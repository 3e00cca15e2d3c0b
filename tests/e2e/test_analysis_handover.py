"""The report as a client gets it: on a phone, in the dark, on paper, for who can't see it, and the same in every form."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import axe_core_python
import pypdf
import pytest

from browser import Page, chromium
from harness import ROOT, SITE
from sipsieve_analysis.operate.forms import upgrade

SIPSIEVE = SITE / "bin" / "sipsieve"
CASE = ROOT / "tests" / "fixtures" / "case"
AXE = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text()
VIEWS = [(1280, False), (390, False), (1280, True), (390, True)]

SCOPE = """
title = "A week of the SIP honeypot"
client = "Example Telecom"
author = "Voice Security"
date = 2026-11-23
classification = "Confidential"
purpose = "Who attacks the edge, with what, and what stops it."
systems = ["sip.example.net, UDP 5060"]
excluded = ["TLS on 5061"]
"""

#: Rectangles of a drawing's texts that lie over one another or leave the drawing, in pixels of the page.
CLASHES = """
[...document.querySelectorAll('svg.chart')].filter(s => s.getClientRects().length).flatMap(s => {
  const box = s.getBoundingClientRect();
  const texts = [...s.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect()]);
  const out = texts.filter(([, r]) => r.left < box.left - 1 || r.right > box.right + 1 || r.top < box.top - 1 || r.bottom > box.bottom + 2);
  const over = texts.flatMap(([a, r], i) => texts.slice(i + 1).filter(([, q]) =>
    r.left < q.right - 1 && q.left < r.right - 1 && r.top < q.bottom - 2 && q.top < r.bottom - 2).map(([b]) => [a, b]));
  return [...out.map(([a]) => ['leaves', a]), ...over];
})
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("handover")
    (folder / "scope.toml").write_text(SCOPE)
    outputs = ["--html", "r.html", "--pdf", "r.pdf", "--markdown", "r.md", "--csv", "r.csv", "--appendix", "appendix"]
    done = subprocess.run(
        [SIPSIEVE, "analyze", "-q", "--json", "--scope", "scope.toml", *outputs, CASE / "decisions.jsonl.bz2"],
        cwd=folder,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stderr.decode()
    (folder / "r.json").write_bytes(done.stdout)
    return folder


@pytest.fixture(scope="module")
def report(made: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((made / "r.json").read_text())
    return found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("profile")) as one:
        yield one


def _violations(page: Page) -> Any:
    page.run(f"{AXE};0")
    return page.run("axe.run().then(r => r.violations.map(v => [v.id, v.nodes.map(n => n.html.slice(0, 120))]))")


@pytest.mark.parametrize(("width", "dark"), VIEWS)
def test_nothing_keeps_anybody_from_reading_it(made: Path, page: Page, width: int, dark: bool) -> None:
    page.show((made / "r.html").as_uri(), width, dark)
    assert _violations(page) == []


def test_the_check_sees_what_can_not_be_read(made: Path, page: Page) -> None:
    broken = made / "broken.html"
    text = (made / "r.html").read_text()
    broken.write_text(
        text.replace('<html lang="en">', "<html>").replace('role="img" aria-label="', 'role="img" data-x="')
    )
    page.show(broken.as_uri())
    assert {"html-has-lang", "svg-img-alt"} <= {name for name, _ in _violations(page)}


@pytest.mark.parametrize(("width", "dark"), VIEWS)
def test_charts_fit_and_their_labels_stand_apart(made: Path, page: Page, width: int, dark: bool) -> None:
    page.show((made / "r.html").as_uri(), width, dark)
    assert page.run("document.documentElement.scrollWidth") <= width
    assert page.run("[...document.querySelectorAll('svg.chart')].filter(s => s.getClientRects().length).length") == 4
    assert page.run(CLASHES) == []


def test_texts_of_charts_have_a_readable_size_on_a_phone(made: Path, page: Page) -> None:
    page.show((made / "r.html").as_uri(), 390)
    high = "Math.min(...[...document.querySelectorAll('svg.narrow text')].map(t => t.getBoundingClientRect().height))"
    assert page.run(high) >= 11


def test_the_case_has_at_most_six_printed_pages(made: Path, page: Page) -> None:
    page.show((made / "r.html").as_uri())
    assert len(pypdf.PdfReader(io.BytesIO(page.pdf())).pages) <= 6
    assert len(pypdf.PdfReader(made / "r.pdf").pages) <= 6


def test_the_pdf_has_what_the_page_has(made: Path, report: dict[str, Any]) -> None:
    document = pypdf.PdfReader(made / "r.pdf")
    text = " ".join(" ".join(sheet.extract_text() for sheet in document.pages).split())
    for wanted in (
        "Example Telecom",
        "Confidential",
        "Not covered",
        "Before and after",
        "Method and limits",
        *report["summary"],
    ):
        assert wanted in text
    for one in report["recommendations"]:
        assert one["title"] in text


def test_sections_stand_in_the_order_in_which_they_are_needed(made: Path, page: Page) -> None:
    page.show((made / "r.html").as_uri())
    assert page.run("[...document.querySelectorAll('h2')].map(h => h.textContent)") == [
        "Summary", "Scope", "Recommendations, in this order", "Indicators", "Timeline", "Before and after", "Attackers", "Noise",
        "Method and limits",
    ]  # fmt: skip
    assert page.run("document.querySelectorAll('section.actor').length") == 4


def test_the_case_gets_the_cases_recommendations(report: dict[str, Any]) -> None:
    assert [one["title"] for one in report["recommendations"]] == [
        "Sanitize every header field of every SIP message before anything reads it",
        "Parameterize every query that touches SIP data",
        "Rate-limit INVITE per IP address",
        "Block Content-Length: 0 on INVITE",
    ]
    assert all(paste["lines"] for one in report["recommendations"] for paste in one["pastes"])


def test_before_and_after_are_the_logs_own_decisions(report: dict[str, Any]) -> None:
    import bz2

    records = [upgrade(json.loads(line)) for line in bz2.open(CASE / "decisions.jsonl.bz2")]
    for actor in report["actors"][:4]:
        mine = [r for r in records if r["source"]["ip"] in actor["addresses"] and r["sip"].get("type") != "response"]
        through = [r for r in mine if r["event"]["action"] in ("allow", "scrub")]
        received = [r for r in mine if r["event"]["action"] in ("allow", "scrub") or r["event"]["outcome"] == "unknown"]
        assert actor["effect"] == {
            "messages": len(mine),
            "received": len(received),
            "guarded": len(through),
            "cleaned": 0,
        }
    assert report["lawful"]["refused"] == 0 < report["lawful"]["messages"]


def test_every_form_says_the_same(made: Path, report: dict[str, Any]) -> None:
    markdown = (made / "r.md").read_text().replace("\\", "").replace("&colon;", ":")
    assert all(sentence in markdown for sentence in report["summary"])
    assert all(one["title"] in markdown for one in report["recommendations"])
    assert all(actor["addresses"][0] in markdown for actor in report["actors"] if actor["tier"] != "low")
    rows = list(csv.DictReader(io.StringIO((made / "r.csv").read_text())))
    assert [(row["type"], row["value"], row["how"]) for row in rows] == [
        (i["type"], i["value"], i["how"]) for i in report["indicators"]
    ]
    appendix = {path.name: list(csv.DictReader(path.open(newline=""))) for path in (made / "appendix").iterdir()}
    assert set(appendix) == {"actors.csv", "addresses.csv", "campaigns.csv", "evidence.csv", "indicators.csv"}
    assert appendix["indicators.csv"] == rows
    assert [row["actor"] for row in appendix["actors.csv"]] == [actor["id"] for actor in report["actors"]]
    assert sum(row["tier"] == "low" for row in appendix["actors.csv"]) == report["noise"]["actors"]
    assert len(appendix["campaigns.csv"]) == len(report["campaigns"])


def test_every_indicator_says_how_it_was_found(report: dict[str, Any]) -> None:
    how = {(i["type"], i["value"]): i["how"] for i in report["indicators"]}
    assert how["host-port", "216.126.227.195:3456"].startswith("in a payload in the field from, by ")
    assert how["user-agent", "EagleSIP"] == "name of an attack tool in User-Agent"
    assert how["source", "203.0.113.200"] == "sent flood, toll fraud"
    assert all(how.values())


def test_a_scope_that_can_not_be_used_ends_before_the_work(tmp_path: Path) -> None:
    bad = tmp_path / "scope.toml"
    bad.write_text('customer = "x"')
    done = subprocess.run(
        [SIPSIEVE, "analyze", "--scope", bad, CASE / "decisions.jsonl.bz2"],
        capture_output=True,
        timeout=60,
        check=False,
        text=True,
    )
    assert done.returncode == 2
    assert "customer: no such key" in " ".join(done.stderr.split())


def test_without_weasyprint_a_pdf_says_what_to_install(tmp_path: Path) -> None:
    # A module of that name that can't be imported stands before the real one.
    (tmp_path / "weasyprint.py").write_text("raise ImportError('No module named weasyprint', name='weasyprint')\n")
    done = subprocess.run(
        [SIPSIEVE, "analyze", "--pdf", tmp_path / "r.pdf", CASE / "decisions.jsonl.bz2"],
        capture_output=True, timeout=60, check=False, text=True, env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 2
    assert "pip install" in done.stderr
    assert not (tmp_path / "r.pdf").exists()


def test_a_raw_logs_lines_without_a_source_are_nobodys() -> None:
    done = subprocess.run(
        [SIPSIEVE, "analyze", "-q", "--json", "--year", "2026", CASE / "kamailio.log.gz"],
        capture_output=True,
        timeout=60,
        check=False,
    )
    found = json.loads(done.stdout)
    assert found["lawful"] == {"messages": 0, "refused": 0, "peak_invites": 0}
    assert found["totals"]["quiet_sources"] == 0
    assert not any("nothing against them" in sentence for sentence in found["summary"])
