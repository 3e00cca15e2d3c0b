"""What a real Kamailio's script is shown of mutated messages was looked at; figures that may only get better."""

from __future__ import annotations

import json
import subprocess
import sys

from harness import ROOT

PROGRAM = ROOT / "tests/detection/differential.py"


def test_what_passes_shows_the_script_nothing_that_was_not_looked_at() -> None:
    """Of 8,000 messages; as seen, and never to be raised."""
    command = [
        sys.executable,
        PROGRAM,
        "--count=8000",
        "--json",
        "--at-most=unseen=0.015",
        "--at-most=record.differs=0",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr + done.stdout
    found = json.loads(done.stdout)
    assert found["counts"]["shown"] > 3000
    assert found["counts"]["passed and shown"] > 20
