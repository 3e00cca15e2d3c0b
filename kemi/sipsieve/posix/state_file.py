"""Reads what a server kept on disk, and sets aside what is damaged."""

from __future__ import annotations

import os


def taken(path: str, most: int) -> str:
    """The text of a file of ASCII. Raises `ValueError` where it is anything else or has more than `most` bytes, and `OSError`."""
    with open(path, "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it has more than {most} bytes")
    return content.decode("ascii")


def set_aside(path: str) -> str:
    """Renames a damaged file to `*.damaged`, one of before replaced. Says so in words to append to a notice, "" where it can't."""
    aside = f"{path}.damaged"
    try:
        os.replace(path, aside)
    except OSError:
        return ""
    return f", set aside as {aside}"
