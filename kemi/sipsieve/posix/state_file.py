"""Reads files that others may have harmed, and sets aside what is damaged."""

from __future__ import annotations

import errno
import os
import stat


def content(path: str | os.PathLike[str], most: int) -> bytes:
    """What a file holds. Raises `OSError`, also for more than `most` bytes, and for a pipe: maybe nobody ever writes into it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is a pipe, not a file", os.fspath(path))
        found = file.read(most + 1)
    if len(found) > most:
        raise OSError(errno.EFBIG, f"it has more than {most} bytes", os.fspath(path))
    return found


def taken(path: str, most: int) -> str:
    """The text of a file of ASCII. Raises `ValueError` where it is anything else, and `OSError` as `content` does."""
    return content(path, most).decode("ascii")


def set_aside(path: str) -> str:
    """Renames a damaged file to `*.damaged`, one of before replaced. Says so in words to append to a notice, "" where it can't."""
    aside = f"{path}.damaged"
    try:
        os.replace(path, aside)
    except OSError:
        return ""
    return f", set aside as {aside}"
