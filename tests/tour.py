"""The commands of docs/tour.md and what they print: shows them, and with --write puts the outputs into the page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "tour.md"

_BLOCK = re.compile(r"^```console\n\$ (.+)\n((?:(?!```).*\n)*)```$", re.M)


def steps() -> list[tuple[str, str]]:
    """Each command of the page, with the output that stands there."""
    return [(match[1], match[2]) for match in _BLOCK.finditer(PAGE.read_text())]


def output(command: str) -> str:
    """What a command prints, on a terminal of 100 columns without colours."""
    (ROOT / "build").mkdir(exist_ok=True)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "COLUMNS": "100", "NO_COLOR": "1", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    lines = (done.stdout + done.stderr).rstrip().splitlines()
    return "".join(f"{line.rstrip()}\n" for line in lines)


if __name__ == "__main__":
    text = PAGE.read_text()
    text = _BLOCK.sub(lambda match: f"```console\n$ {match[1]}\n{output(match[1])}```", text)
    if "--write" in sys.argv:
        PAGE.write_text(text)
    else:
        print(text)
