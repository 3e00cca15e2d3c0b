"""`sipsieve analyze` over small inputs of each kind, the way a person runs it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from harness import SITE

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
