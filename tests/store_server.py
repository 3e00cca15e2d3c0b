"""An S3-compatible store on loopback."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from harness import ROOT, free_port


@contextmanager
def store_server() -> Iterator[str]:
    """The address of an archive in an empty bucket of moto's server, which takes whatever keys are in the environment."""
    port = free_port()
    environment = {**os.environ, "PYTHONPATH": str(ROOT / ".venv/s3-server")}
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], env=environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                request = urllib.request.Request(f"http://127.0.0.1:{port}/archive", method="PUT")
                urllib.request.urlopen(request, timeout=5).close()
                break
            except OSError:
                assert time.monotonic() < deadline and server.poll() is None
                time.sleep(0.05)
        yield f"s3://archive/eu?region=us-east-1&scheme=http&endpoint_override=127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()
