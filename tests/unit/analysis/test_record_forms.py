"""Records of the first form and of today's come into the events alike, in files of one form and of both."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from sipsieve_analysis.events import Store
from sipsieve_analysis.operate.forms import upgrade

FIRST: list[dict[str, Any]] = [
    {
        "@timestamp": f"2026-11-16T10:00:0{number}.000Z",
        "source": {"ip": f"192.0.2.{number}", "port": 5060},
        "network": {"transport": "udp"},
        "event": {"kind": "event", "action": "reject", "reason": "an SQL UPDATE"},
        "rule": {"id": ["sql-update-set"], "version": "0123456789ab"},
        "policy": {"version": "0123456789ab", "mode": "enforce", "enforced": number != 2},
        "sip": {
            "type": kind, "method": "INVITE", "status": 200 + number, "uri": f"sip:{number}@example.com", "call_id": f"call-{number}",
            "cseq": "7", "from": "sip:a@example.com", "to": "sip:b@example.com", "bytes": 600 + number, "field": "from.display_name",
            "excerpt": "UPDATE users", "authorization": True, "client": f"one_two_{number}",
        },
        "user_agent": {"original": "EagleSIP"},
    }
    for number, kind in enumerate(("request", "reply", "request", "malformed"))
]  # fmt: skip

TODAY = [upgrade(json.loads(json.dumps(record))) for record in FIRST]


def _rows(folder: Path, records: list[dict[str, Any]], packed: bool = False) -> list[tuple[Any, ...]]:
    lines = b"".join(json.dumps(record, separators=(",", ":")).encode() + b"\n" for record in records) + b"no record\n"
    path = folder / "decisions.jsonl"
    path.write_bytes(gzip.compress(lines) if packed else lines)
    store = Store(folder)
    try:
        assert store.add(path, "decision log") == (len(records), 1)
        return store.connection.con.execute("SELECT * FROM events ORDER BY time_us").fetchall()
    finally:
        store.close()
        (folder / "events.duckdb").unlink()


@pytest.mark.parametrize("packed", [False, True])
def test_both_forms_say_the_same(packed: bool, tmp_path: Path) -> None:
    first = _rows(tmp_path, FIRST, packed)
    assert first == _rows(tmp_path, TODAY, packed)
    # Nothing that a form has was lost in both.
    assert [row[8] for row in first] == [5060] * 4
    assert {row[6] for row in first} == {1}
    assert [row[10] for row in first] == ["request", "reply", "request", "malformed"]
    assert [row[13] for row in first] == [f"sip:{number}@example.com" for number in range(4)]
    assert {row[14:18] for row in first} == {
        ("sip:a@example.com", "sip:b@example.com", f"call-{n}", "7") for n in range(4)
    }
    assert [row[12] for row in first] == [200, 201, 202, 203]


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_a_file_that_two_versions_wrote_is_read_whole(turn: int, tmp_path: Path) -> None:
    alike = _rows(tmp_path, TODAY)
    assert _rows(tmp_path, FIRST[:turn] + TODAY[turn:]) == alike
    assert _rows(tmp_path, TODAY[:turn] + FIRST[turn:]) == alike


def test_what_was_there_before_stays_when_a_file_is_read_anew(tmp_path: Path) -> None:
    store = Store(tmp_path)
    path = tmp_path / "decisions.jsonl"
    try:
        for records in (TODAY, TODAY[:2] + FIRST[2:]):
            path.write_text("".join(json.dumps(record, separators=(",", ":")) + "\n" for record in records))
            assert store.add(path, "decision log") == (4, 0)
        rows = store.connection.con.execute("SELECT call_id, count(*) FROM events GROUP BY 1 ORDER BY 1").fetchall()
        assert rows == [(f"call-{number}", 2) for number in range(4)]
    finally:
        store.close()
