"""Starts a real Kamailio with sipsieve and talks to it: what the end-to-end tests and benches share."""

from __future__ import annotations

import atexit
import functools
import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fastjsonschema

ROOT = Path(__file__).resolve().parent.parent
KEMI = ROOT / "kemi"
SITE = ROOT / ".venv"

# The replayer of the lab starts Kamailio too: one way to do it, in its package.
sys.path.insert(0, str(ROOT / "lab"))

from replayer.kamailio import DEADLINE, Process, StartError, free_port, kamailio  # noqa: E402
from replayer.kamailio import wait_for as _wait_for  # noqa: E402


def wait_for(condition: Callable[[], Any], what: str, seconds: float = DEADLINE) -> Any:
    """The first true value of `condition`; fails with `what` after the deadline."""
    try:
        return _wait_for(condition, what, seconds)
    except TimeoutError as error:
        raise AssertionError(str(error)) from None


@functools.cache
def _schema() -> Callable[[Any], Any]:
    compiled: Callable[[Any], Any] = fastjsonschema.compile(
        json.loads((ROOT / "docs" / "decision-log.schema.json").read_text())
    )
    return compiled


def as_documented(record: dict[str, Any]) -> None:
    """Fails unless a record has the fields, and only those, that the published schema describes."""
    try:
        _schema()(record)
    except fastjsonschema.JsonSchemaException as error:
        raise AssertionError(f"not as in docs/decision-log.schema.json: {error}: {record}") from None


#: The logs of all servers of this process: the memory of their counts outlives them, as it should.
_logs: set[str] = set()


@atexit.register
def _give_back() -> None:
    if not _logs:
        return  # As where the package is proven, and no checkout's can be imported.
    from sipsieve._core import remove_ledger

    for log in _logs:
        remove_ledger(f"{log}.ledger")


class Server:
    """One Kamailio, with sipsieve or without, in a folder of its own."""

    def __init__(
        self,
        folder: Path,
        policy: str = "",
        config: Path | str = ROOT / "kamailio.cfg",
        *,
        port: int = 0,
        listen: str = "",
        backend: str = "none",
        workers: int = 4,
        environment: dict[str, str] | None = None,
        arguments: tuple[str, ...] = (),
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self.log = folder / "decisions.jsonl"
        self.output = folder / "kamailio.out"
        self.policy = folder / "policy.toml"
        self.policy.write_text(policy)
        self.config = Path(config)
        self.arguments = arguments
        self.environment = {
            **os.environ,
            "SIPSIEVE_LISTEN": listen or f"udp:127.0.0.1:{self.port} tcp:127.0.0.1:{self.port}",
            "SIPSIEVE_BACKEND": backend,
            "SIPSIEVE_POLICY": str(self.policy),
            "SIPSIEVE_LOG": str(self.log),
            "SIPSIEVE_WORKERS": str(workers),
            "SIPSIEVE_PYTHON": str(KEMI / "sipsieve_kemi.py"),
            "SIPSIEVE_VENV": str(SITE),
            "SIPSIEVE_RUN": str(folder),
            "SIPSIEVE_LAST_GOOD": str(folder / "last-good.json"),
            "SIPSIEVE_STANDING": str(folder / "standing.json"),
            **(environment or {}),
        }
        self._kamailio: Process = kamailio(folder, self.config, self.environment, self.port, "kamailio", arguments)
        self.started: list[int] = []

    @property
    def process(self) -> subprocess.Popen[bytes] | None:
        """The main process."""
        return self._kamailio.process

    def start(self) -> Server:
        """Starts and waits until the socket is bound."""
        _logs.add(self.environment.get("SIPSIEVE_LOG", str(self.log)))
        try:
            self._kamailio.start()
        except (StartError, TimeoutError) as error:
            raise AssertionError(str(error)) from None
        self.started = self._settled()
        return self

    def _settled(self) -> list[int]:
        """The children, once the last of them was forked: the TCP workers come after the UDP ones."""
        before: list[int] = []

        def same_twice() -> bool:
            nonlocal before
            before, last = self.children(), before
            return not self.alive() or (bool(before) and before == last)

        wait_for(same_twice, "Kamailio's processes")
        if not self.alive():
            raise AssertionError(f"Kamailio ended: {self.text()[-4000:]}")
        return before

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ends the server and returns its exit code. Its records must be as docs/decision-log.schema.json says."""
        code = self._kamailio.stop(how)
        for record in self.records(""):
            as_documented(record)
        return code

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def alive(self) -> bool:
        """Whether the main process runs."""
        return self.process is not None and self.process.poll() is None

    def children(self) -> list[int]:
        """Process ids of the workers and helpers, in order: a list that changes when one of them dies."""
        if self.process is None or self.process.poll() is not None:
            return []
        pid = self.process.pid
        return sorted(int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split())

    def assert_healthy(self, source: str = "127.0.99.1") -> None:
        """Fails unless all processes of the start are still there and a clean call is answered 200."""
        assert self.alive(), self.text()[-4000:]
        assert set(self.started) <= set(self.children()), "a worker died"
        answer = final(self, invite(), source=source)
        assert answer.startswith(b"SIP/2.0 200 "), answer

    def rpc(self, method: str, *parameters: Any) -> Any:
        """The result that Kamailio's jsonrpcs FIFO answers with (the reference configuration has one)."""
        name = f"reply-{random.randrange(1 << 30):x}"
        reply = Path("/tmp") / name
        os.mkfifo(reply, 0o666)
        try:
            call = {"jsonrpc": "2.0", "method": method, "params": parameters, "reply_name": name, "id": 1}
            with (self.folder / "sipsieve_rpc.fifo").open("w") as fifo:
                fifo.write(json.dumps(call) + "\n")
            return json.loads(reply.read_text())["result"]
        finally:
            reply.unlink()

    def text(self) -> str:
        """What Kamailio wrote to its standard error."""
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def records(self, kind: str = "event", *more: Path) -> list[dict[str, Any]]:
        """The decision log so far, whole lines only, of one `event.kind` ("" for all); `more`: rotated files."""
        lines: list[bytes] = []
        for path in (*more, self.log):
            if path.is_file():
                lines += path.read_bytes().split(b"\n")[:-1]
        decoded = [json.loads(line) for line in lines if line]
        return [record for record in decoded if not kind or record["event"]["kind"] == kind]

    def wait_record(self, wanted: Callable[[dict[str, Any]], bool], what: str = "a record") -> dict[str, Any]:
        """The first record that `wanted` accepts, as soon as it is there."""
        found: dict[str, Any] = wait_for(lambda: next((r for r in self.records("") if wanted(r)), None), what)
        return found

    def record_of(self, call_id: str) -> dict[str, Any]:
        """The record of the message with that Call-ID."""
        return self.wait_record(lambda r: r.get("sip", {}).get("call_id") == call_id, f"a record of {call_id}")

    def record_from(self, ip: str) -> dict[str, Any]:
        """The first record of a message from that address."""
        return self.wait_record(
            lambda r: r["event"]["kind"] == "event" and r["source"]["ip"] == ip, f"a record of a message from {ip}"
        )


def sipsieve(server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What a command of `sipsieve` says of that server, as an operator without any other setting calls it."""
    return subprocess.run(
        [str(SITE / "bin" / "sipsieve"), *arguments],
        capture_output=True, text=True, timeout=60, check=False,
        env={"PATH": "/usr/bin:/bin", "SIPSIEVE_RPC": str(server.folder / "sipsieve_rpc.fifo")},
    )  # fmt: skip


_serial = 0


def request(
    method: str = "OPTIONS",
    *,
    uri: str = "sip:bob@example.com",
    from_: str = '"Alice" <sip:alice@example.com>;tag=a1',
    to: str = "<sip:bob@example.com>",
    call_id: str = "",
    cseq: str = "",
    branch: str = "",
    via: str = "",
    headers: tuple[str, ...] = (),
    body: bytes = b"",
    length: str | None = "",
    transport: str = "UDP",
) -> bytes:
    """A request. `length`: "" the right Content-Length, None no such header, else that text."""
    global _serial
    _serial += 1
    unique = f"{os.getpid()}x{_serial}x{random.randrange(1 << 30):x}"
    lines = [
        f"{method} {uri} SIP/2.0",
        via or f"Via: SIP/2.0/{transport} 127.0.0.1:5060;branch={branch or 'z9hG4bK' + unique};rport",
        "Max-Forwards: 70",
        f"From: {from_}",
        f"To: {to}",
        f"Call-ID: {call_id or unique}",
        f"CSeq: {cseq or f'1 {method}'}",
        *headers,
    ]
    if length is not None:
        lines.append(f"Content-Length: {length or len(body)}")
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body


SDP = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"


def invite(**changes: Any) -> bytes:
    """An INVITE with an SDP offer."""
    headers = (*tuple(changes.pop("headers", ())), "Contact: <sip:alice@127.0.0.1>", "Content-Type: application/sdp")
    return request("INVITE", headers=headers, body=changes.pop("body", SDP), **changes)


@contextmanager
def peer(
    address: str, port: int, *, source: str = "127.0.0.1", source_port: int = 0, transport: str = "udp"
) -> Iterator[socket.socket]:
    """A socket bound to `source` and connected to the server."""
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind) as sock:
        sock.bind((source, source_port))
        sock.settimeout(5)
        sock.connect((address, port))
        yield sock


def exchange(
    server: Server,
    data: bytes,
    *,
    source: str = "127.0.0.1",
    source_port: int = 0,
    transport: str = "udp",
    seconds: float = 5.0,
) -> bytes | None:
    """Sends one message and returns the first answer, None where none comes in time."""
    with peer("127.0.0.1", server.port, source=source, source_port=source_port, transport=transport) as sock:
        sock.send(data)
        sock.settimeout(seconds)
        try:
            return sock.recv(65535) or None
        except (TimeoutError, ConnectionError):
            return None


def final(server: Server, data: bytes, *, source: str = "127.0.0.1", transport: str = "udp") -> bytes:
    """Sends one request and returns its final answer."""
    with peer("127.0.0.1", server.port, source=source, transport=transport) as sock:
        sock.send(data)
        while True:
            answer = sock.recv(65535)
            if status(answer) >= 200:
                return answer


def status(answer: bytes | None) -> int:
    """The status code of an answer; 0 where there is none."""
    return int(answer[8:11]) if answer else 0


def hep_packet(message: bytes, source: str) -> bytes:
    """A HEP3 packet as an agent sends it."""

    def chunk(number: int, value: bytes) -> bytes:
        return b"\0\0" + number.to_bytes(2, "big") + (6 + len(value)).to_bytes(2, "big") + value

    chunks = b"".join(
        [
            chunk(2, b"\x11"), chunk(3, socket.inet_aton(source)), chunk(7, b"\x13\xc4"), chunk(9, b"\x6a\0\0\0"),
            chunk(11, b"\1"), chunk(14, b"between us"), chunk(15, message),
        ]
    )  # fmt: skip
    return b"HEP3" + (6 + len(chunks)).to_bytes(2, "big") + chunks
