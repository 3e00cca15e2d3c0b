"""`sipsieve analyze` over small inputs of each kind, the way a person runs it."""

from __future__ import annotations

import gzip
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness import ROOT, SITE

SIPSIEVE = SITE / "bin" / "sipsieve"


def analyze(*arguments: object, codes: tuple[int, ...] = (0, 1)) -> dict[str, Any]:
    """The JSON report of a run."""
    done = subprocess.run(
        [SIPSIEVE, "analyze", "--json", "-q", *map(str, arguments)], capture_output=True, timeout=120, check=False
    )
    assert done.returncode in codes, done.stderr.decode()
    report: dict[str, Any] = json.loads(done.stdout)
    return report


RAW = """Nov 16 10:00:00 edge kamailio[41]: ERROR: {1 1 REGISTER e1} <core> [core/parser/parse_from.c:74]: parse_from_header(): bad From header [UPDATE users SET password='x1' WHERE username='admin']
Nov 16 10:00:00 edge kamailio[42]: ERROR: <core> [core/receive.c:376]: receive_msg(): core parsing of SIP message failed (192.0.2.77:5072/1)
Nov 16 10:00:00 edge kamailio[41]: ERROR: {1 1 REGISTER e1} <script>: Malformed SIP request from 198.51.100.9:5062
Nov 16 10:00:01 edge sshd[9]: Accepted publickey for root
"""


def test_a_raw_log_shows_the_injection_behind_a_parse_error(tmp_path: Path) -> None:
    log = tmp_path / "syslog"
    log.write_text(RAW)
    report = analyze(log)
    first = report["actors"][0]
    assert first["addresses"] == ["198.51.100.9"]
    assert first["tier"] == "immediate"
    assert set(first["intents"]) == {"credential_theft", "data_tampering"}
    assert report["inputs"]["skipped"] == {"lines of other programs": 1}
    assert report["inputs"]["invisible"]


def test_bad_lines_are_counted_never_fatal(tmp_path: Path) -> None:
    log = tmp_path / "decisions.jsonl"
    good = {
        "@timestamp": "2026-11-16T10:00:00.000001Z", "source": {"ip": "198.51.100.9", "port": 5060}, "network": {"transport": "udp"},
        "event": {"kind": "event", "action": "allow"}, "sip": {"type": "request", "method": "OPTIONS"}, "later": {"field": 1},
    }  # fmt: skip
    lines = [
        json.dumps(good),
        "not json",
        '{"@timestamp": "yesterday"}',
        "[1]",
        json.dumps(good)[:-9],
        json.dumps(good),
    ]
    log.write_text("\n".join(lines))
    report = analyze(log)
    assert report["totals"]["messages"] == 2
    assert report["inputs"]["skipped"] == {"lines that are no decision records": 4}


def test_an_input_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = subprocess.run([SIPSIEVE, "analyze", tmp_path / "none"], capture_output=True, timeout=60, check=False)
    assert done.returncode == 2
    assert str(tmp_path / "none") in done.stderr.decode()


def refused(*arguments: object) -> str:
    """What a run that could not read anything says."""
    done = subprocess.run(
        [SIPSIEVE, "analyze", "-q", *map(str, arguments)], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 2, done.stdout.decode()
    assert b"Traceback" not in done.stderr
    return done.stderr.decode()


def test_what_nobody_can_read_says_what_can_be_and_what_to_do(tmp_path: Path) -> None:
    log = tmp_path / "messages"
    log.write_text("[Nov 16 10:00:00] NOTICE chan_foo something\n" * 3)
    said = refused(log)
    assert "[Nov 16 10:00:00] NOTICE chan_foo something" in said
    assert "Formats known: decision logs" in said
    assert f"--xlog '$rm from $si:$sp fu=$fu ua=$ua' {log}" in said.replace("\n", " ").replace("  ", " ")
    log.write_text("Nov 16 10:00:00 edge kamailio[41]: INFO: <script>: hello there\n")
    assert "hello there" in refused(log)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (RAW.encode("utf-16"), "is UTF-16"),
        (RAW.encode("utf-16-le"), "is UTF-16"),
        (bytes(range(1, 256)) * 40, "nothing in it could be read"),
        (b"\x7fELF" + b"\0" * 5000, "binary"),
    ],
)
def test_what_is_no_text_is_refused_with_a_word(content: bytes, word: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    assert word in refused(path)


def test_nothing_at_all_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "there is no file" in refused(tmp_path / "empty")


def test_a_cut_archive_is_said(tmp_path: Path) -> None:
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress((RAW * 400).encode(), mtime=0)[:-20])
    assert any("cut or damaged" in kind for kind in analyze(path)["inputs"]["skipped"])


def test_a_format_of_xlog_that_is_given(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("Nov 16 10:00:00 edge kamailio[41]: INFO: <script>: $(reboot) x <> 203.0.113.9 # REGISTER\n")
    report = analyze("--xlog", "$ua <> $si # $rm", log)
    assert report["totals"]["messages"] == 1
    assert report["actors"][0]["addresses"] == ["203.0.113.9"]
    assert "$si is needed" in refused("--xlog", "$rm", log)


def test_the_same_events_in_three_inputs_are_counted_once() -> None:
    case = ROOT / "tests" / "fixtures" / "case"
    alone = analyze(case / "decisions.jsonl.bz2")["totals"]["messages"]
    three = analyze(*(case / name for name in ("kamailio.log.gz", "week.pcap.gz", "decisions.jsonl.bz2")))
    # The capture alone holds the answers of the server to what the guard refused.
    assert alone <= three["totals"]["messages"] <= alone * 1.1
    assert analyze(case / "decisions.jsonl.bz2", case / "decisions.jsonl.bz2")["totals"]["messages"] == alone
