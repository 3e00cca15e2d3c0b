"""`make demo`'s replay, as a user runs it: no terminal, no input, and an exit code that can be believed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

#: The issue's own bound for the whole demo, installation aside.
LONGEST = 120


def _demo(folder: Path, *names: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "replayer", "demo", "--folder", str(folder), *names],
        env={**os.environ, "PYTHONPATH": str(ROOT / "lab")}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=LONGEST, check=False,
    )  # fmt: skip


def _left_over(folder: Path) -> list[str]:
    """Command lines of processes that still work in `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(folder) in line and int(entry.name) != os.getpid():
                found.append(line)
    return found


def test_the_weeks_attacks_stop_and_its_calls_go_through(tmp_path: Path) -> None:
    done = _demo(tmp_path / "demo")
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "All held." in done.stdout
    assert "sql-update-set" in done.stdout
    assert "BANNED 127.66.0.13" in done.stdout
    assert str(tmp_path / "demo" / "decisions.jsonl") in done.stdout
    assert "\x1b" not in done.stdout
    assert _left_over(tmp_path) == []


def test_an_expectation_that_does_not_hold_shows_in_the_exit_code(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable, "-c",
            "import sys; from pathlib import Path; from replayer.__main__ import SCENARIOS;"
            "from replayer.scenario import load; import msgspec; from replayer.demo import demo;"
            "loaded = load(SCENARIOS / 'eaglesip-sqli'); step = msgspec.structs.replace(loaded.scenario.step[0], answers=(200,));"
            "wrong = msgspec.structs.replace(loaded, scenario=msgspec.structs.replace(loaded.scenario, step=(step,)));"
            f"sys.exit(0 if demo([wrong], Path({str(tmp_path / 'demo')!r})) else 1)",
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT / "lab")}, capture_output=True, text=True, timeout=LONGEST, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "NOT AS EXPECTED: step 1: answered 403, expected 200" in done.stdout


def test_an_unknown_scenario_is_named(tmp_path: Path) -> None:
    done = _demo(tmp_path / "demo", "no-such")
    assert done.returncode == 2
    assert "no scenario no-such; there are" in done.stderr
