"""`sipsieve watch` on a log that is rotated and truncated, killed in between: nothing is lost, nothing repeated."""

from __future__ import annotations

import bz2
import gzip
import json
import signal
import socket
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from harness import ROOT, SITE, wait_for

LINES = bz2.decompress((ROOT / "tests" / "fixtures" / "case" / "decisions.jsonl.bz2").read_bytes()).splitlines(
    keepends=True
)


class Watch:
    """A running `sipsieve watch`."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.log = folder / "decisions.jsonl"
        self.alerts = folder / "alerts.jsonl"
        self.arguments = [
            "--state",
            str(folder / "state"),
            "--alerts",
            str(self.alerts),
            "--interval",
            "0.1",
            *arguments,
        ]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *more: str) -> subprocess.Popen[bytes]:
        self.process = subprocess.Popen(
            [SITE / "bin" / "sipsieve", "watch", str(self.log), *self.arguments, *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return self.process

    def once(self) -> None:
        process = self.start("--once")
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output.decode()

    def told(self) -> list[dict[str, Any]]:
        if not self.alerts.exists():
            return []
        return [json.loads(line) for line in self.alerts.read_bytes().splitlines()]

    def count(self) -> int:
        """Messages that the state knows, by a report over all of them."""
        import duckdb

        with duckdb.connect(str(self.folder / "state" / "events.duckdb"), read_only=True) as connection:
            row = connection.execute("SELECT count(*) FROM events").fetchone()
        assert row is not None
        return int(row[0])


def test_rotation_truncation_and_restarts_lose_and_repeat_nothing(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    fifth = len(LINES) // 5
    parts = [b"".join(LINES[n * fifth : (n + 1) * fifth]) for n in range(5)]
    rest = b"".join(LINES[5 * fifth :])
    watch.log.write_bytes(parts[0] + parts[1][:100])
    watch.once()
    assert watch.count() == fifth
    # The half line is completed, then the log is moved, and a new one begun.
    with watch.log.open("ab") as log:
        log.write(parts[1][100:])
    watch.log.rename(tmp_path / "decisions.jsonl.1")
    watch.log.write_bytes(parts[2])
    watch.once()
    assert watch.count() == 3 * fifth
    # Rotated twice between two looks, the older one packed.
    with watch.log.open("ab") as log:
        log.write(parts[3][: len(LINES[3 * fifth])])
    (tmp_path / "decisions.jsonl.1").rename(tmp_path / "decisions.jsonl.3")
    (tmp_path / "decisions.jsonl.2.gz").write_bytes(gzip.compress(watch.log.read_bytes()))
    watch.log.unlink()
    (tmp_path / "decisions.jsonl.1").write_bytes(parts[3][len(LINES[3 * fifth]) :])
    watch.log.write_bytes(parts[4])
    watch.once()
    assert watch.count() == 5 * fifth
    # Truncated in place and written anew.
    watch.log.write_bytes(rest or LINES[0])
    watch.once()
    assert watch.count() == len(LINES) + (not rest)
    told = watch.told()
    watch.once()
    assert watch.told() == told
    assert len({alert["id"] for alert in told}) == len(told)
    assert {alert["addresses"][0] for alert in told} == {
        "203.0.113.61",
        "203.0.113.142",
        "203.0.113.200",
        "203.0.113.77",
    }


class _Hook(BaseHTTPRequestHandler):
    seen: list[dict[str, Any]]
    fail: int

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        cls = type(self)
        if cls.fail:
            cls.fail -= 1
            self.send_response(500)
        else:
            cls.seen.append(json.loads(body))
            self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_alerts_reach_file_syslog_and_webhook_once_though_the_watch_is_killed(tmp_path: Path) -> None:
    hook = type("Hook", (_Hook,), {"seen": [], "fail": 1})
    server = HTTPServer(("127.0.0.1", 0), hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    syslog = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    syslog.bind(("127.0.0.1", 0))
    syslog.settimeout(1)
    watch = Watch(
        tmp_path,
        "--webhook",
        f"http://127.0.0.1:{server.server_port}/",
        "--syslog",
        f"127.0.0.1:{syslog.getsockname()[1]}",
    )
    half = len(LINES) // 2
    watch.log.write_bytes(b"".join(LINES[:half]))
    try:
        process = watch.start()
        wait_for(lambda: len(watch.told()) >= 2, "first alerts", 60)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        with watch.log.open("ab") as log:
            log.write(b"".join(LINES[half:]))
        process = watch.start()
        wait_for(lambda: len(watch.told()) >= 4 and len(hook.seen) >= 4, "all alerts", 60)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        if watch.process and watch.process.poll() is None:
            watch.process.kill()
        server.shutdown()
    told = watch.told()
    assert watch.count() == len(LINES)
    assert len(told) == len({alert["id"] for alert in told})
    assert {alert["id"] for alert in hook.seen} == {alert["id"] for alert in told}
    # Killed between sending and noting it, the watch sends an alert again: the id tells the copies.
    heard: set[str] = set()
    while heard != {alert["id"] for alert in told}:
        datagram = syslog.recv(65535)
        assert datagram.startswith(b"<28>sipsieve: {")
        heard.add(json.loads(datagram.split(b": ", 1)[1].rstrip(b"\0"))["id"])
    syslog.close()


def test_days_and_weeks_that_are_over_have_their_reports(tmp_path: Path) -> None:
    watch = Watch(tmp_path, "--reports", str(tmp_path / "reports"))
    # The week is moved back a year, so that it is over whenever this runs.
    watch.log.write_bytes(b"".join(LINES).replace(b'"2026-11-', b'"2024-11-'))
    watch.once()
    names = {path.name for path in (tmp_path / "reports").iterdir()}
    assert {f"daily-2024-11-{day}.html" for day in range(16, 23)} <= names
    assert {"weekly-2024-W46.json", "weekly-2024-W47.json"} <= names
    report = json.loads((tmp_path / "reports" / "daily-2024-11-19.json").read_text())
    assert next(c["type"] for c in report["campaigns"] if c["sources"] == ["203.0.113.200"]) == "flood"
    stamp = (tmp_path / "reports" / "daily-2024-11-19.json").stat().st_mtime_ns
    watch.once()
    assert (tmp_path / "reports" / "daily-2024-11-19.json").stat().st_mtime_ns == stamp


def test_a_state_folder_serves_one_watch(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    watch.log.write_bytes(b"".join(LINES[:10]))
    first = watch.start()
    try:
        wait_for(lambda: (tmp_path / "state" / "lock").exists(), "the first watch", 60)
        second = subprocess.run(
            [SITE / "bin" / "sipsieve", "watch", str(watch.log), *watch.arguments, "--once"],
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert second.returncode == 2
        assert b"another sipsieve watch" in second.stderr
    finally:
        first.kill()
        first.wait()
