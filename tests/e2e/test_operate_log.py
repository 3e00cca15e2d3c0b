"""What an operator sees of a running server: the log live, and what observe mode would have blocked."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

from backend import Backend, answer
from harness import ROOT, Server, exchange, invite, request, status, wait_for

SIPSIEVE = str(ROOT / ".venv/bin/sipsieve")
SQL = '"x\' UNION SELECT ha1 FROM users" <sip:obrien@example.com>;tag=1'


def test_tail_shows_what_comes_and_nothing_that_acts(tmp_path: Path) -> None:
    hostile = request(
        from_='"\x1b]0;owned\x07\x1b[2J \u202eevil $(id) \u200b田" <sip:a@example.com>;tag=1', call_id="hostile"
    )
    with Server(tmp_path) as server:
        out = tmp_path / "tail.out"
        with out.open("wb") as file:
            tail = subprocess.Popen(
                [SIPSIEVE, "tail", "--log", str(server.log), "--decision", "reject", "-n", "0"],
                stdout=file, stderr=subprocess.STDOUT, env={"PYTHONUNBUFFERED": "1", "PATH": "/usr/bin:/bin"},
            )  # fmt: skip
        try:
            # Sent until it is seen: when tail has begun is not told.
            def seen() -> bytes:
                exchange(server, request())
                assert status(exchange(server, hostile)) == 403
                return out.read_bytes() if b"reject" in out.read_bytes() else b""

            shown = wait_for(seen, "a line")
            log = server.log
            log.rename(tmp_path / "decisions.jsonl.1")
            wait_for(lambda: exchange(server, request()) and log.exists(), "the log is opened anew")
            before = len(out.read_bytes().splitlines())
            wait_for(lambda: seen() and len(out.read_bytes().splitlines()) > before, "a line from the new log")
        finally:
            tail.send_signal(signal.SIGINT)
            code = tail.wait(10)
        assert code == 130
        shown = out.read_bytes()
        assert b"Traceback" not in shown
        assert b"\\x1b]0;owned" in shown
        assert not any(byte < 0x20 and byte != 0x0A for byte in shown)
        assert "\u202e".encode() not in shown
        assert b"allow" not in shown


def test_report_puts_the_customer_first_who_would_have_been_blocked(tmp_path: Path) -> None:
    with (
        Backend(lambda sent: [answer(sent)]) as backend,
        Server(tmp_path, 'mode = "observe"\n', backend=backend.uri) as server,
    ):
        # A customer with an odd name: registers, calls, and trips a rule in one call.
        assert status(exchange(server, request("REGISTER", call_id="reg"), source="127.0.3.1")) == 200
        # 100: tm says that it relays; the backend's answers are in the log.
        assert status(exchange(server, invite(call_id="call"), source="127.0.3.1")) in (100, 200)
        assert status(exchange(server, invite(from_=SQL, call_id="odd"), source="127.0.3.1")) in (100, 200)
        # A scanner: more of it, nothing else.
        for number in range(5):
            exchange(server, request(from_=SQL, call_id=f"s{number}"), source="127.0.3.2")
        server.record_of("s4")
        wait_for(lambda: len([r for r in server.records() if r["sip"].get("type") == "response"]) >= 3, "the answers")
        ran = subprocess.run(
            [SIPSIEVE, "report", "--would-block", "--json", str(server.log)],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        # 1: somebody in good standing would have been blocked.
        assert ran.returncode == 1, ran.stderr
        facts = json.loads(ran.stdout)
        customer, scanner = facts["sources"]
        assert (customer["source"], customer["standing"], customer["blocked"]) == ("127.0.3.1", "completed calls", 1)
        assert customer["registrations"] == 1
        assert (scanner["source"], scanner["standing"], scanner["blocked"]) == ("127.0.3.2", "", 5)
        assert facts["fields"] == {"from.display_name": 6}
        assert "sql-union-select" in facts["rules"]
        # Each example can be explained.
        explained = subprocess.run(
            [SIPSIEVE, "explain", "--decision", customer["examples"][0], "--log", str(server.log)],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert explained.returncode == 0
        assert "sql-union-select" in explained.stdout
        assert "observed only" in explained.stdout
        assert "log.record" in explained.stdout
        table = subprocess.run(
            [SIPSIEVE, "report", "--would-block", str(server.log)],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert table.stdout.index("127.0.3.1") < table.stdout.index("127.0.3.2")


def test_nothing_observed_is_nothing_to_look_at(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        assert status(exchange(server, request(from_=SQL, call_id="one"))) == 403
        server.record_of("one")
        ran = subprocess.run(
            [SIPSIEVE, "report", "--would-block", str(server.log)],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert ran.returncode == 0
        assert "0 would have been blocked" in ran.stdout


def test_a_decision_is_explained_with_its_message_where_the_log_keeps_it(tmp_path: Path) -> None:
    with Server(tmp_path, "[log]\nraw_bytes = 4000\n[actions]\nsql = 'scrub'\n") as server:
        exchange(server, request(from_=SQL.replace(" ", "%20", 1), call_id="kept"))
        identity = server.record_of("kept")["event"]["id"]
        ran = subprocess.run(
            [SIPSIEVE, "explain", "--decision", identity, "--log", str(server.log), "--policy", str(server.policy)],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        assert "percent: x' UNION SELECT" in ran.stdout
        assert "at paranoia level 3" in ran.stdout
        assert "  -From:" in ran.stdout
        assert "  +From:" in ran.stdout
        none = subprocess.run(
            [SIPSIEVE, "explain", "--decision", "nothing", "--log", str(server.log)],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert none.returncode == 1
        assert "no decision of this id" in none.stderr
