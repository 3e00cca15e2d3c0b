"""Deletes what was rotated out of the decision log and is older than the policy keeps it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_DAY: Final = 86400

#: How logrotate names what it moved: decisions.jsonl.1, .2.gz, or with a date: -20260131, .gz.
_ROTATED: Final = re.compile(r"[.-][0-9]{1,10}(?:\.(?:gz|xz|zst|bz2))?")


def rotated(log: Path) -> list[Path]:
    """The files that were rotated out of a log; never the log itself, nor anything that only looks alike."""
    name = log.name
    return sorted(
        path
        for path in log.parent.iterdir()
        if path.name.startswith(name)
        and _ROTATED.fullmatch(path.name[len(name) :])
        and path.is_file()
        and not path.is_symlink()
    )


def expired(log: Path, days: int, now: float) -> list[Path]:
    """Those whose newest record is older than so many days. A file is as old as its last change."""
    return [path for path in rotated(log) if path.stat().st_mtime < now - days * _DAY] if days else []
