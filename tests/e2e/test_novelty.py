"""What `make novelty` measures, in small: a site's own normal finds what no rule knows, and leaves an ordinary day alone."""

from __future__ import annotations

import json
import subprocess
import sys

from harness import ROOT


def test_a_small_site_finds_most_of_what_passes_without_its_rules() -> None:
    words = ["--own", "--phones", "80", "--days", "6", "--poison", "", "--json", "--at-least", "recall.own-limit=0.65"]
    made = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "novelty" / "measure.py"), *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert made.returncode == 0, made.stderr[-2000:]
    found = json.loads(made.stdout)
    assert found["learned"] > 2000 and sum(row["passed"] for row in found["families"].values()) > 50
    assert found["false alarms at its own limit"] < 0.02
    assert found["reviews a day"] <= 5
