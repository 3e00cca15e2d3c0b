"""What is said of lines that nobody understands: their templates, and a format that was seen to read them."""

from __future__ import annotations

import json
import sys
from datetime import UTC
from pathlib import Path

import jsonschema
import pytest

from sipsieve_analysis.analysis import analyze
from sipsieve_analysis.events import Store
from sipsieve_analysis.intake import Collector, InputError
from sipsieve_analysis.readers.templates import Form, Miner, format_of, masked_of
from sipsieve_analysis.report import as_json

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "report.schema.json").read_text())
AT = "Nov 16 10:00:00 edge kamailio[41]: INFO: <script>: "
ODD = [f"{AT}traffic {('INVITE', 'REGISTER')[n % 2]} ~203.0.113.{n % 9}~{5060 + n % 3}~ user {n}" for n in range(40)]
SILENT = [f"{AT}checked contact {n} in {n} ms" for n in range(9)]


def collected(tmp_path: Path, lines: list[str], *formats: str) -> Collector:
    work = tmp_path / "work"
    work.mkdir()
    (tmp_path / "log").write_text("".join(f"{line}\n" for line in lines))
    collector = Collector(Store(work), work, UTC, year=2026, formats=formats)
    collector.add(tmp_path / "log")
    return collector


def test_the_line_to_write_is_named_and_works(tmp_path: Path) -> None:
    with pytest.raises(InputError) as told:
        collected(tmp_path, ODD + SILENT).finish()
    xlog = "traffic $rm ~$si~$sp~ user $var(x)"
    assert f"--xlog '{xlog}'" in str(told.value) and "40  traffic <METHOD> ~<IP>~<NUM>~ user <NUM>" in str(told.value)
    (tmp_path / "again").mkdir()
    collector = collected(tmp_path / "again", ODD + SILENT, xlog)
    collector.finish()
    assert collector.intake.records.total() == 40
    assert collector.intake.forms == [Form("checked contact <NUM> in <NUM> ms", 9)]


def test_the_report_holds_them(tmp_path: Path) -> None:
    collector = collected(tmp_path, [*ODD, f"{AT}INVITE from 203.0.113.7:5060"])
    collector.finish()
    report = as_json(analyze(collector._store, collector.intake))
    jsonschema.validate(report, SCHEMA)
    [form] = report["inputs"]["not_understood"]
    assert form["lines"] == 40 and form["xlog"]


@pytest.mark.parametrize(
    ("line", "format_"),
    [
        ('src=203.0.113.7:5060 m=INVITE ua="x y"', 'src=$si:$sp m=$rm ua="$ua"'),
        ("[2001:db8::1]:5060 asks for sip:1@x by REGISTER", "$si:$sp asks for $var(x) by $rm"),
        ("from sip:1@x; to sip:2@x; peer 203.0.113.7", "from $fu; to $tu; peer $si"),
        ("costs $5 at 203.0.113.7", "costs $$$var(x) at $si"),
        ("nobody was here", ""),
    ],
)
def test_formats(line: str, format_: str) -> None:
    assert format_of(masked_of(line)) == format_


def test_a_format_that_reads_nothing_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sipsieve_analysis.readers.templates.format_of", lambda template: "other $si")
    miner = Miner()
    miner.show([b"traffic ~203.0.113.7~"])
    assert miner.found() == [Form("traffic ~<IP>~", 1)]


def test_without_drain3_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "drain3.drain", None)
    with pytest.raises(InputError, match=r"sipsieve\[templates\]"):
        collected(tmp_path, ODD).finish()


def test_hostile_lines_cost_little() -> None:
    miner = Miner()
    miner.show([b'"' * 400, b"1.1.1.1:" * 50, b"a:b" * 130, b"<*>" * 130, bytes(range(256)), b"sip:" * 100] * 500)
    assert sum(form.lines for form in miner.found()) == 3000
