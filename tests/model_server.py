"""A real HTTP server that speaks chat completions, with a behaviour that a test chooses."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Told = dict[str, list[Any]]


@dataclass
class Model:
    """The server's address, what it was asked, and what it does next."""

    behave: Callable[[Exchange], None]
    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Exchange(BaseHTTPRequestHandler):
    """One request on its way to an answer."""

    model: Model
    request_body: dict[str, Any]

    def do_POST(self) -> None:
        self.request_body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.model.lock:
            self.model.asked.append(self.request_body)
            self.model.keys.append(self.headers.get("Authorization", ""))
        self.model.behave(self)

    def facts(self) -> list[dict[str, str]]:
        """What the model was told."""
        material: dict[str, Any] = json.loads(self.request_body["messages"][1]["content"])
        return list(material["facts"])

    def raw(self, status: int, body: bytes, kind: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def complete(self, content: str, finish: str = "stop", usage: tuple[int, int] = (900, 300)) -> None:
        """Answers as an endpoint does."""
        completion = {
            "id": "c1", "object": "chat.completion", "created": int(time.time()), "model": "test-model-2026-11",
            "choices": [{"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": content}}],
            "usage": {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)},
        }  # fmt: skip
        self.raw(200, json.dumps(completion).encode())

    def log_message(self, *_: Any) -> None:
        """Quiet."""


def honest(facts: list[dict[str, str]]) -> Told:
    """A narration that says what the facts say, in their words."""

    def said(fact: dict[str, str]) -> dict[str, Any]:
        return {"text": fact["text"], "evidence": [fact["id"]]}

    by_actor: dict[str, list[dict[str, str]]] = {}
    for fact in facts:
        if match := re.match(r"(A\d+)\.", fact["id"]):
            by_actor.setdefault(match[1], []).append(fact)
    return {
        "summary": [said(fact) for fact in facts if fact["id"] in ("G1", "G2")],
        "actors": [{"actor": actor, "story": [said(fact) for fact in own[:5]]} for actor, own in by_actor.items()],
        "first": [said(fact) for own in by_actor.values() for fact in own if fact["text"].startswith("What to do")][:4],
        "uncertain": [said(fact) for fact in facts if fact["id"] == "G3"],
    }


@contextmanager
def serving(behave: Callable[[Exchange], None]) -> Iterator[Model]:
    """A server on loopback, gone afterwards."""
    model = Model(behave)
    handler = type("Bound", (Exchange,), {"model": model})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    model.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield model
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
