"""The key that sources are counted under is built alike in Python and natively, for every prefix length."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness import Server


@pytest.mark.parametrize(
    ("v4", "v6", "keys", "answered4", "answered6"),
    [
        (32, 64, ["127.77.5.6", "2001:db8:0:1"], [False, True, True, True], [False, False, True, True, True]),
        (24, 48, ["127.77.5", "2001:db8:0"], [False, False, True, True], [False, False, False, True, True]),
        (16, 32, ["127.77", "2001:db8"], [False, False, False, True], [False, False, False, False, True]),
        (32, 128, ["127.77.5.6", "2001:db8:0:1:a:b0:0:7"], [False, True, True, True], [False, True, True, True, True]),
    ],
)
def test_a_ban_holds_for_the_whole_prefix_and_nobody_else(
    tmp_path: Path, v4: int, v6: int, keys: list[str], answered4: list[bool], answered6: list[bool]
) -> None:
    namespace = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    scenario = str(Path(__file__).with_name("prefix_scenario.py"))
    done = subprocess.run(
        [*namespace, sys.executable, scenario, str(tmp_path), str(v4), str(v6)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result == {"keys": keys, "4": answered4, "6": answered6}


def test_a_policy_that_the_native_check_does_not_follow_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"SIPSIEVE_IPV4_24=1"), Server(tmp_path, "[limits]\nipv4_prefix = 24\n"):
        pass
