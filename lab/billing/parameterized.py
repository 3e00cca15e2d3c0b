"""Stores a caller the way that it should be done: parameters, no shell, escaped text."""

from __future__ import annotations

import html
import json
from typing import Any

from .event import Event


def store(connection: Any, event: Event, log: str) -> None:
    """One parameterized statement; the log line is JSON, so that no text can end it."""
    with open(log, "a", encoding="utf-8") as lines:
        lines.write(json.dumps({"call": event._asdict()}) + "\n")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO callers (name, number, agent, method) VALUES (%s, %s, %s, %s)",
            (event.name, event.number, event.agent, event.method),
        )


def page(rows: list[tuple[str, str, str]]) -> str:
    """The callers' list, every cell escaped."""
    cells = "".join("<tr>" + "".join(f"<td>{html.escape(cell or '')}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<!doctype html><title>Callers</title><table>{cells}</table>"
