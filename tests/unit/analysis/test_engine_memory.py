"""Events of small inputs stay in memory, others go into a file; reports are the same either way."""

from __future__ import annotations

import gzip
import json
import sys
from datetime import UTC
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from sipsieve_analysis.analysis import analyze
from sipsieve_analysis.engine_memory import is_small
from sipsieve_analysis.events import Store
from sipsieve_analysis.intake import Collector
from sipsieve_analysis.report import as_json
from worlds import intruders, plain


def _file(path: Path, size: int, start: bytes = b"") -> Path:
    with path.open("wb") as file:
        file.write(start)
        file.truncate(size)
    return path


def test_only_plain_files_that_are_a_small_part_of_what_the_engine_may_use_are_small(tmp_path: Path) -> None:
    line = 10_000 * b"Nov 16 10:00:00 edge kamailio[4100]: INFO: <script>: from 192.0.2.7\n"
    log, same = _file(tmp_path / "a.log", 100_000_000, line), _file(tmp_path / "b.log", 100_000_000, line)
    capture = _file(tmp_path / "c.pcap", 100_000_000, b"\xd4\xc3\xb2\xa1\2\0\4\0")
    packed = tmp_path / "d.log.gz"
    packed.write_bytes(gzip.compress(line[:1000]))
    assert is_small([log], "700MB")
    # Together they are too much, and so is one for an engine with less room.
    assert not is_small([log, same], "700MB") and is_small([log, same], "1.2GB")
    assert not is_small([log], "500MB")
    # Whoever sends small packets makes more events of as many bytes.
    assert not is_small([capture], "700MB") and is_small([capture], "1200MB")
    # What these hold is not known before it is read.
    assert not is_small([packed], "700MB") and not is_small([tmp_path], "700MB")
    assert not is_small([tmp_path / "none"], "700MB") and not is_small([log], "x")


@pytest.mark.parametrize("answers", [True, False])
def test_the_report_is_the_same(answers: bool, tmp_path: Path) -> None:
    path = plain.write(intruders.make(21, answers=answers), tmp_path / "log")
    made = []
    for small in (True, False):
        folder = tmp_path / f"work-{small}"
        folder.mkdir()
        store = Store(folder, small=small)
        collector = Collector(store, folder, UTC)
        collector.add(path)
        collector.finish()
        made.append(json.dumps(as_json(analyze(store, collector.intake))))
        assert (folder / "events.duckdb").exists() is not small
        store.close()
    assert made[0] == made[1] and '"actors": [{' in made[0]
