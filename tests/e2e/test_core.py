"""The core inside a real Kamailio: it passes what is ordinary without Python, and nothing that is not."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness import ROOT, Server, exchange, invite, request, status, wait_for

POLICY = '[log]\nallow = "{allow}"\nsummary_seconds = 1\n[limits.other]\nper_minute = 1000\n[limits.targets]\nper_minute = 1000\n[limits.invite]\nper_minute = 40\nburst = 0\n'


def asked(server: Server) -> dict[str, Any]:
    done = subprocess.run(
        [ROOT / ".venv" / "bin" / "sipsieve", "status", "--json", "--rpc", server.folder / "sipsieve_rpc.fifo"],
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def options(server: Server, number: int, call_id: str) -> int:
    """The answer to the next OPTIONS of one client."""
    made = request(
        call_id=f"{call_id}{number:06d}", branch=f"z9hG4bKf{number:06d}", from_=f"<sip:a@example.com>;tag={number:06d}"
    )
    return status(exchange(server, made, source="127.0.8.1", source_port=25060))


def passed(server: Server) -> int:
    return int(asked(server)["totals"]["short_way"])


@pytest.mark.parametrize("allow", ["summary", "each"])
def test_ordinary_messages_take_it_and_are_accounted_for(tmp_path: Path, allow: str) -> None:
    with Server(tmp_path, POLICY.format(allow=allow), workers=1) as server:
        for number in range(60):
            assert options(server, number, "fast") == 200
        assert passed(server) == 60

        def seen() -> int:
            events = [r for r in server.records() if r["source"]["ip"] == "127.0.8.1"]
            counted = [r for r in server.records("metric") if r["source"]["ip"] == "127.0.8.1"]
            return len(events) + sum(r["event"]["count"] for r in counted)

        wait_for(lambda: seen() == 60, "60 messages in the log")
        if allow == "each":
            record = server.record_of("fast000042")
            assert record["counters"] == {"other": 43}
            assert record["sip"]["from"]["uri"]["original"] == "sip:a@example.com"


def test_what_is_odd_does_not_take_it(tmp_path: Path) -> None:
    with Server(tmp_path, POLICY.format(allow="each"), workers=1) as server:
        for number in range(10):
            assert options(server, number, "fast") == 200
        before = passed(server)
        # The same length, the same constants, and a word in an identifier that a rule knows.
        made = request(call_id="fast000011", branch="z9hG4bKf000011", from_="<sip:a@example.com>;tag=000011")
        for odd in (made.replace(b"fast000011", b"fast' or 1"), made.replace(b"tag=000011", b"tag=$(id)1")):
            assert status(exchange(server, odd, source="127.0.8.1", source_port=25060)) == 403
        assert passed(server) == before


def test_limits_hold_on_it(tmp_path: Path) -> None:
    with Server(tmp_path, POLICY.format(allow="summary"), workers=1) as server:
        answers = [
            status(exchange(
                server,
                invite(call_id=f"l{number:06d}", branch=f"z9hG4bKl{number:06d}", from_=f"<sip:a@example.com>;tag={number:06d}"),
                source="127.0.8.2", source_port=25062,
            ))
            for number in range(60)
        ]  # fmt: skip
        # The window may turn once in between.
        assert 40 <= answers.count(200) < 60
        assert set(answers) == {200, 503}
        assert passed(server) >= 10


def test_it_goes_on_after_a_reload(tmp_path: Path) -> None:
    with Server(tmp_path, POLICY.format(allow="summary"), workers=1) as server:
        for number in range(10):
            options(server, number, "fast")
        server.policy.write_text(POLICY.format(allow="each"))
        done = subprocess.run(
            [ROOT / ".venv" / "bin" / "sipsieve", "reload", "--rpc", server.folder / "sipsieve_rpc.fifo"],
            capture_output=True, text=True, timeout=30,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        before = passed(server)
        for number in range(10, 40):
            assert options(server, number, "fast") == 200
        # The new revision learns anew.
        wait_for(lambda: passed(server) >= before + 20, "messages passed by the core of the new revision")
        assert server.record_of("fast000039")["sip"]["method"] == "OPTIONS"


def test_a_flushed_table_forgets_its_counters(tmp_path: Path) -> None:
    with Server(tmp_path, POLICY.format(allow="each"), workers=1) as server:
        for number in range(5):
            options(server, number, "fast")
        server.rpc("htable.flush", "sipsieve_counts")

        def begins_anew() -> bool:
            begins_anew.number += 1  # type: ignore[attr-defined]
            options(server, begins_anew.number, "more")  # type: ignore[attr-defined]
            record = server.record_of(f"more{begins_anew.number:06d}")  # type: ignore[attr-defined]
            return bool(record["counters"]["other"] < begins_anew.number)  # type: ignore[attr-defined]

        begins_anew.number = 0  # type: ignore[attr-defined]
        wait_for(begins_anew, "counters that begin anew")


def test_a_ledger_of_another_version_is_set_aside_and_said(tmp_path: Path) -> None:
    old = tmp_path / "decisions.jsonl.ledger"
    old.write_bytes(b"of a version before")
    with Server(tmp_path, POLICY.format(allow="summary"), workers=1) as server:
        assert options(server, 1, "after") == 200
        wait_for(lambda: f"{old} was damaged, or of another version" in server.text(), "the warning")
    assert Path(f"{old}.damaged").read_bytes() == b"of a version before"
