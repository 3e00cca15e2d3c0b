"""Carries one step of a scenario out: sends its messages or runs its tool, and says what came back.

Needs nothing but the standard library, so that it runs inside the lab's containers as it is:
`python3 -m replayer.player` reads a job as JSON and writes its outcome as JSON.
"""

from __future__ import annotations

import json
import selectors
import socket
import struct
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from . import dialog, target
from .render import render

#: Seconds without any answer after which those still missing are given up.
QUIET: Final = 0.6

#: The same for a target that left two messages in a row unanswered: it has shut us out.
SHUT_OUT: Final = 0.05

#: A step ends by then, whatever happens.
LONGEST: Final = 60.0

#: Characters of a tool's output that are kept.
_MAX_OUTPUT: Final = 20_000


@dataclass
class Job:
    """One step, resolved: addresses instead of names, texts instead of file names."""

    host: str
    port: int
    source: str
    source_ports: list[int] = field(default_factory=lambda: [0])
    transport: str = "udp"
    messages: list[str] = field(default_factory=list)
    """Message templates, bytes as Latin-1."""
    values: list[dict[str, str]] = field(default_factory=list)
    """Placeholder values of each message."""
    spread: int = 1
    """Over how many source ports the messages go."""
    sequential: bool = False
    password: list[str] = field(default_factory=list)
    """A password for each message: a digest challenge is answered with it."""
    gap: float = 0.0
    """Seconds between two messages."""
    forged: str = ""
    """Send from a raw socket with this source address: nothing can come back."""
    argv: list[str] = field(default_factory=list)
    """A tool to run instead of messages; placeholders are filled in already."""
    files: dict[str, str] = field(default_factory=dict)
    """Files that the tool finds in its working folder, bytes as Latin-1."""
    seconds: float = 30.0
    quiet: float = QUIET
    """Seconds without any answer after which those still missing are given up."""
    foreign: str = ""
    consent: str = ""


@dataclass
class Outcome:
    """What came back."""

    answers: list[int] = field(default_factory=list)
    """The final status of each message; 0 where none came."""
    exit: int = 0
    output: str = ""
    error: str = ""


def play(job: Job, folder: Path) -> Outcome:
    """Carries the job out. Raises `target.ForeignTargetError` before anything is sent."""
    target.check(job.host, job.foreign, job.consent)
    if job.argv:
        return _run(job, folder)
    if job.forged:
        return _forge(job)
    return _Sender(job).run()


class _Sender:
    """Sends the job's messages from its sockets and gathers the answers."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.selector = selectors.DefaultSelector()
        self.answers = [0] * len(job.messages)
        self.call_ids: dict[bytes, int] = {}
        self.sent: list[bytes] = [b""] * len(job.messages)
        self.tried = [False] * len(job.messages)
        self.sockets: list[socket.socket] = []
        self.buffers: dict[socket.socket, bytes] = {}
        self.first_on: dict[socket.socket, int] = {}
        self.end = time.monotonic() + min(job.seconds, LONGEST)

    def run(self) -> Outcome:
        job = self.job
        silent = 0
        try:
            for number in range(max(job.spread, 1)):
                self._open(job.source_ports[number % len(job.source_ports)] if number < len(job.source_ports) else 0)
            for index in range(len(job.messages)):
                sock = self.sockets[index % len(self.sockets)]
                self._send(index, sock)
                if job.sequential:
                    self._gather(
                        lambda index=index: self.answers[index] >= 200, SHUT_OUT if silent > 1 else self.job.quiet
                    )
                    silent = 0 if self.answers[index] else silent + 1
                else:
                    self._gather(lambda: True, 0.0)
                if job.gap:
                    self._gather(lambda: False, job.gap)
                if time.monotonic() > self.end:
                    break
            self._gather(lambda: all(status >= 200 for status in self.answers), self.job.quiet)
        except OSError as error:
            return Outcome(self._final(), 0, "", f"{type(error).__name__}: {error}")
        finally:
            for sock in self.sockets:
                sock.close()
            self.selector.close()
        return Outcome(self._final())

    def _final(self) -> list[int]:
        return [status if status >= 200 else 0 for status in self.answers]

    def _open(self, port: int) -> None:
        job = self.job
        family = socket.AF_INET6 if ":" in job.host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM if job.transport == "udp" else socket.SOCK_STREAM)
        self.sockets.append(sock)
        sock.bind((job.source, port))
        sock.settimeout(5.0)
        sock.connect((job.host, job.port))
        sock.setblocking(False)
        self.buffers[sock] = b""
        self.selector.register(sock, selectors.EVENT_READ)

    def _send(self, index: int, sock: socket.socket) -> None:
        job = self.job
        values = {
            "source": job.source,
            "source_port": str(sock.getsockname()[1]),
            "transport": job.transport.upper(),
            **job.values[index],
        }
        message = render(job.messages[index].encode("latin-1"), values)
        self.sent[index] = message
        self.first_on.setdefault(sock, index)
        call_id = dialog.header(message, b"call-id")
        if call_id:
            self.call_ids[call_id] = index
        self._write(sock, message)

    def _write(self, sock: socket.socket, data: bytes) -> None:
        try:
            sock.setblocking(True)
            sock.settimeout(5.0)
            sock.sendall(data) if self.job.transport == "tcp" else sock.send(data)
        except (ConnectionError, TimeoutError):
            pass  # a server that closed the connection or port has answered in its way: with 0
        finally:
            sock.setblocking(False)

    def _gather(self, done: Any, quiet: float) -> None:
        """Reads answers until `done()`, or nothing came for `quiet` seconds, or time is up."""
        last = time.monotonic()
        while True:
            now = time.monotonic()
            if now > self.end:
                return
            events = self.selector.select(max(min(quiet - (now - last), self.end - now), 0.0))
            for key, _ in events:
                last = time.monotonic()
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                try:
                    data = sock.recv(65535)
                except (ConnectionError, BlockingIOError):
                    data = b""
                if not data and self.job.transport == "tcp":
                    self.selector.unregister(sock)
                for message in self._split(sock, data):
                    self._answer(sock, message)
            if done() or (not events and time.monotonic() - last >= quiet) or not self.selector.get_map():
                return

    def _split(self, sock: socket.socket, data: bytes) -> list[bytes]:
        if self.job.transport == "udp":
            return [data] if data else []
        self.buffers[sock] += data
        messages = []
        while (end := self.buffers[sock].find(b"\r\n\r\n")) >= 0:
            length = dialog.header(self.buffers[sock][: end + 4], b"content-length")
            size = end + 4 + (int(length) if length.isdigit() else 0)
            if len(self.buffers[sock]) < size:
                break
            messages.append(self.buffers[sock][:size])
            self.buffers[sock] = self.buffers[sock][size:]
        return messages

    def _answer(self, sock: socket.socket, message: bytes) -> None:
        if not message.startswith(b"SIP/2.0 ") or not message[8:11].isdigit():
            return
        status = int(message[8:11])
        index = self.call_ids.get(dialog.header(message, b"call-id"), self.first_on.get(sock, 0))
        if status < 200 or dialog.header(message, b"cseq").split()[-1:] == [b"BYE"]:
            return
        request = self.sent[index]
        if request.startswith(b"INVITE ") and dialog.header(message, b"cseq").endswith(b"INVITE"):
            for follow in dialog.after_invite(request, message):
                self._write(sock, follow)
        if status in (401, 407) and self.job.password and not self.tried[index]:
            self.tried[index] = True
            again = dialog.with_credentials(request, message, self.job.password[index % len(self.job.password)])
            self.sent[index] = again
            self._write(sock, again)
            return
        # Several answers on one Call-ID (a smuggled request has its own): the first one counts.
        self.answers[index] = self.answers[index] or status


def _forge(job: Job) -> Outcome:
    """Sends UDP with a source address that is not ours."""
    for index, template in enumerate(job.messages):
        # Ports as a forger would make them up; the same few, so that they look like one tool's.
        port = 20000 + 997 * (index % job.spread)
        values = {"source": job.forged, "source_port": str(port), "transport": "UDP", **job.values[index]}
        data = render(template.encode("latin-1"), values)
        try:
            _send_as(job.forged, port, job.host, job.port, data, index)
        except OSError as error:
            return Outcome([], 1, "", f"forging a source address needs the capability NET_RAW (root): {error}")
        if job.gap:
            time.sleep(job.gap)
    return Outcome([0] * len(job.messages))


def _send_as(source: str, source_port: int, host: str, port: int, data: bytes, number: int) -> None:
    """One datagram in the name of `source`. On loopback every address is ours, and a plain bind does it."""
    if source.startswith("127."):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((source, source_port))
            sock.sendto(data, (host, port))
        return
    udp = struct.pack("!HHHH", source_port, port, 8 + len(data), 0) + data
    addresses = socket.inet_aton(source) + socket.inet_aton(host)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), number, 0, 64, socket.IPPROTO_UDP, 0) + addresses
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
        sock.sendto(head + udp, (host, 0))


def _run(job: Job, folder: Path) -> Outcome:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in job.files.items():
        (folder / Path(name).name).write_bytes(text.encode("latin-1"))
    try:
        done = subprocess.run(
            job.argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=min(job.seconds, LONGEST), check=False,
        )  # fmt: skip
    except FileNotFoundError:
        return Outcome([], 127, "", f"{job.argv[0]} is not installed")
    except subprocess.TimeoutExpired as error:
        output = (error.stdout or b"").decode("utf-8", "replace")[-_MAX_OUTPUT:]
        return Outcome([], 124, output, "")
    return Outcome([], done.returncode, done.stdout.decode("utf-8", "replace")[-_MAX_OUTPUT:])


def main() -> int:
    """Reads a job from standard input, writes its outcome to standard output."""
    job = Job(**json.load(sys.stdin))
    try:
        outcome = play(job, Path("/tmp/replayer"))
    except target.ForeignTargetError as error:
        outcome = Outcome(error=str(error), exit=2)
    json.dump(asdict(outcome), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
