"""A real rsyslogd with the shipped file sends each converted record on, whole, also what came while the receiver was away."""

from __future__ import annotations

import bz2
import json
import re
import socket
import subprocess
import threading
from pathlib import Path
from typing import IO

from harness import ROOT, free_port, wait_for
from sipsieve_analysis.operate import ecs, forms

SHIPPED = (ROOT / "integrations/rsyslog/sipsieve.conf").read_text()
CASE = bz2.decompress((ROOT / "tests/fixtures/case/decisions.jsonl.bz2").read_bytes()).splitlines()


class Receiver:
    """Takes octet-counted frames (RFC 6587) over TCP."""

    def __init__(self, port: int) -> None:
        self.messages: list[bytes] = []
        self._server = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as stream:
                while length := self._length(stream):
                    self.messages.append(stream.read(length))

    @staticmethod
    def _length(stream: IO[bytes]) -> int:
        digits = b""
        while (byte := stream.read(1)).isdigit():
            digits += byte
        return int(digits or b"0")

    def bodies(self) -> set[str]:
        """What arrived, as it was a line of the file; after a lost connection rsyslog may send a message again."""
        return {message.decode().partition(" - - - ")[2] for message in list(self.messages)}

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()


def test_each_record_arrives_as_json_in_a_message_of_its_own(tmp_path: Path) -> None:
    log, port = tmp_path / "ecs.jsonl", free_port()
    lines = [json.dumps(ecs.to_ecs(forms.upgrade(json.loads(line)))) for line in CASE[:400]]
    long = json.loads(lines[0])
    long["sipsieve"]["raw"] = "x" * 20_000
    lines.append(json.dumps(long))
    settings = tmp_path / "rsyslog.conf"
    text = SHIPPED.replace("/var/log/sipsieve/ecs.jsonl", str(log)).replace("logs.example.net", "127.0.0.1")
    text = text.replace('port="601"', f'port="{port}"').replace(
        'action.resumeRetryCount="-1"', 'action.resumeRetryCount="-1" action.resumeInterval="1"'
    )
    settings.write_text(f'global(workDirectory="{tmp_path}")\n{text}')
    checked = subprocess.run(["rsyslogd", "-N1", "-f", settings], capture_output=True, text=True, check=False)
    assert checked.returncode == 0 and "error" not in re.sub("rsyslogd: version.*", "", checked.stderr), checked.stderr
    log.write_text("".join(f"{line}\n" for line in lines[:200]))
    running = subprocess.Popen(["rsyslogd", "-n", "-f", settings, "-i", tmp_path / "pid"])
    receiver = None
    try:
        # Nobody listens yet.
        wait_for(lambda: any(tmp_path.glob("imfile-state*")), "the file is read", 30)
        receiver = Receiver(port)
        told = receiver
        wait_for(lambda: len(told.bodies()) == 200, "what waited", 60)
        with log.open("a") as file:
            file.write("".join(f"{line}\n" for line in lines[200:]))
        wait_for(lambda: len(told.bodies()) == len(lines), "all of it", 60)
    finally:
        running.terminate()
        running.wait(30)
        if receiver is not None:
            receiver.close()
    assert all(message.startswith(b"<134>1 ") and b" sipsieve - - - {" in message for message in told.messages)
    assert sorted(told.bodies()) == sorted(lines)
