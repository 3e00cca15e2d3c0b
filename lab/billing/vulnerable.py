"""INTENTIONALLY VULNERABLE. Stores a caller the way that it must not be done: never copy from here."""

from __future__ import annotations

import subprocess
from typing import Any

from .event import Event

#: The caller's name is put into a command line: a pop-up, a voicemail hook, a CDR script.
HOOK = 'cd /tmp/hook && echo "call from {}" >>hook.log'


def store(connection: Any, event: Event, log: str) -> None:
    """Concatenates SQL, runs a shell with the caller's name in it, writes raw text to a log of lines."""
    with open(log, "a", encoding="utf-8", newline="") as lines:
        lines.write(f"NOTICE call from {event.name} <{event.number}> agent {event.agent} subject {event.subject}\n")
    if event.method == "INVITE":
        subprocess.run(["sh", "-c", HOOK.format(event.name)], timeout=5, check=False, capture_output=True)
    with connection.cursor() as cursor:
        # The quote is the whole hole, and the point of the lab.
        cursor.execute(
            f"INSERT INTO callers (method, number, agent, name) "  # noqa: S608
            f"VALUES ('{event.method}', '{event.number}', '{event.agent}', '{event.name}')"
        )


def page(rows: list[tuple[str, str, str]]) -> str:
    """The callers' list, unescaped."""
    cells = "".join(f"<tr><td>{name}</td><td>{number}</td><td>{agent}</td></tr>" for name, number, agent in rows)
    return f"<!doctype html><title>Callers</title><table>{cells}</table>"
