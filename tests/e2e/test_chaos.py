"""`make chaos` for seconds: what an hour of it holds, a short run shows too."""

from __future__ import annotations

import json
import subprocess
import sys

from harness import ROOT


def test_calls_are_answered_and_accounted_for_while_things_break() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "chaos.py"), "--seconds", "20", "--seed", "1"],
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 0, seen["broken"]
    assert seen["broken"] == []
    assert set(seen["done"]) == {
        "kill",
        "fill",
        "rotate",
        "cut",
        "flip",
        "clock",
        "reload",
        "squeeze",
        "hoard",
        "crowd",
        "part",
    }
    assert min(seen["answered"].values()) > 100
    assert seen["banned"] > 0, "bans were kept and restored all along"
