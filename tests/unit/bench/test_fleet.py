"""An archive that is put together so many times over holds other events of the same sources."""

from __future__ import annotations

import bz2
import json
import sys
from pathlib import Path

import pyarrow.dataset as ds
from click.testing import CliRunner

from harness import ROOT
from sipsieve_analysis.cli import main

sys.path.insert(0, str(ROOT / "bench"))

from fleet import multiply


def test_each_time_has_call_ids_and_times_of_its_own(tmp_path: Path) -> None:
    log, archive = tmp_path / "decisions.jsonl", tmp_path / "archive"
    log.write_bytes(bz2.decompress((ROOT / "tests/fixtures/case/decisions.jsonl.bz2").read_bytes()))
    assert CliRunner().invoke(main, ["archive", str(archive), "-q", "--edge", "e", str(log)]).exit_code == 0

    def held() -> tuple[set[str], set[tuple[str, int]], int]:
        rows = ds.dataset(archive / "events", format="parquet").to_table(["ip", "call_id", "time_us"]).to_pylist()
        calls = {row["call_id"] for row in rows if row["call_id"]}
        return calls, {(row["ip"], row["time_us"]) for row in rows}, len(rows)

    calls, moments, count = held()
    assert multiply(archive, 3) == 3 * count == 3 * 1341
    more_calls, more_moments, more = held()
    assert more == 3 * count and len(more_calls) == 3 * len(calls) and more_calls > calls
    assert len(more_moments) > 2.9 * len(moments) and {ip for ip, _ in more_moments} == {ip for ip, _ in moments}
    found = CliRunner().invoke(main, ["analyze", "--json", "-q", str(archive)])
    told = json.loads(found.output)
    assert told["totals"]["messages"] == sum(told["inputs"]["records"].values()) == 3 * 1341
