"""Delivers alerts: to a file, to syslog, to a webhook."""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final, Protocol

#: Seconds that a webhook may take; the next round tries again.
_TIMEOUT: Final = 10.0

#: Bytes at the end of the alert file in which an alert is looked for before it is written: thousands of them.
_TAIL: Final = 4 << 20


class Sink(Protocol):
    """Somewhere to tell."""

    name: str

    def send(self, identity: str, alert: dict[str, Any]) -> str:
        """Delivers one alert. "" when it arrived, else why not."""
        ...


class FileSink:
    """Appends alerts as lines of JSON. One that is there already is not written again."""

    def __init__(self, path: Path) -> None:
        self.name = f"file:{path}"
        self._path = path

    def send(self, identity: str, alert: dict[str, Any]) -> str:
        """See `Sink`."""
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


class SyslogSink:
    """Sends alerts to a syslog daemon: `local`, or `host:port` by UDP."""

    def __init__(self, address: str) -> None:
        self.name = f"syslog:{address}"
        self._address: str | tuple[str, int] = "/dev/log"
        if address != "local":
            host, _, port = address.rpartition(":")
            self._address = (host, int(port))

    def send(self, identity: str, alert: dict[str, Any]) -> str:
        """See `Sink`."""
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


class WebhookSink:
    """Posts alerts as JSON. `Idempotency-Key` lets a receiver drop one that comes twice after a crash."""

    def __init__(self, url: str) -> None:
        self.name = f"webhook:{url}"
        self._url = url
        self._opener = urllib.request.build_opener(_NoRedirect)

    def send(self, identity: str, alert: dict[str, Any]) -> str:
        """See `Sink`."""
        request = urllib.request.Request(
            self._url,
            data=json.dumps(alert, ensure_ascii=True).encode(),
            headers={"Content-Type": "application/json", "Idempotency-Key": identity, "User-Agent": "sipsieve"},
            method="POST",
        )
        try:
            with self._opener.open(request, timeout=_TIMEOUT) as answer:
                answer.read(1024)
        except urllib.error.HTTPError as error:
            return f"webhook: answered {error.code}"
        except (OSError, ValueError) as error:
            return f"webhook: {error}"
        return ""
