"""Places that take an alert as data: a file, syslog, a webhook."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import logging
import logging.handlers
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

from ..novelty.reviews import Review
from ..report import when

#: Seconds that a webhook may take; the next round tries again.
_TIMEOUT: Final = 10.0

#: Bytes at the end of the alert file in which an alert is looked for before it is written: thousands of them.
_TAIL: Final = 4 << 20


#: An alert with its identity.
Posted = tuple[str, dict[str, Any]]

#: The kind of alerts that no rule and no rank stands behind.
UNUSUAL: Final = "unusual"


def unusual_alert(review: Review) -> dict[str, Any]:
    """What is told of something that is unusual beside a model of the site: for a person to look at."""
    return {
        "id": f"{UNUSUAL}-{review.id}",
        "kind": UNUSUAL,
        "tier": "review",
        "score": review.score,
        "addresses": review.sources,
        "address_count": review.source_count,
        "homes": [],
        "new_addresses": [],
        "spoofed": False,
        "intents": [],
        "campaigns": [],
        "new_campaigns": [],
        "why": review.why,
        "first_seen": when(review.first_us),
        "last_seen": when(review.last_us),
        "action": f"Look at it. If it is nothing: sipsieve learn usual {review.id}",
    }


class Sink(Protocol):
    """Somewhere to tell."""

    #: Its name in the outbox; holds no secret.
    name: str
    #: How many alerts one delivery may take.
    batch: int

    def wants(self, alert: dict[str, Any]) -> bool:
        """Whether this alert is to be told there at all."""
        ...

    def due(self, alert: dict[str, Any], now: datetime) -> bool:
        """Whether it may be told now; one that may not waits."""
        ...

    def send(self, posted: Sequence[Posted]) -> str:
        """Delivers `batch` alerts at the most. "" when they arrived, else why not."""
        ...


class DataSink:
    """What all places that take each alert, as data and at any time, have in common."""

    batch: int = 1

    def __init__(self, name: str) -> None:
        self.name = name

    def wants(self, alert: dict[str, Any]) -> bool:
        """See `Sink`."""
        return bool(alert["kind"] != "report")

    def due(self, alert: dict[str, Any], now: datetime) -> bool:
        """See `Sink`."""
        return True


class FileSink(DataSink):
    """Appends alerts as lines of JSON. One that is there already is not written again."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"file:{path}")
        self._path = path

    def send(self, posted: Sequence[Posted]) -> str:
        """See `Sink`."""
        [(identity, alert)] = posted
        line = json.dumps(alert, ensure_ascii=True).encode() + b"\n"
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
            try:
                size = os.fstat(descriptor).st_size
                tail = os.pread(descriptor, _TAIL, max(0, size - _TAIL))
                if f'"id": "{identity}"'.encode() in tail:
                    return ""
                if tail and not tail.endswith(b"\n"):
                    # A crash or a full disk left half a line; ours begins on its own.
                    line = b"\n" + line
                os.write(descriptor, line)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            return f"{self._path}: {error.strerror}"
        return ""


class SyslogSink(DataSink):
    """Sends alerts to a syslog daemon: `local`, or `host:port` by UDP."""

    def __init__(self, address: str) -> None:
        super().__init__(f"syslog:{address}")
        self._address: str | tuple[str, int] = "/dev/log"
        if address != "local":
            host, _, port = address.rpartition(":")
            self._address = (host, int(port))

    def send(self, posted: Sequence[Posted]) -> str:
        """See `Sink`."""
        [(_, alert)] = posted
        # JSON's ASCII escapes keep line ends and control characters out.
        text = "sipsieve: " + json.dumps(alert, ensure_ascii=True, separators=(",", ":"))
        problems: list[str] = []
        try:
            handler = logging.handlers.SysLogHandler(self._address, logging.handlers.SysLogHandler.LOG_DAEMON)
        except OSError as error:
            return f"syslog: {error.strerror or error}"
        handler.handleError = lambda record: problems.append("syslog: not delivered")  # type: ignore[method-assign]
        handler.handle(logging.LogRecord("sipsieve", logging.WARNING, "", 0, "%s", (text,), None))
        handler.close()
        return problems[0] if problems else ""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """An alert goes where it was sent, or nowhere."""

    def redirect_request(self, *_: Any) -> None:
        return None


class WebhookSink(DataSink):
    """Posts alerts as JSON. `Idempotency-Key` lets a receiver drop one that comes twice after a crash.

    With a key each request is signed as standardwebhooks.com (v1) asks: HMAC-SHA256 over identity, time and body. `clock`
    gives seconds since the epoch.
    """

    def __init__(self, url: str, key: bytes = b"", name: str = "", clock: Callable[[], float] = time.time) -> None:
        super().__init__(name or f"webhook:{url}")
        self._url = url
        self._key = key
        self._clock = clock
        self._opener = urllib.request.build_opener(_NoRedirect)

    def send(self, posted: Sequence[Posted]) -> str:
        """See `Sink`."""
        [(identity, alert)] = posted
        body = json.dumps(alert, ensure_ascii=True).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": identity, "User-Agent": "sipsieve"}
        if self._key:
            headers |= signature(self._key, identity, int(self._clock()), body)
        request = urllib.request.Request(self._url, data=body, headers=headers, method="POST")
        try:
            with self._opener.open(request, timeout=_TIMEOUT) as answer:
                answer.read(1024)
        except urllib.error.HTTPError as error:
            return f"webhook: answered {error.code}"
        except urllib.error.URLError as error:
            # What the system says, without the library's own name around it.
            return f"webhook: {getattr(error.reason, 'strerror', None) or error.reason}"
        except (OSError, ValueError) as error:
            return f"webhook: {error}"
        return ""


def signature(key: bytes, identity: str, moment: int, body: bytes) -> dict[str, str]:
    """The headers that sign a request (Standard Webhooks 1.0.0, "Signature scheme"). `moment` is in seconds."""
    signed = hmac.new(key, f"{identity}.{moment}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": identity,
        "webhook-timestamp": str(moment),
        "webhook-signature": "v1," + base64.b64encode(signed).decode(),
    }


def secret(text: str) -> bytes:
    """The key in a secret as Standard Webhooks writes it, `whsec_` and base64. Raises ValueError: what is wrong."""
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("is no base64 (with or without whsec_ before it)") from None
    if not 24 <= len(key) <= 64:
        raise ValueError(f"has {len(key)} bytes; 24 to 64 are allowed: openssl rand -base64 32 makes one")
    return key
