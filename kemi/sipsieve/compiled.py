"""Keeps compiled pattern sets in a file, so that a start does not compile again what has not changed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from .patterns import collecting, ready

#: A set of some hundred patterns takes a few MB; more than this is not ours.
_MOST_BYTES: Final = 256 << 20


class _Store(Struct, frozen=True):
    library: str
    sets: dict[str, bytes]


@contextmanager
def kept(path: str) -> Iterator[None]:
    """Inside the block, sets that the file holds are loaded; what had to be compiled is kept there after it.

    Whoever can write that file runs code in whoever reads it, so a file that others than this user
    or root may write is not read. Without a usable file, or without the right to write one, everything
    is compiled, which costs seconds and nothing else.
    """
    known = read(path)
    with ready(known), collecting() as used:
        yield
    if used.keys() - known.keys():
        write(path, used)


def read(path: str) -> dict[str, bytes]:
    """The sets of a file, by name; none where the file is not there, not ours or not of this library and processor."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return {}
    with open(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if (
            not stat.S_ISREG(about.st_mode)
            or about.st_uid not in (0, os.geteuid())
            or about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            or about.st_size > _MOST_BYTES
        ):
            return {}
        try:
            store = msgspec.msgpack.decode(file.read(), type=_Store)
        except (OSError, msgspec.DecodeError):
            return {}
    # Another release of Hyperscan, or another processor, has another format.
    return store.sets if store.library == _library() else {}


def write(path: str, sets: dict[str, bytes]) -> None:
    """Replaces the file in one go; where that is not allowed, nothing happens."""
    target = Path(path)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        with open(descriptor, "wb") as file:
            file.write(msgspec.msgpack.encode(_Store(_library(), sets)))
        os.replace(draft, target)
    except OSError:
        with suppress(OSError):
            draft.unlink()


def _library() -> str:
    """Names the library's release and this processor's abilities, on which a compiled set depends."""
    try:
        release = metadata.version("hyperscan")
    except metadata.PackageNotFoundError:
        # Installed without its description: then only the processor can be told.
        release = "unknown"
    with suppress(OSError), open("/proc/cpuinfo", encoding="ascii", errors="replace") as info:
        for line in info:
            if line.startswith(("flags", "Features")):
                return f"{release} {line.strip()}"
    return release
