"""The back office's process: takes SIP events over UDP, hands each to both variants, shows the callers on a page."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg2

from . import event, parameterized, vulnerable

VARIANTS: dict[str, ModuleType] = {"vulnerable": vulnerable, "parameterized": parameterized}
EVENTS = 9060
PAGES = 8080
STATE = Path("/tmp/billing")


def connect(variant: str) -> Any:
    """A connection to the variant's database, made where it is not there."""
    try:
        connection = psycopg2.connect(host="/tmp", user="postgres", dbname=variant)
    except psycopg2.OperationalError:
        admin = psycopg2.connect(host="/tmp", user="postgres", dbname="postgres")
        admin.autocommit = True
        admin.cursor().execute(f"CREATE DATABASE {variant}")
        admin.close()
        connection = psycopg2.connect(host="/tmp", user="postgres", dbname=variant)
    connection.autocommit = True
    return connection


def log_of(variant: str) -> str:
    """The variant's text log."""
    return str(STATE / f"{variant}.log")


def take(sock: socket.socket, connections: dict[str, Any]) -> None:
    """One event: OPTIONS is a health check and is answered, all else is stored."""
    raw, sender = sock.recvfrom(65535)
    if raw.startswith(b"OPTIONS "):
        head = [
            line
            for line in raw.split(b"\r\n")
            if line.split(b":")[0].lower() in (b"via", b"from", b"to", b"call-id", b"cseq")
        ]
        sock.sendto(b"\r\n".join([b"SIP/2.0 200 OK", *head, b"Content-Length: 0", b"", b""]), sender)
        return
    found = event.read(raw)
    for variant, module in VARIANTS.items():
        try:
            module.store(connections[variant], found, log_of(variant))
        except Exception as error:
            # A victim that stops at the first bad statement would show nothing of the second.
            print(f"{variant}: {type(error).__name__}: {str(error).splitlines()[:1]}", flush=True)
    (STATE / "last").write_text(str(time.monotonic()))


class _Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """`/vulnerable` and `/parameterized`: the callers."""
        variant = self.path.strip("/")
        if variant not in VARIANTS:
            self.send_error(404)
            return
        with connect(variant) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT name, number, agent FROM callers ORDER BY id DESC LIMIT 500")
            body = VARIANTS[variant].page(cursor.fetchall()).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Nothing: the lab's log is the decision log."""


def main() -> None:
    """Runs until killed."""
    STATE.mkdir(exist_ok=True)
    schema = Path("/lab/schema.sql").read_text()
    connections = {variant: connect(variant) for variant in VARIANTS}
    for connection in connections.values():
        connection.cursor().execute(schema)
    pages = http.server.ThreadingHTTPServer(("0.0.0.0", PAGES), _Page)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("0.0.0.0", EVENTS))
    print(f"events on {EVENTS}, pages on {PAGES}", flush=True)
    while True:
        take(sock, connections)


if __name__ == "__main__":
    main()
