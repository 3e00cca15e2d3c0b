"""Tells what an input file is and opens it, compressed or not."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO, Final

#: Bytes looked at to tell a file's kind: a few lines of any of the logs.
_PEEK: Final = 16384

_PCAP: Final = (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d", b"\x0a\x0d\x0d\x0a")


class InputError(Exception):
    """An input that can't be read: names the file, what is wrong, and what to do."""


class InputKind(StrEnum):
    """What a file holds."""

    DECISIONS = "decision log"
    RAW = "raw Kamailio log"
    PCAP = "packet capture"
    EMPTY = "empty file"


def compression(path: Path) -> str:
    """`gzip`, `bzip2`, `xz`, `zstd` or "" by the file's first bytes. Raises `InputError`."""
    try:
        with path.open("rb") as file:
            magic = file.read(6)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    if magic.startswith(b"\x1f\x8b"):
        return "gzip"
    if magic.startswith(b"BZh"):
        return "bzip2"
    if magic.startswith(b"\xfd7zXZ\x00"):
        return "xz"
    return "zstd" if magic.startswith(b"\x28\xb5\x2f\xfd") else ""


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The file's bytes, decompressed. A damaged archive ends where the damage begins."""
    how = compression(path)
    stream: IO[bytes]
    if how == "gzip":
        stream = gzip.open(path, "rb")  # type: ignore[assignment]
    elif how == "bzip2":
        stream = bz2.open(path, "rb")
    elif how == "xz":
        stream = lzma.open(path, "rb")
    elif how == "zstd":
        stream = _zstd(path)
    else:
        stream = path.open("rb")
    with stream:
        yield stream


def _zstd(path: Path) -> IO[bytes]:
    try:
        done = subprocess.run(["zstd", "-dcq", "--", str(path)], capture_output=True, check=False)
    except FileNotFoundError as error:
        raise InputError(f"{path}: is zstd-compressed and `zstd` is not installed: apt-get install zstd") from error
    return io.BytesIO(done.stdout)


def lines(stream: IO[bytes], limit: int = 1 << 20) -> Iterator[bytes]:
    """The stream's lines, their ends kept. A line over `limit` bytes is cut; what was cut is skipped."""
    while True:
        try:
            line = stream.readline(limit)
        except (OSError, EOFError, lzma.LZMAError):
            # A damaged or truncated archive: what could be read is what there is.
            return
        if not line:
            return
        yield line
        while len(line) == limit and not line.endswith(b"\n"):
            line = stream.readline(limit)


def kind_of(path: Path) -> InputKind:
    """What the file holds, told by its content, never by its name. Raises `InputError`."""
    with opened(path) as stream:
        try:
            head = stream.read(_PEEK)
        except (OSError, EOFError, lzma.LZMAError) as error:
            raise InputError(f"{path}: cannot be decompressed: {error}") from error
    if head[:4] in _PCAP:
        return InputKind.PCAP
    stripped = [line for line in head.split(b"\n") if line.strip()]
    if not stripped:
        return InputKind.EMPTY
    # One damaged line at the start must not turn a decision log into something else.
    decisions = sum(line.startswith(b"{") and b'"@timestamp"' in line for line in stripped)
    return InputKind.DECISIONS if decisions * 2 >= len(stripped) or decisions >= 2 else InputKind.RAW
