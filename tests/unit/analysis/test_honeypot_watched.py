"""A honeypot's log goes to `watch`: a weekly report in words, and people told what is new in it first."""

from __future__ import annotations

import bz2
import json
import subprocess
from pathlib import Path
from typing import Any

import model_server
from harness import ROOT, SITE

CASE = ROOT / "tests/fixtures/case/decisions.jsonl.bz2"


def test_a_honeypots_week_is_put_into_words_and_told(tmp_path: Path) -> None:
    log = tmp_path / "decisions.jsonl"
    week = bz2.decompress(CASE.read_bytes()).decode().splitlines()
    # What the week after begins with closes it.
    later = {**json.loads(week[-1]), "@timestamp": "2026-12-02T10:00:00.000001Z"}
    log.write_text("\n".join([*week, json.dumps(later)]) + "\n")
    told: list[dict[str, Any]] = []

    def receive(exchange: model_server.Exchange) -> None:
        told.append(exchange.request_body)
        exchange.raw(200, b"{}")

    def narrate(exchange: model_server.Exchange) -> None:
        exchange.complete(json.dumps(model_server.honest(exchange.facts())))

    with model_server.serving(narrate) as model, model_server.serving(receive) as receiver:
        (tmp_path / "narration.toml").write_text(f'url = "{model.url}"\nmodel = "any"\n')
        (tmp_path / "alerts.toml").write_text(
            f'[[channel]]\nname = "soc"\nwebhook = "{receiver.url}"\nreports = ["weekly"]\n'
        )
        done = subprocess.run(
            [SITE / "bin/sipsieve", "watch", log, "--once", "--state", tmp_path / "state", "--reports", tmp_path / "reports",
             "--narrate", tmp_path / "narration.toml", "--notify", tmp_path / "alerts.toml"],
            capture_output=True, text=True, timeout=200, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    weekly = [path for path in (tmp_path / "reports").iterdir() if "w" in path.stem.lower()]
    assert weekly and any("test-model-2026-11" in path.read_text() for path in weekly)
    assert len(model.asked) == 1, "a day's report is not put into words"
    reports = [one for one in told if "report" in json.dumps(one)]
    assert reports and any("203.0.113.142" in json.dumps(one) for one in told), told
