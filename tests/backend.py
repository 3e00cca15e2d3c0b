"""A SIP backend over UDP whose answers a test scripts: what stands behind the guard."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable

from harness import free_port

#: Headers that an answer repeats from its request (RFC 3261 8.2.6.2).
_COPIED = re.compile(rb"^(?:via|v|from|f|call-id|i|cseq|record-route)[ \t]*:.*?\r\n(?:[ \t].*?\r\n)*", re.I | re.M)
_TO = re.compile(rb"^(?:to|t)[ \t]*:[ \t]*(.*?)\r\n", re.I | re.M)
_CSEQ = re.compile(rb"^cseq[ \t]*:[ \t]*\d+[ \t]+(\w+)", re.I | re.M)


def answer(
    message: bytes,
    code: int = 200,
    phrase: str = "OK",
    *,
    headers: tuple[str, ...] = (),
    body: bytes = b"",
    tag: str = "backend",
) -> bytes:
    """An answer to the request `message`."""
    head = message.partition(b"\r\n\r\n")[0] + b"\r\n"
    found = _TO.search(head)
    to = found[1] if found else b""
    if b"tag=" not in to and code > 100:
        to += f";tag={tag}".encode()
    lines = b"".join(_COPIED.findall(head)) + b"To: " + to + b"\r\n"
    extra = "".join(f"{header}\r\n" for header in headers).encode("utf-8", "surrogateescape")
    return b"SIP/2.0 %d %s\r\n%s%sContent-Length: %d\r\n\r\n%s" % (
        code,
        phrase.encode("utf-8", "surrogateescape"),
        lines,
        extra,
        len(body),
        body,
    )


def method(message: bytes) -> str:
    """The method of a request, or of the request that a reply answers."""
    match = _CSEQ.search(message)
    return match[1].decode() if match else ""


class Backend:
    """Answers each request with what `script` returns for it; keeps all that it received."""

    def __init__(self, script: Callable[[bytes], list[bytes]], address: str = "127.0.0.1") -> None:
        self.script = script
        self.received: list[bytes] = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, free_port(address)))
        self.address, self.port = self.socket.getsockname()
        self.peer: tuple[str, int] = ("", 0)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def uri(self) -> str:
        """For SIPSIEVE_BACKEND."""
        return f"sip:{self.address}:{self.port}"

    def requests(self, name: str) -> list[bytes]:
        """Received requests of that method."""
        return [message for message in self.received if message.startswith(name.encode() + b" ")]

    def _serve(self) -> None:
        while True:
            try:
                message, self.peer = self.socket.recvfrom(65535)
            except OSError:
                return
            if not message:
                return
            self.received.append(message)
            for reply in self.script(message):
                self.socket.sendto(reply, self.peer)

    def __enter__(self) -> Backend:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        # An empty datagram wakes the thread; closing alone would not.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", (self.address, self.port))
        self._thread.join(5)
        self.socket.close()
