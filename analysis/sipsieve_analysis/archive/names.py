"""Tells an archive by its name, without what reads one."""

from __future__ import annotations

from pathlib import Path
from typing import Final

#: The file that makes a folder an archive.
MARK: Final = "sipsieve-archive.json"

_SCHEMES: Final = ("s3:/",)


def is_remote(name: str | Path) -> bool:
    """Whether a name is an address of a store rather than a path."""
    return str(name).startswith(_SCHEMES)


def is_archive(name: str | Path) -> bool:
    """Whether this names an archive. Of a store it is taken for granted."""
    return is_remote(name) or (Path(name) / MARK).is_file()


def is_there(name: str | Path) -> bool:
    """Whether a name can be read from. Of a store it is taken for granted."""
    return is_remote(name) or Path(name).exists()
