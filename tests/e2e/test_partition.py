"""Two real nodes of a cluster whose network is cut: each goes on by itself, and what was missed is made up for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path


def test_a_cut_between_nodes_stops_neither_and_is_made_up_for(tmp_path: Path) -> None:
    namespace = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    done = subprocess.run(
        [*namespace, sys.executable, str(Path(__file__).with_name("partition_scenario.py")), str(tmp_path)],
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["asked"] > 10
    assert seen["served"] == seen["asked"], "a clean request is answered by either node all along"
    assert seen["refused"] == seen["asked"], "an attack is refused by either node all along"
    assert seen["apart"] == [["127.4.0.1", "127.4.7.1"], ["127.4.0.1", "127.4.7.2"]]
    assert seen["alive_apart"] == seen["alive"] == [True, True]
    assert seen["short"] == [150, 150], "each side knew its own alone"
    assert seen["caught_up"] < 20
    assert seen["new_ban"] < 5
    assert all(told and max(told) > 300 for told in seen["told"]), (
        "each told all its bans by itself, and has that on record"
    )
    assert all(len(told) <= 2 for told in seen["told"]), "once for each return of the other"
