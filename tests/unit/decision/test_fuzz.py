"""The fuzz target of `make fuzz-engine`, run for a bounded time from its seeds in the tree."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

TARGET = Path(__file__).parents[2] / "detection" / "fuzz.py"

#: Long enough to load the seeds on a slow machine; a longer hunt, each time another, is `make fuzz-engine SECONDS=...`.
SECONDS = 20


@pytest.mark.timeout(SECONDS + 160)
def test_mutated_messages_break_no_promise() -> None:
    # libFuzzer takes a process's highest memory for its own, and a child begins with that of who forked it: of a small shell's.
    ran = subprocess.run(
        [
            "sh",
            "-c",
            '"$@"; exit $?',
            "sh",
            sys.executable,
            str(TARGET),
            f"-max_total_time={SECONDS}",
            "-seed=1",
            "-verbosity=1",
            "-print_final_stats=1",
        ],
        capture_output=True,
        timeout=SECONDS + 120,
        check=False,
    )
    said = ran.stderr.decode("utf-8", "replace")
    assert ran.returncode == 0, said[-4000:]
    executed = re.search(r"number_of_executed_units:\s*(\d+)", said)
    # It did run, and beyond its seeds.
    assert executed is not None, said[-4000:]
    assert int(executed[1]) > 200
