"""Serves the block lists by HTTP: read only, by default to this machine, with an ETag and the time that a list holds."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET6
from typing import Any, Final

from sipsieve.abuse.bans import Entry

from ..operate import blocklist

#: What is served: path, format, type.
PATHS: Final = {
    "/bans.txt": ("plain", "text/plain; charset=us-ascii"),
    "/bans.csv": ("csv", "text/csv; charset=us-ascii"),
    "/bans.json": ("json", "application/json"),
    "/bans.stix.json": ("stix", "application/stix+json;version=2.1"),
    "/bans.misp.json": ("misp", "application/json"),
}

#: Seconds that a list may be kept at the most, that the bans are not asked for again, and that a client may be silent.
_LIFE: Final = 60
_FRESH: Final = 1.0
_SILENT: Final = 10.0

#: Clients that are answered at once; others are closed.
_CLIENTS: Final = 32


class OutOfReachError(Exception):
    """The bans can't be had now; says why."""


class Lists:
    """The lists, made anew when bans change. `bans` may raise `OutOfReachError`; `clock` is seconds since the epoch."""

    def __init__(self, bans: Callable[[], list[Entry]], clock: Callable[[], float], with_udp: bool) -> None:
        self._bans = bans
        self._clock = clock
        self._with_udp = with_udp
        self._lock = threading.Lock()
        self._asked = -1e9
        self._rows: list[dict[str, Any]] = []
        self._until = 0.0
        self._made: dict[str, tuple[str, bytes]] = {}

    def get(self, form: str) -> tuple[str, bytes, int]:
        """ETag, body, and for how many seconds it holds. Raises `OutOfReachError`."""
        with self._lock:
            now = self._clock()
            # A ban that has ended is on no list, though nobody was asked in between.
            if not 0 <= now - self._asked < _FRESH or now >= self._until:
                entries = self._bans()
                rows = [row for row in blocklist.rows(entries, now) if self._with_udp or not row["udp_only"]]
                if rows != self._rows:
                    self._rows, self._made = rows, {}
                self._asked = now
                self._until = min((one.until for one in entries if one.until > now), default=now + _LIFE)
            if form not in self._made:
                body = blocklist.FORMATS[form](self._rows, now).encode("ascii")
                self._made[form] = (f'"{hashlib.sha256(body).hexdigest()[:32]}"', body)
            tag, body = self._made[form]
            return tag, body, max(0, min(_LIFE, int(self._until - now)))


class Server(ThreadingHTTPServer):
    """Listens. `token` is what clients must show (RFC 6750), "" for none."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, place: tuple[str, int], lists: Lists, token: str, warn: Callable[[str], None]) -> None:
        """Raises `OSError` where it can't listen."""
        if ":" in place[0]:
            self.address_family = AF_INET6
        self.lists = lists
        self.token = token
        self.warn = warn
        self._room = threading.BoundedSemaphore(_CLIENTS)
        super().__init__(place, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """One of `_CLIENTS` threads answers it."""
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """In that thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are no news."""


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.0"
    timeout = _SILENT
    server_version = "sipsieve"
    sys_version = ""

    def do_GET(self) -> None:
        self._answer(body_too=True)

    def do_HEAD(self) -> None:
        self._answer(body_too=False)

    def _answer(self, body_too: bool) -> None:
        if not self._allowed():
            self._say(
                HTTPStatus.UNAUTHORIZED,
                "a token is wanted: Authorization: Bearer TOKEN",
                body_too,
                "WWW-Authenticate",
                "Bearer",
            )
            return
        known = PATHS.get(self.path.partition("?")[0])
        if known is None:
            self._say(HTTPStatus.NOT_FOUND, f"there are {', '.join(PATHS)}", body_too)
            return
        try:
            tag, body, life = self.server.lists.get(known[0])
        except OutOfReachError as error:
            # Never an empty list: a device would let everybody in.
            self.server.warn(str(error))
            self._say(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "the bans can't be had now; keep the list that you have",
                body_too,
                "Retry-After",
                "10",
            )
            return
        fresh = {part.strip().removeprefix("W/") for part in self.headers.get("If-None-Match", "").split(",")}
        same = tag in fresh or "*" in fresh
        self.send_response(HTTPStatus.NOT_MODIFIED if same else HTTPStatus.OK)
        self.send_header("ETag", tag)
        self.send_header("Cache-Control", f"private, max-age={life}, must-revalidate")
        if not same:
            self.send_header("Content-Type", known[1])
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if body_too and not same:
            self.wfile.write(body)

    def _allowed(self) -> bool:
        if not self.server.token:
            return True
        shown = self.headers.get("Authorization", "").encode("utf-8", "replace")
        return hmac.compare_digest(shown, f"Bearer {self.server.token}".encode())

    def _say(self, status: HTTPStatus, text: str, body_too: bool, *more: str) -> None:
        body = json.dumps({"error": text}).encode() + b"\n"
        self.send_response(status)
        if more:
            self.send_header(*more)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if body_too:
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Requests are not logged."""
