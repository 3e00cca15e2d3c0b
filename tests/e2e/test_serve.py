"""`make serve`: the reference deployment in the foreground, which ends cleanly."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from harness import ROOT, free_port, invite, peer, request, wait_for


@contextmanager
def serving(folder: Path, *command: str) -> Iterator[tuple[subprocess.Popen[bytes], int, Path]]:
    """Runs the command with its own port and folder; yields process, port and output file."""
    port = free_port()
    output = folder / "output"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("SIPSIEVE_", "MAKE"))},
        "SIPSIEVE_LISTEN": f"udp:127.0.0.1:{port} tcp:127.0.0.1:{port}",
        "SIPSIEVE_WORKERS": "2",
        "SIPSIEVE_RUN": str(folder / "run"),
    }
    with output.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
    try:
        wait_for(lambda: process.poll() is not None or answers(port), f"it listens; see {output}", 60)
        assert process.poll() is None, output.read_text()
        yield process, port, output
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(60)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def answers(port: int) -> bool:
    """Whether a clean request is answered 200."""
    with peer("127.0.0.1", port) as sock, suppress(OSError):
        sock.settimeout(0.2)
        sock.send(request("OPTIONS"))
        return sock.recv(4096).startswith(b"SIP/2.0 200 ")
    return False


def listeners(folder: Path) -> list[int]:
    """Process ids of any Kamailio that was started in this folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if str(folder).encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
    return found


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_and_ends_cleanly(tmp_path: Path, how: signal.Signals) -> None:
    with serving(tmp_path, "make/serve") as (process, port, output):
        log = tmp_path / "run" / "decisions.jsonl"
        assert f"listens on udp:127.0.0.1:{port} tcp:127.0.0.1:{port}" in output.read_text()
        assert f"decision log: {log}" in output.read_text()
        with peer("127.0.0.1", port) as sock:
            sock.send(invite(from_='"$(id)" <sip:a@example.com>', call_id="seen"))
            assert sock.recv(4096).startswith(b"SIP/2.0 403 ")
        assert '"call_id":"seen"' in log.read_text()
        process.send_signal(how)
        assert process.wait(60) == 0, output.read_text()
        assert "sipsieve has ended" in output.read_text()
    assert listeners(tmp_path) == []


def test_a_ctrl_c_reaches_make_and_all_that_it_started(tmp_path: Path) -> None:
    with serving(tmp_path, "make", "--no-print-directory", "serve") as (process, port, _):
        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)
        wait_for(lambda: listeners(tmp_path) == [], "all have ended")
        assert not answers(port)


def test_a_wrong_policy_stops_the_start_and_says_why(tmp_path: Path) -> None:
    policy = tmp_path / "wrong.toml"
    policy.write_text("[limits]\nenable = true\n")
    environment = {**os.environ, "SIPSIEVE_POLICY": str(policy), "SIPSIEVE_RUN": str(tmp_path / "run")}
    environment["SIPSIEVE_LISTEN"] = f"udp:127.0.0.1:{free_port()}"
    done = subprocess.run(
        ["make/serve"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert re.search(rf"{re.escape(str(policy))}:\d+: limits\.enable: no such key\. Did you mean 'enabled'\?", said)
    assert "Traceback" not in said
    assert listeners(tmp_path) == []
