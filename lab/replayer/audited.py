"""What `sipsieve audit` says of a vulnerable configuration, shown: as it is, with the guard in front, and with the corrected line."""

from __future__ import annotations

import shutil
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from sipsieve_analysis.audit.audit import audit
from sipsieve_analysis.audit.findings import Finding
from sipsieve_analysis.operate.harmless import harmless

from .kamailio import ROOT, Process, free_port, kamailio
from .loopback import EDGE, PBX
from .show import table

CONFIG: Final = ROOT / "lab" / "audited" / "kamailio.cfg"

#: Seconds that an answer may take.
ANSWER: Final = 10.0


def audited(folder: Path) -> bool:
    """Fires each finding's message three times, prints what came of it, and says whether all went as the audit says."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    findings = [finding for finding in audit(CONFIG).findings if finding.kind == "sql"]
    rows, held = [], bool(findings)
    for number, finding in enumerate(findings):
        sent = _sent(finding)
        lines = CONFIG.read_text().splitlines()
        plain = _fired(folder / f"{number}-plain", lines, finding, guarded=False)
        guarded = _fired(folder / f"{number}-guarded", lines, finding, guarded=True)
        lines[finding.steps[0].place.line - 1] = finding.corrected
        mended = _fired(folder / f"{number}-corrected", lines, finding, guarded=False)
        # A query that took the value as a value has it in the table; one that took it as SQL has what that comes to.
        as_text = [any(sent in value for value in stored) for _, stored in (plain, mended)]
        held &= bool(plain[1]) and as_text == [False, True] and guarded == (403, [])
        for name, (status, stored) in (("as it is", plain), ("guard in front", guarded), ("corrected line", mended)):
            said = ", ".join(harmless(str(value), 40) for value in stored) or "nothing"
            rows.append([f"{finding.place.line}: {finding.variable}", name, str(status or "none"), said])
    print(f"sipsieve audit {CONFIG.relative_to(ROOT)}: {len(findings)} queries that a sender can change\n")
    print(table(["line", "server", "answer", "in the table of calls"], rows))
    print("\nAll as the audit says." if held else "\nSomething is not as the audit says.")
    return held


def _sent(finding: Finding) -> str:
    """The value that the message brings where the finding's variable shows it."""
    return "x' OR '1'='1" if finding.variable == "$fn" else "x'/**/OR/**/'1'='1"


def _fired(folder: Path, lines: list[str], finding: Finding, *, guarded: bool) -> tuple[int, list[str]]:
    """The answer's status, 0 for none, and what stands in the table afterwards."""
    folder.mkdir()
    database = folder / "calls.sqlite"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE calls (caller TEXT, called TEXT)")
        connection.commit()
    port = free_port(PBX)
    config = folder / "kamailio.cfg"
    text = "\n".join(lines).replace(f"{PBX}:5060", f"{PBX}:{port}").replace("/tmp/calls.sqlite", str(database))
    config.write_text(text + "\n")
    with _running(kamailio(folder, config, {}, port, "audited")):
        target = (PBX, port)
        if not guarded:
            status = _exchange(finding.message, target)
        else:
            with _running(_edge(folder, f"sip:{PBX}:{port}")) as edge:
                status = _exchange(finding.message, (EDGE, edge.port))
    with closing(sqlite3.connect(database)) as connection:
        return status, [str(value) for row in connection.execute("SELECT caller, called FROM calls") for value in row]


@contextmanager
def _running(process: Process) -> Iterator[Process]:
    try:
        process.start()
        yield process
    finally:
        process.stop()


def _edge(folder: Path, backend: str) -> Process:
    port = free_port(EDGE)
    policy = folder / "policy.toml"
    policy.write_text("")
    environment = {
        "SIPSIEVE_LISTEN": f"udp:{EDGE}:{port}",
        "SIPSIEVE_BACKEND": backend,
        "SIPSIEVE_POLICY": str(policy),
        "SIPSIEVE_LOG": str(folder / "decisions.jsonl"),
        "SIPSIEVE_WORKERS": "1",
        "SIPSIEVE_PYTHON": str(ROOT / "kemi" / "sipsieve_kemi.py"),
        "SIPSIEVE_VENV": str(ROOT / ".venv"),
        "SIPSIEVE_RUN": str(folder),
    }
    return kamailio(folder, ROOT / "kamailio.cfg", environment, port, "edge")


def _exchange(message: str, target: tuple[str, int]) -> int:
    """Sends a finding's message; the status of its final answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind(("127.0.0.1", 0))
        client.settimeout(ANSWER)
        host, port = client.getsockname()
        client.sendto(message.replace("UDP 127.0.0.1:5070;", f"UDP {host}:{port};").encode(), target)
        while True:
            try:
                status = int(client.recv(65535).split(b" ", 2)[1])
            except (TimeoutError, IndexError, ValueError):
                return 0
            if status >= 200:
                return status
