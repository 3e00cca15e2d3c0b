"""The decision log adds up: each message has a record of its own or is in a count, whatever happens to server and disk."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness import Server, exchange, free_port, invite, peer, request, wait_for


def accounted(server: Server, *more: Path) -> int:
    """Messages that the log accounts for: records, and what summaries count."""
    return sum(
        record["event"]["count"] if record["event"]["kind"] == "metric" else record["event"]["kind"] == "event"
        for record in server.records("", *more)
    )


def send(server: Server, count: int, *, sources: int = 5, attacks: int = 0) -> int:
    """Sends clean requests, and attacks among them, and waits for each answer. Returns how many were sent."""
    for number in range(count):
        source = f"127.4.0.{number % sources + 1}"
        assert exchange(server, request("OPTIONS"), source=source) is not None
    for number in range(attacks):
        source = f"127.4.0.{number % sources + 1}"
        assert exchange(server, request("OPTIONS", headers=("User-Agent: friendly-scanner",)), source=source)
    return count + attacks


NO_LIMITS = "[limits]\nenabled = false\n"


@pytest.mark.parametrize("allow", ["each", "summary", "sample:7"])
def test_records_and_counts_add_up(tmp_path: Path, allow: str) -> None:
    with Server(tmp_path, f'{NO_LIMITS}[log]\nallow = "{allow}"\nsummary_seconds = 1\n') as server:
        sent = send(server, 150, attacks=10)
        wait_for(lambda: accounted(server) == sent, "all are accounted for")
        clean = [r for r in server.records() if r["event"]["action"] == "allow"]
        if allow == "each":
            assert len(clean) == 150
        elif allow == "summary":
            assert clean == []
        else:
            # Each worker takes every seventh of its own.
            assert 150 // 7 - 4 <= len(clean) <= 150 // 7
        assert len([r for r in server.records() if r["event"]["action"] == "reject"]) == 10
        for record in server.records("metric"):
            assert record["source"]["ip"].startswith("127.4.0.")
            assert record["sip"]["method"] == "OPTIONS"
            assert record["event"]["start"] <= record["event"]["end"]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_counts_survive_a_stop_and_a_kill(tmp_path: Path, how: signal.Signals) -> None:
    policy = f'{NO_LIMITS}[log]\nallow = "summary"\nsummary_seconds = 60\n'
    first = Server(tmp_path, policy)
    with first:
        sent = send(first, 60, attacks=3)
        first.stop(how)
    second = Server(tmp_path, policy)
    with second:
        wait_for(lambda: accounted(second) == sent, "the counts of the run before")
        sent += send(second, 5)
        second.stop(signal.SIGTERM)
    with Server(tmp_path, policy) as third:
        wait_for(lambda: accounted(third) == sent, "the counts of both runs")


def test_banned_sources_are_counted_by_the_native_check(tmp_path: Path) -> None:
    policy = "[limits.other]\nper_minute = 10\n[bans]\nseconds = [30]\n[log]\nsummary_seconds = 1\n"
    with Server(tmp_path, policy) as server:
        with peer("127.0.0.1", server.port, source="127.4.1.1") as sock:
            sent = 0
            while not any(record.get("ban") for record in server.records()):
                sock.send(request("OPTIONS"))
                sock.recv(65535)
                sent += 1
            for _ in range(200):
                sock.send(request("OPTIONS"))
            sent += 200
        wait_for(lambda: accounted(server) == sent, "all are accounted for")
        dropped = [r for r in server.records("metric") if r["event"]["action"] == "banned"]
        assert sum(r["event"]["count"] for r in dropped) == 200
        assert {r["source"]["ip"] for r in dropped} == {"127.4.1.1"}


def test_a_log_that_cannot_be_written_is_made_up_for(tmp_path: Path) -> None:
    server = Server(tmp_path, f"{NO_LIMITS}[log]\nsummary_seconds = 1\n")
    server.log = tmp_path / "later" / "decisions.jsonl"
    server.environment["SIPSIEVE_LOG"] = str(server.log)
    with server:
        assert "cannot be written" in server.text()
        sent = send(server, 40, attacks=2)
        server.log.parent.mkdir()
        sent += send(server, 10)
        wait_for(lambda: accounted(server) == sent, "all are accounted for")
        assert {r["event"]["action"] for r in server.records("metric")} >= {"allow", "reject"}
        server.assert_healthy()


def test_a_log_that_is_a_folder_kills_nobody(tmp_path: Path) -> None:
    (tmp_path / "decisions.jsonl").mkdir()
    with Server(tmp_path, NO_LIMITS) as server:
        send(server, 20, attacks=2)
        server.assert_healthy()


def is_whole(line: bytes) -> bool:
    """Whether a line is a record. One that lacks its last byte ends in a brace too."""
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder.mkdir()
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    subprocess.run([*sudo, "mount", "-t", "tmpfs", "-o", "size=64k,mode=1777", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run([*sudo, "umount", "-l", str(folder)], check=True)


def test_a_full_disk_loses_nothing_and_tears_no_line(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        server = Server(tmp_path / "run", f"{NO_LIMITS}[log]\nsummary_seconds = 1\n")
        server.log = disk / "decisions.jsonl"
        server.environment["SIPSIEVE_LOG"] = str(server.log)
        with server:
            sent = send(server, 300, attacks=5)
            # The last page is taken before it is full, and what is written into it meanwhile would be lost with it below.
            page = os.sysconf("SC_PAGE_SIZE")
            wait_for(
                lambda: os.statvfs(disk).f_bavail == 0 and server.log.stat().st_size % page == 0, "the disk is full"
            )
            server.assert_healthy()
            sent += 1
            # Someone makes room. What the full disk cut is a line of its own, and was counted as not written.
            kept = tmp_path / "kept.jsonl"
            kept.write_bytes(
                b"".join(b"%s\n" % line for line in server.log.read_bytes().split(b"\n") if is_whole(line))
            )
            os.truncate(server.log, 0)
            sent += send(server, 5)
            wait_for(lambda: accounted(server, kept) == sent, "all are accounted for")


def test_a_full_disk_and_a_kill_cost_no_count(tmp_path: Path) -> None:
    policy = f'{NO_LIMITS}[log]\nallow = "summary"\nsummary_seconds = 1\n'
    with small_disk(tmp_path / "disk") as disk:
        server = Server(tmp_path / "run", policy)
        server.log = disk / "decisions.jsonl"
        server.environment["SIPSIEVE_LOG"] = str(server.log)
        filler = disk / "filler"
        with server:
            sent = send(server, 20)
            wait_for(lambda: accounted(server) == sent, "what came before is in the log")
            with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * 512)
            # For longer than the timer process waits, and the workers have two pages.
            end = time.monotonic() + 4
            while time.monotonic() < end:
                sent += send(server, 40, attacks=5)
            server.assert_healthy()
            sent += 1
            os.kill(server.children()[0], signal.SIGKILL)
            server.stop(signal.SIGKILL)
        filler.unlink()
        # Half a line at the log's end is not a record.
        kept = tmp_path / "kept.jsonl"
        kept.write_bytes(b"".join(b"%s\n" % line for line in server.log.read_bytes().split(b"\n") if is_whole(line)))
        os.truncate(server.log, 0)
        second = Server(tmp_path / "run", policy)
        second.log = server.log
        second.environment["SIPSIEVE_LOG"] = str(server.log)
        with second:
            wait_for(lambda: accounted(second, kept) == sent, "all are accounted for")


@pytest.mark.parametrize("size", [0, 60, 4096])
def test_cutting_the_file_of_counts_kills_nobody_and_costs_no_count(tmp_path: Path, size: int) -> None:
    policy = f'{NO_LIMITS}[log]\nallow = "summary"\nsummary_seconds = 60\n'
    first = Server(tmp_path, policy)
    ledger = tmp_path / "decisions.jsonl.ledger"
    with first:
        sent = send(first, 30, sources=200)
        wait_for(ledger.exists, "the file of counts")
        os.truncate(ledger, size)
        sent += send(first, 60, sources=200)
        first.assert_healthy()
        sent += 1
        first.stop(signal.SIGKILL)
    os.truncate(ledger, size)
    with Server(tmp_path, policy) as second:
        wait_for(lambda: accounted(second) == sent, "the counts of the run before")


def test_a_folder_that_is_deleted_swallows_no_record(tmp_path: Path) -> None:
    server = Server(tmp_path, f"{NO_LIMITS}[log]\nsummary_seconds = 1\n")
    server.log = tmp_path / "logs" / "decisions.jsonl"
    server.log.parent.mkdir()
    server.environment["SIPSIEVE_LOG"] = str(server.log)
    with server:
        sent = send(server, 20)
        wait_for(lambda: accounted(server) == sent, "what came before is in the log")
        shutil.rmtree(server.log.parent)
        sent = send(server, 40, attacks=4)
        wait_for(lambda: "the decision log can't be written" in server.text(), "that it is said")
        server.log.parent.mkdir()
        sent += send(server, 10)
        wait_for(lambda: accounted(server) == sent, "all are accounted for")


def test_rotation_under_load_loses_no_line(tmp_path: Path) -> None:
    with Server(tmp_path, NO_LIMITS) as server:
        rotated: list[Path] = []
        sent = 0
        for number in range(6):
            sent += send(server, 25)
            # Each worker looks once a second whether its file is still there, when it writes.
            while not server.log.exists():
                sent += send(server, 1)
            path = tmp_path / f"decisions.jsonl.{number}"
            server.log.rename(path)
            rotated.append(path)
        sent += send(server, 25)
        wait_for(lambda: accounted(server, *rotated) == sent, "all are accounted for")


def test_a_torn_line_of_a_killed_server_spoils_no_record(tmp_path: Path) -> None:
    (tmp_path / "decisions.jsonl").write_text('{"@timestamp":"2026-01-01T00:0')
    with Server(tmp_path, NO_LIMITS) as server:
        send(server, 3)
        lines = server.log.read_text().split("\n")
        assert lines[0] == '{"@timestamp":"2026-01-01T00:0'
        wait_for(lambda: server.log.read_text().count('"allow"') == 3, "three records")
        server.log.write_text("")


def test_what_no_hook_sees_is_as_documented(tmp_path: Path) -> None:
    with Server(tmp_path, NO_LIMITS) as server:
        assert exchange(server, b"x" * 31, seconds=0.2) is None
        assert exchange(server, b"\r\n\r\n", seconds=0.2) is None
        framing = b"INVITE sip:a@b SIP/2.0\r\nContent-Length: 99999999999\r\n\r\n"
        exchange(server, framing, transport="tcp", seconds=0.2)
        exchange(server, b"x" * 32, source="127.4.2.1", seconds=0.2)
        server.record_from("127.4.2.1")
        assert [r["source"]["ip"] for r in server.records()] == ["127.4.2.1"]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_ipv6_is_decided_and_counted(tmp_path: Path, transport: str) -> None:
    port = free_port("::1")
    policy = "[limits.other]\nper_minute = 5\n[log]\nsummary_seconds = 1\n"
    with (
        Server(tmp_path, policy, port=port, listen=f"udp:[::1]:{port} tcp:[::1]:{port}") as server,
        peer("::1", port, source="::1", transport=transport) as sock,
    ):
        for _ in range(5):
            sock.send(request("OPTIONS", transport=transport.upper()))
            assert sock.recv(65535).startswith(b"SIP/2.0 200 ")
        sock.send(invite(from_='"$(id)" <sip:a@b>', call_id="six", transport=transport.upper()))
        assert sock.recv(65535).startswith(b"SIP/2.0 403 ")
        assert server.record_of("six")["source"]["ip"] == "::1"
        sock.send(request("OPTIONS", transport=transport.upper()))
        assert sock.recv(65535).startswith(b"SIP/2.0 503 ")
