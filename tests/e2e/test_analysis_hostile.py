"""What attackers write is harmless in every rendering: shown in a real browser and on a real terminal."""

from __future__ import annotations

import csv
import functools
import io
import json
import os
import pty
import re
import subprocess
from pathlib import Path
from typing import Any

import pypdf
import pytest
from jsonschema import Draft202012Validator

from harness import ROOT, SITE

SIPSIEVE = SITE / "bin" / "sipsieve"
SCRIPT = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
ESCAPE = "\x1b]0;owned\x07\x1b[2J\x1b[31mred"
BIDI = "\u202egnp.exe\u2066\u200b"
FORMULA = '=HYPERLINK("http://203.0.113.9/","x")'
PLANTED = (
    SCRIPT,
    ESCAPE,
    BIDI,
    FORMULA,
    "'\"><svg/onload=alert(1)>",
    "](javascript:alert(1)) `x` | a",
    "{{7*7}}",
    "\r\nX: y",
)


def _record(n: int, text: str) -> dict[str, Any]:
    return {
        "@timestamp": f"2026-11-16T10:{n:02d}:00.000000Z", "source": {"ip": f"198.51.100.{n + 1}", "port": 5060}, "network": {"transport": "udp"},
        "event": {"kind": "event", "action": "reject"}, "policy": {"mode": "enforce", "enforced": True},
        "sip": {"type": "request", "method": f"INV{text}", "call_id": f"{text}@x", "uri": f"sip:{text}@example.com", "from": f"sip:{text}@a", "to": f"sip:{text}@b"},
        "user_agent": {"original": f"sipcli {text}"},
        "findings": [{"rule": "sql-update-set", "family": "sql", "score": 5, "field": text, "excerpt": f"{text} http://evil.example/{text}"}],
        "indicators": [{"type": "file", "value": text}, {"type": "user-agent", "value": text}],
    }  # fmt: skip


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    # The path is shown too.
    log = folder / "de<b>cisions.jsonl"
    records = [_record(number, text) for number, text in enumerate(PLANTED)]
    records.append({**_record(50, SCRIPT), "source": {"ip": SCRIPT, "port": 1}})
    log.write_text("".join(json.dumps(record) + "\n" for record in records))
    command = [
        SIPSIEVE,
        "analyze",
        "-q",
        "--html",
        folder / "r.html",
        "--markdown",
        folder / "r.md",
        "--csv",
        folder / "r.csv",
        "--pdf",
        folder / "r.pdf",
        "--appendix",
        folder / "appendix",
        "--json",
        log,
    ]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert done.returncode == 1, done.stderr.decode()
    (folder / "r.json").write_bytes(done.stdout)
    return folder


def test_a_browser_runs_and_loads_nothing(hostile: Path) -> None:
    page = hostile / "r.html"
    command = [
        "chromium",
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--virtual-time-budget=3000",
        "--dump-dom",
        f"--user-data-dir={hostile / 'profile'}",
        page.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, timeout=90, check=False, text=True)
    assert "SIP analysis" in done.stdout, done.stderr[-2000:]
    assert re.search("<title>(.*?)</title>", done.stdout, re.S)[1].startswith("SIP analysis")  # type: ignore[index]
    assert "<script" not in done.stdout
    assert "<img" not in done.stdout
    assert "onload=" not in re.sub(r"&lt;.*?&gt;", "", re.sub(">[^<]*<", "><", done.stdout))
    assert SCRIPT.replace("<", "&lt;").replace(">", "&gt;") in done.stdout


def test_the_page_carries_a_policy_that_forbids_everything(hostile: Path) -> None:
    text = (hostile / "r.html").read_text()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    assert re.fullmatch(
        r"default-src (?:'|&#39;)none(?:'|&#39;); style-src (?:'|&#39;)sha256-[\w+/=]+(?:'|&#39;); base-uri (?:'|&#39;)none(?:'|&#39;); form-action (?:'|&#39;)none(?:'|&#39;)",
        policy[1],
    )
    assert "style=" not in re.sub(">[^<]*<", "><", text)
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\x00-\x08\x0b-\x1f\x7f-\x9f]", text)


def test_the_style_sheet_is_applied_in_a_browser(hostile: Path) -> None:
    # A wrong hash would leave the page bare: the picture of a styled page is not the default white.
    shot = hostile / "shot.png"
    command = [
        "chromium",
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--window-size=800,600",
        f"--screenshot={shot}",
        f"--user-data-dir={hostile / 'profile2'}",
        (hostile / "r.html").as_uri(),
    ]
    subprocess.run(command, capture_output=True, timeout=90, check=False)
    assert _first_pixel(shot.read_bytes()) == (0xFB, 0xFB, 0xFA)


def _first_pixel(png: bytes) -> tuple[int, int, int]:
    import zlib

    data, position = b"", 8
    while position < len(png):
        length = int.from_bytes(png[position : position + 4], "big")
        if png[position + 4 : position + 8] == b"IDAT":
            data += png[position + 8 : position + 8 + length]
        position += 12 + length
    row = zlib.decompress(data)
    return row[1], row[2], row[3]


def test_a_terminal_gets_no_foreign_escape(hostile: Path) -> None:
    log = next(hostile.glob("*.jsonl"))
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [SIPSIEVE, "analyze", "--all", str(log)],
        stdout=slave,
        stderr=slave,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "160"},
    )
    os.close(slave)
    output = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:
            break
        if not part:
            break
        output += part
    assert process.wait(60) == 1
    text = output.decode()
    # Colours, cursor and line erasure of our own are all that remains.
    rest = re.sub(r"\x1b\[(?:[0-9;]*m|\?25[lh]|[0-9]*[AKG]|2K)", "", text)
    assert "\x1b" not in rest
    assert "\x07" not in rest
    assert "\x1b[2J" not in text
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b]", text)
    assert "\\x1b[31mred" in re.sub(r"\s", "", rest) or "\\x1b" in rest


def test_csv_cells_are_no_formulas(hostile: Path) -> None:
    rows = list(csv.reader(io.StringIO((hostile / "r.csv").read_bytes().decode())))
    assert len(rows) > len(PLANTED)
    appendix = sorted((hostile / "appendix").glob("*.csv"))
    assert len(appendix) == 5
    for path in appendix:
        rows += csv.reader(io.StringIO(path.read_bytes().decode()))
    for row in rows:
        for cell in row:
            assert not cell.lstrip().startswith(("=", "+", "-", "@", "\t", "\r")), cell
            assert not re.search("[\x00-\x1f\x7f\u202e]", cell)


def test_a_pdf_shows_it_and_links_nowhere(hostile: Path) -> None:
    document = pypdf.PdfReader(hostile / "r.pdf")
    assert "document.title" in "".join(sheet.extract_text() for sheet in document.pages)
    root = document.trailer["/Root"]
    assert "/OpenAction" not in root
    assert "/JavaScript" not in root.get("/Names", {})
    notes = [note.get_object() for sheet in document.pages for note in sheet.get("/Annots", [])]
    assert not [note for note in notes if "/URI" in note.get("/A", {})]


def test_markdown_has_no_live_markup(hostile: Path) -> None:
    text = (hostile / "r.md").read_text()
    assert "<" not in text
    assert not re.search(r"(?<!\\)\]\(", text)
    assert "javascript:" not in text


def test_json_is_ascii_and_follows_the_schema(hostile: Path) -> None:
    raw = (hostile / "r.json").read_bytes()
    assert raw.isascii()
    validate(json.loads(raw))


@functools.cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads((ROOT / "docs" / "report.schema.json").read_text()))


def validate(report: dict[str, Any]) -> None:
    """Fails where a report does not follow the published schema."""
    problems = [f"{error.json_path}: {error.message}" for error in _validator().iter_errors(report)]
    assert not problems, problems[:5]


@pytest.mark.parametrize("name", ["kamailio.log.gz", "decisions.jsonl.bz2", "week.pcap.gz"])
def test_the_case_follows_the_schema(name: str) -> None:
    done = subprocess.run(
        [SIPSIEVE, "analyze", "--json", "-q", str(ROOT / "tests" / "fixtures" / "case" / name)],
        capture_output=True,
        timeout=120,
        check=False,
    )
    validate(json.loads(done.stdout))
