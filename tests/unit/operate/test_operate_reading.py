"""The decision log is read whole or as it grows, whatever stands in it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from sipsieve_analysis.operate.decisions import Growing, Reader


def _line(number: int) -> bytes:
    return json.dumps(
        {"@timestamp": "2026-01-01T00:00:00.000000Z", "event": {"kind": "event", "id": str(number)}}
    ).encode()


def test_bad_lines_are_counted_and_the_rest_is_read(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a.jsonl", tmp_path / "a.jsonl.1.gz"
    plain.write_bytes(
        b"\n".join([_line(1), b"half {", b"[1]", b"\xff\xfe", b"[" * 100_000, b"x" * 600_000, _line(2), b""])
    )
    packed.write_bytes(gzip.compress(_line(3) + b"\n"))
    reader = Reader()
    assert [record["event"]["id"] for record in reader.read([plain, packed])] == ["1", "2", "3"]
    assert reader.bad == 5


def test_the_last_lines_come_first_and_then_what_is_added(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"".join(_line(n) + b"\n" for n in range(5000)))
    growing = Growing(path, 3)
    assert growing.lines() == [_line(n) for n in (4997, 4998, 4999)]
    with path.open("ab") as file:
        file.write(_line(5000)[:10])
        file.flush()
        assert growing.lines() == []
        file.write(_line(5000)[10:] + b"\n")
        file.flush()
        assert growing.lines() == [_line(5000)]


def test_rotation_loses_no_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(_line(1) + b"\n")
    growing = Growing(path, 0)
    assert growing.lines() == []
    with path.open("ab") as old:
        path.rename(tmp_path / "log.1")
        old.write(_line(2) + b"\n")
        old.flush()
        path.write_bytes(_line(3) + b"\n")
        assert growing.lines() == [_line(2), _line(3)]


def test_a_log_that_comes_later_is_read_from_its_start(tmp_path: Path) -> None:
    growing = Growing(tmp_path / "log", 0)
    assert growing.lines() == []
    (tmp_path / "log").write_bytes(_line(1) + b"\n")
    assert growing.lines() == [_line(1)]
