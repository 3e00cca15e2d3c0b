"""The core's fuzz targets, run for some seconds from their seeds; a longer hunt, guided by coverage, is `make fuzz`."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from harness import ROOT

FUZZ = ROOT / "kemi" / "core" / "fuzz"

#: Of all targets together.
SECONDS = 18

#: Building takes the core's own dependencies once more, with checks that a release leaves out.
BUILD = 900


def cargo() -> str:
    found = subprocess.run([ROOT / "make" / "toolchain", "cargo"], capture_output=True, text=True, check=False)
    assert found.returncode == 0, "no Rust that is new enough: call `make toolchain`"
    return found.stdout.strip()


@pytest.mark.timeout(SECONDS + BUILD + 120)
def test_mutated_inputs_break_no_promise() -> None:
    tool = cargo()
    environment = {
        **os.environ,
        "PATH": f"{Path(tool).parent}:{os.environ['PATH']}",
        "CARGO_TARGET_DIR": str(FUZZ / "target"),
        "FUZZ_SECONDS": str(SECONDS),
    }
    ran = subprocess.run(
        [tool, "test", "--release", "--locked", "--quiet", "--", "--nocapture"],
        cwd=FUZZ,
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=SECONDS + BUILD,
        check=False,
    )
    assert ran.returncode == 0, (ran.stdout + ran.stderr)[-6000:]
    counts = {name: int(count) for name, count in re.findall(r"(\w+): \d+ seeds, (\d+) mutations", ran.stdout)}
    assert counts.keys() == {"reader", "transforms", "detect", "record", "scrub", "state"}
    # They did run, and beyond their seeds.
    assert min(counts.values()) > 100, counts


def test_the_seeds_are_few_and_small() -> None:
    for folder in (FUZZ / "corpus").iterdir():
        seeds = list(folder.iterdir())
        assert len(seeds) <= 200
        assert all(seed.stat().st_size <= 2048 for seed in seeds)
