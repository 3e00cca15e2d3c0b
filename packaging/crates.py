"""Writes the table of crates in NOTICE anew, from what Cargo.lock pins: `make notice`; `--check` only compares.

What a build takes for Linux is named, the crates that run while it builds too.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
BEGIN: Final = "Linked into the compiled core, or used to build it (Rust crates"
TABLE: Final = re.compile(rf"^{re.escape(BEGIN)}[^|]*?\n\n((?:\|.*\n)+)", re.M)


def rows() -> list[tuple[str, str, str, str]]:
    """Each crate's name, version, licence and authors, as its own manifest gives them."""
    done = subprocess.run(
        ["cargo", "metadata", "--locked", "--format-version", "1", "--features", "python"],
        cwd=ROOT / "kemi" / "core", check=True, capture_output=True,
    )  # fmt: skip
    found = []
    for package in json.loads(done.stdout)["packages"]:
        if package["source"] is None:
            continue
        authors = ", ".join(re.sub(r" *<.*?>", "", author) for author in package["authors"]) or "its authors"
        found.append((package["name"], package["version"], package["license"] or "?", authors[:60]))
    return sorted(found)


def table() -> str:
    lines = [("crate", "version", "licence", "copyright"), *rows()]
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    text = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text) + "\n"


def main() -> int:
    path = ROOT / "NOTICE"
    before = path.read_text()
    found = TABLE.search(before)
    if not found:
        raise SystemExit(f"NOTICE: no part begins {BEGIN!r}")
    after = before[: found.start(1)] + table() + before[found.end(1) :]
    if "--check" in sys.argv:
        print("NOTICE names each crate" if after == before else "NOTICE: not as Cargo.lock has it: call `make notice`")
        return after != before
    path.write_text(after)
    return 0


if __name__ == "__main__":
    sys.exit(main())
