"""The commands with a narration: a model behind a real HTTP server, in a report and in a watch's week."""

from __future__ import annotations

import bz2
import json
import subprocess
from pathlib import Path

from harness import ROOT, SITE
from model_server import Exchange, honest, serving

SIPSIEVE = SITE / "bin" / "sipsieve"
CASE = ROOT / "tests" / "fixtures" / "case" / "decisions.jsonl.bz2"


def behaves(exchange: Exchange) -> None:
    exchange.complete(json.dumps(honest(exchange.facts())))


def settings(folder: Path, url: str) -> Path:
    path = folder / "narration.toml"
    path.write_text(f'url = "{url}"\nmodel = "test-model"\nretries = 0\ntimeout_seconds = 20\n')
    return path


def analyze(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SIPSIEVE, "analyze", "-q", "--json", *words, CASE], capture_output=True, text=True, timeout=120, check=False
    )


def test_a_report_with_a_narration_is_the_report_and_a_narration(tmp_path: Path) -> None:
    plain = analyze()
    with serving(behaves) as model:
        told = analyze("--narrate", settings(tmp_path, model.url), "--html", tmp_path / "report.html")
    report = json.loads(told.stdout)
    assert report.pop("narration")["kept"] > 10
    assert (report, told.returncode) == (json.loads(plain.stdout), plain.returncode)
    assert "by a language model" in (tmp_path / "report.html").read_text()


def test_without_an_answer_the_report_stands_and_says_nothing_of_it(tmp_path: Path) -> None:
    def broken(exchange: Exchange) -> None:
        exchange.raw(503, b"")

    with serving(broken) as model:
        told = analyze("--narrate", settings(tmp_path, model.url))
    assert told.returncode == 1 and "narration" not in json.loads(told.stdout)
    assert "HTTP status 503; the report is without a narration" in told.stderr


def test_settings_that_are_wrong_end_the_command_before_it_reads(tmp_path: Path) -> None:
    path = tmp_path / "narration.toml"
    path.write_text('url = "https://x.example/v1"\nmodel = "m"\nkey_env = "NO_SUCH_KEY_HERE"\n')
    told = analyze("--narrate", path)
    assert told.returncode == 2 and "NO_SUCH_KEY_HERE" in told.stderr


def test_a_watch_narrates_its_weekly_report_only(tmp_path: Path) -> None:
    log = tmp_path / "decisions.jsonl"
    log.write_bytes(bz2.decompress(CASE.read_bytes()))
    with serving(behaves) as model:
        subprocess.run(
            [SIPSIEVE, "watch", log, "--once", "--state", tmp_path / "state", "--reports", tmp_path / "reports",
             "--narrate", settings(tmp_path, model.url)],
            check=True, timeout=120, capture_output=True,
        )  # fmt: skip
        assert len(model.asked) == 1
    told = {path.name: "narration" in json.loads(path.read_text()) for path in (tmp_path / "reports").glob("*.json")}
    assert {name for name, has in told.items() if has} == {"weekly-2026-W47.json"} and len(told) > 1
