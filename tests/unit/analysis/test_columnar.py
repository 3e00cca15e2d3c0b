"""What the core reads of decision records is what DuckDB reads of them, whatever the lines are like."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sipsieve._core import EVENT_COLUMNS, event_columns
from sipsieve_analysis import columnar
from sipsieve_analysis.commands.analyze import command
from sipsieve_analysis.events import _LONGEST, COLUMNS, Store, damaged

RECORD: dict[str, Any] = {
    "@timestamp": "2026-11-16T10:00:00.000250Z",
    "source": {"ip": "2001:db8::7", "port": 5060, "geo": {"country_iso_code": "NL"}, "as": {"number": 64500, "organization": {"name": "Example Networks"}}},
    "network": {"transport": "UDP"},
    "event": {"kind": "event", "action": "reject", "outcome": "success", "id": "6919a-1f-0", "reason": "SQL", "count": 3, "end": "2026-11-16T10:01:00.000000Z"},
    "rule": {"id": ["sql-update-set", "quote"], "version": "0123456789ab"},
    "policy": {"version": "0123456789ab", "mode": "enforce", "enforced": True},
    "counters": {"invite": 3, "ratio": -1.5e3, "none": None, "yes": True},
    "sipsieve": {"version": 2, "answer": 403, "malformed": False, "bytes": 733, "field": "from.display_name", "excerpt": "UPDATE \\x00 \"é…😀\"", "authorization": True,
                 "client": "one_two", "input": "pcap"},
    "sip": {"type": "response", "method": "INVITE", "code": 200, "uri": {"original": "sip:1@example.com"}, "call_id": "a\\b", "cseq": {"code": 7},
            "from": {"uri": {"original": "sip:a@example.com"}}, "to": {"uri": {"original": "sip:b@example.com"}}},
    "user_agent": {"original": "Eagle\tSIP"},
    "findings": [{"rule": "sql-update-set", "family": "sql", "score": 5, "field": "from.display_name", "reason": "x", "excerpt": "other"},
                 {"rule": "quote", "family": "sql", "score": 1, "field": "to"}],
    "indicators": [{"type": "ip", "value": "203.0.113.9"}],
}  # fmt: skip

#: What a member is changed into.
_ODD: tuple[Any, ...] = (
    None, "", "x", "5060", 0, 7, -1, 1.5, 1 << 31, 1 << 40, 1 << 70, True, False, [], {}, [None], ["a", 1], {"original": "y"}, {"code": "8"},
    {"uri": "sip:z@example.com"}, "2026-02-30T00:00:00.000000Z", "2026-11-16T10:00:00Z", "1969-12-31T23:59:59.999999Z", "a\\b\n\u2028\x7f",
)  # fmt: skip

_WHOLE = json.dumps(RECORD, separators=(",", ":"))


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inside for place in _places(item, (*path, key)))]


def _without(path: tuple[Any, ...]) -> tuple[Any, Any, Any]:
    record = json.loads(_WHOLE)
    holder = record
    for key in path[:-1]:
        holder = holder[key]
    return record, holder, path[-1]


def _lines() -> list[str]:
    """The record with each of its members left out and changed, written in several ways, and what is no record."""
    lines = [_WHOLE]
    for path in _places(RECORD)[1:]:
        record, holder, key = _without(path)
        del holder[key]
        lines.append(json.dumps(record, separators=(",", ":")))
        for odd in _ODD:
            record, holder, key = _without(path)
            holder[key] = odd
            lines.append(json.dumps(record, separators=(",", ":")))
    lines += [
        json.dumps(RECORD),
        json.dumps(RECORD, ensure_ascii=False, separators=(",", ":")),
        _WHOLE + " ",
        " " + _WHOLE,
    ]
    lines += [
        "",
        "   ",
        "{}",
        "[]",
        "no record",
        "null",
        _WHOLE[:-1],
        _WHOLE + "}",
        _WHOLE.replace('"INVITE"', "INVITE"),
    ]
    for key in ("source", "sip", "event", "sipsieve", "geo", "as", "uri", "rule"):
        lines += [
            _WHOLE.replace(f'"{key}":', f'"{key.upper()}":', 1),
            _WHOLE.replace(f'"{key}":', f'"{key}":{{}},"{key}":', 1),
        ]
    lines += [
        _WHOLE.replace('"x"', text)
        for text in ('"\\u0000"', '"\\ud83d"', '"\\x"', "01", "1.", "tru", "NaN", "[1,]", "[" * 40 + "]" * 40)
    ]
    # What is cut, and what was written over.
    random_ = random.Random(1)
    for _ in range(300):
        at = random_.randrange(len(_WHOLE))
        lines.append(_WHOLE[:at] + random_.choice(['"', "\\", "}", "]", ",", "é", "\t", "\x00", ""]) + _WHOLE[at + 1 :])
    return lines  # fmt: skip


def _rows(store: Store) -> list[tuple[Any, ...]]:
    rows = store.connection.con.execute("SELECT * FROM events ORDER BY ALL").fetchall()
    store.connection.con.execute("DELETE FROM events")
    return rows


def test_the_core_reads_what_duckdb_reads(tmp_path: Path) -> None:
    store = Store(tmp_path)
    path = tmp_path / "lines.jsonl"
    fast = 0
    try:
        # A line by itself: what DuckDB makes of one may spoil its neighbours.
        for line in _lines():
            path.write_text(line + "\n")
            both = store._add_otherwise(path, "decision log", store.last())
            otherwise = _rows(store)
            assert store._add_pieces([line.encode() + b"\n"], "decision log") == both, line
            assert _rows(store) == otherwise, line
            fast += event_columns(line.encode(), "decision log")[0]
    finally:
        store.close()
    # The core read many of these itself, and not all.
    assert 150 < fast < len(_lines()) - 600


def test_columns_are_those_of_the_events() -> None:
    assert {*EVENT_COLUMNS, "findings"} == set(COLUMNS)
    rows, rest = columnar.batch((_WHOLE + "\n").encode() * 3, "x", columnar.schema(COLUMNS))
    rows.validate(full=True)
    assert rows.num_rows == 3
    assert rest == b""


@pytest.mark.parametrize("size", [1, 7, 1000, columnar.PIECE])
def test_lines_are_whole_wherever_a_file_is_cut(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columnar, "PIECE", size)
    path = tmp_path / "lines"
    path.write_bytes(b"one\n\ntwo two two\n" * 20 + b"last")
    with path.open("rb") as file:
        pieces = list(columnar.whole_lines(file, 100))
    assert b"".join(pieces) == path.read_bytes()
    assert all(piece.endswith(b"\n") for piece in pieces[:-1])


def test_a_damaged_file_leaves_nothing_behind(tmp_path: Path) -> None:
    store = Store(tmp_path)
    good = _WHOLE.encode() + b"\n"
    path = tmp_path / "lines.jsonl"
    try:
        path.write_bytes(good)
        assert store.add(path, "decision log") == (1, 0)
        packed = gzip.compress(good * 50_000, 1)
        for damage in (packed[: len(packed) // 2], good * 50_000 + b"x" * (_LONGEST * 2) + b"\n"):
            path.write_bytes(damage)
            with pytest.raises(Exception) as raised:
                store.add(path, "decision log")
            assert damaged(raised.value), raised.value
            assert len(_rows(store)) == 1
            store.add_pieces([good], "decision log")
    finally:
        store.close()


@pytest.mark.parametrize(
    ("memory", "said"),
    [
        ("1KB", "too little; 200MB is the least that is taken"),
        ("much", "no size"),
        ("-1GB", "no size"),
        ("12", "no size"),
    ],
)
def test_memory_that_can_not_suffice_is_refused_in_a_sentence(memory: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text(_WHOLE + "\n")
    run = CliRunner().invoke(command, ["--memory", memory, "-q", str(path)])
    assert run.exit_code == 2
    assert f"--memory '{memory}': {said}" in run.output
    assert CliRunner().invoke(command, ["--memory", "200MB", "-q", str(path)]).exit_code in (0, 1)
