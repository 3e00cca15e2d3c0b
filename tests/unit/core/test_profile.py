"""The core's compiler learns of the tests' cases which ways messages take, and this core was built so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from harness import KEMI, ROOT
from sipsieve import _core

CORE = KEMI / "sipsieve" / "_core.abi3.so"


def exercise(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "make/exercise"), *map(str, arguments)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def test_a_core_is_taken_through_the_cases_without_a_server() -> None:
    done = exercise(CORE)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_no_core_is_said(tmp_path: Path) -> None:
    assert exercise().returncode == 2
    (tmp_path / "core.txt").write_text("")
    done = exercise(tmp_path / "core.txt")
    assert done.returncode == 1
    assert "core.txt is no compiled core" in done.stderr


def test_this_core_was_built_by_a_profile_where_there_is_one() -> None:
    """A profile that the build does not take would cost a third, and nobody would see it."""
    assert _core.PROFILED is (ROOT / "build/core.profdata").exists()
