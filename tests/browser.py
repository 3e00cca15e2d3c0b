"""A real Chromium that shows a page in a given size and colour scheme: for pictures, and for what a script finds on it."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

#: Seconds for one answer of the browser.
_ANSWER: Final = 60


class Page:
    """One page, by the developer protocol over a pipe: nothing listens on a port."""

    def __init__(self, send: int, receive: int) -> None:
        self._send, self._receive = send, receive
        self._number, self._session, self._rest = 0, "", b""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Page.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command's result."""
        self._number += 1
        request = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            request["sessionId"] = self._session
        os.write(self._send, json.dumps(request).encode() + b"\0")
        while True:
            message = self._next()
            if message.get("id") == self._number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result

    def show(self, address: str, width: int = 1280, dark: bool = False, media: str = "") -> None:
        """Loads an address and waits for it."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])
        self.call("Page.navigate", url=address)
        while self._next().get("method") != "Page.loadEventFired":
            pass

    def run(self, script: str) -> Any:
        """What a script gives; promises are waited for. The page's own policy does not bind the developer's tools."""
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def picture(self) -> bytes:
        """The whole page as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"])

    def window(self, height: int) -> bytes:
        """The window as PNG, `height` pixels from where the page is scrolled to."""
        view = self.call("Page.getLayoutMetrics")["cssVisualViewport"]
        clip = {"x": 0, "y": view["pageY"], "width": view["clientWidth"], "height": height, "scale": 1}
        return base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"])

    def pdf(self) -> bytes:
        """The page as it is printed."""
        return base64.b64decode(self.call("Page.printToPDF", preferCSSPageSize=True, printBackground=False)["data"])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            part = os.read(self._receive, 1 << 20)
            assert part, "the browser has gone"
            self._rest += part
        first, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(first)
        return message


def _beyond(number: int) -> int:
    moved = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(number)
    return moved


@contextlib.contextmanager
def chromium(profile: Path) -> Iterator[Page]:
    """A browser with one page; it is gone afterwards."""
    # The browser reads from descriptor 3 and writes to 4: ours are beyond these.
    theirs, send, receive, answers = (_beyond(number) for number in (*os.pipe(), *os.pipe()))
    command = (
        f'exec chromium --headless=new --no-sandbox --disable-gpu --remote-debugging-pipe --hide-scrollbars "$1" '
        f"3<&{theirs} 4>&{answers} {theirs}<&- {answers}>&-"
    )
    process = subprocess.Popen(
        ["bash", "-c", command, "chromium", f"--user-data-dir={profile}"],
        pass_fds=(theirs, answers),
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs)
    os.close(answers)
    try:
        yield Page(send, receive)
    finally:
        os.close(send)
        os.close(receive)
        process.terminate()
        try:
            process.wait(_ANSWER)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
