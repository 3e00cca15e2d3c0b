"""Keeps a text on disk with its checksum, replaced in one step."""

from __future__ import annotations

import hashlib
import os
import tempfile

from . import state_file


def keep(path: str, text: str) -> None:
    """Writes an ASCII text; who reads sees the old or the new one. Makes the folder. Raises OSError."""
    folder = os.path.dirname(path) or "."
    os.makedirs(folder, mode=0o750, exist_ok=True)
    content = text.encode("ascii", "replace")
    descriptor, new = tempfile.mkstemp(prefix=".kept-", dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except BaseException:
        os.unlink(new)
        raise


def kept(path: str, most: int) -> tuple[str, float]:
    """The text and when it was written, in seconds since the epoch. Raises OSError, and ValueError where it is damaged or longer than
    `most` bytes."""
    whole = state_file.taken(path, most)
    checksum, _, text = whole.partition("\n")
    if hashlib.sha256(text.encode("ascii")).hexdigest() != checksum:
        raise ValueError("its checksum is wrong")
    return text, os.stat(path).st_mtime
