"""Shows the Prometheus console as it would look had a decision log's week passed in the last hour."""

from __future__ import annotations

import bz2
import contextlib
import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
CONSOLE: Final = ROOT / "docs" / "operate" / "sipsieve.console.html"

#: Seconds that the log's time is pressed into, and between two samples.
SPAN: Final = 3600
STEP: Final = 30

#: What the guard exports once, whatever passes.
_STANDS: Final = (
    ("kamailio_sipsieve_inspection", "", 1),
    ("kamailio_sipsieve_bans", "", 0),
)
_LABELS: Final = 'instance="honeypot:9464",job="sipsieve"'


def samples(log: Path, end: int) -> str:
    """The counters that a log's records add up to, as OpenMetrics text, the last of them at `end` (seconds of Unix time)."""
    records = [json.loads(line) for line in bz2.open(log, "rt")]
    times = [datetime.fromisoformat(record["@timestamp"]).timestamp() for record in records]
    first, length = min(times), max(times) - min(times)
    counts: Counter[tuple[str, str]] = Counter()
    lines: dict[str, list[str]] = {
        "kamailio_sipsieve_messages": [],
        "kamailio_sipsieve_findings": [],
        "kamailio_sipsieve_records": [],
        "kamailio_sipsieve_errors": [],
    }
    ordered = sorted(zip(times, range(len(records)), strict=True))
    # Every series is there from the beginning, or its first step would not show.
    for record in records:
        for key in _keys(record):
            counts[key] = 0
    counts[("kamailio_sipsieve_errors", "")] = counts[("kamailio_sipsieve_records", 'result="lost",')] = 0
    for at in range(0, SPAN + STEP, STEP):
        while ordered and (ordered[0][0] - first) * SPAN / length <= at:
            counts.update(_keys(records[ordered.pop(0)[1]]))
        for (name, labels), count in sorted(counts.items()):
            lines[name].append(f"{name}_total{{{labels}{_LABELS}}} {count} {end - SPAN + at}")
    text = "".join(f"# TYPE {name} counter\n" + "\n".join(found) + "\n" for name, found in lines.items())
    policy, rules = records[-1]["policy"], records[-1]["rule"]["version"]
    version = f'policy="{policy["version"]}",rules="{rules}",mode="{policy["mode"]}",'
    for name, labels, value in (*_STANDS, ("kamailio_sipsieve_version_info", version, 1)):
        text += f"# TYPE {name} gauge\n"
        text += "".join(
            f"{name}{{{labels}{_LABELS}}} {value} {end - SPAN + at}\n" for at in range(0, SPAN + STEP, STEP)
        )
    return text + "# EOF\n"


def _keys(record: dict[str, Any]) -> list[tuple[str, str]]:
    """The counters that one record adds to."""
    sip, event = record["sip"], record["event"]
    families = {finding["family"] for finding in record.get("findings", ())}
    labels = f'method="{sip["method"]}",decision="{event["action"]}",transport="{record["network"]["transport"]}",'
    return [
        ("kamailio_sipsieve_messages", labels),
        ("kamailio_sipsieve_records", 'result="written",'),
        *(("kamailio_sipsieve_findings", f'family="{family}",') for family in sorted(families)),
    ]


@contextlib.contextmanager
def served(log: Path, folder: Path) -> Iterator[str]:
    """The console's address, at a real Prometheus on a free port of loopback that knows nothing else."""
    end = int(time.time())
    (folder / "samples.txt").write_text(samples(log, end))
    (folder / "prometheus.yml").write_text("{}\n")
    subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", folder / "samples.txt", folder / "data"],
        check=True, stdout=subprocess.DEVNULL, timeout=120,
    )  # fmt: skip
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    prometheus = subprocess.Popen(
        ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
         f"--web.console.templates={CONSOLE.parent}", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        address = f"http://127.0.0.1:{port}"
        _wait(f"{address}/-/ready")
        yield f"{address}/consoles/{CONSOLE.name}"
    finally:
        prometheus.terminate()
        prometheus.wait(30)


def _wait(address: str, seconds: float = 60) -> None:
    """Fails where an address does not answer in time."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (OSError, urllib.error.URLError):
            if time.monotonic() > deadline:
                raise
        time.sleep(0.2)
