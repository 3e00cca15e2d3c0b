"""Looks at the back office from outside its process: reset it, or see what an attack achieved.

`python3 -m billing.inspect reset`, or `probe` with goals as JSON on standard input.
"""

from __future__ import annotations

import json
import re
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from .office import PAGES, STATE, VARIANTS, connect, log_of

HOOK = Path("/tmp/hook")

#: Seconds without an event after which all are taken as stored, and when that is no longer waited for.
IDLE, LATEST = 0.3, 5.0


def reset() -> None:
    """Everything as on the first day."""
    schema = Path("/lab/schema.sql").read_text()
    for variant in VARIANTS:
        connection = connect(variant)
        connection.cursor().execute(schema)
        connection.close()
        Path(log_of(variant)).write_text("")
    for file in HOOK.iterdir():
        file.unlink()


def probe(goal: dict[str, str], variant: str) -> bool:
    """Whether the goal shows in the variant."""
    if goal.get("sql"):
        with connect(variant) as connection, connection.cursor() as cursor:
            cursor.execute(goal["sql"])
            row = cursor.fetchone()
        return bool(row and row[0])
    if goal.get("file"):
        # Only the vulnerable variant has a hook: in the other one nothing can be made.
        return variant == "vulnerable" and (HOOK / Path(goal["file"]).name).exists()
    if goal.get("page"):
        with urllib.request.urlopen(f"http://127.0.0.1:{PAGES}/{variant}", timeout=5) as page:
            return goal["page"] in page.read().decode()
    text = Path(log_of(variant)).read_text(encoding="utf-8")
    return any(re.fullmatch(goal["log"], line) for line in re.split(r"\r\n|\n|\r", text))


def _settle() -> None:
    end = time.monotonic() + LATEST
    last = STATE / "last"
    while time.monotonic() < end:
        # Monotonic time is the kernel's, the same for all processes of the container.
        if not last.exists() or time.monotonic() - float(last.read_text() or 0) > IDLE:
            return
        time.sleep(0.05)


def main() -> None:
    """Runs the command given."""
    if sys.argv[1:] == ["reset"]:
        _settle()
        reset()
        return
    goals: list[dict[str, Any]] = json.load(sys.stdin)
    _settle()
    json.dump([{variant: probe(goal, variant) for variant in VARIANTS} for goal in goals], sys.stdout)


if __name__ == "__main__":
    main()
