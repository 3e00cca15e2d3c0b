"""`--memory`: what the engine may use, and what to say where that is no size or too little."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import click

from .operate.harmless import harmless
from .readers.kinds import InputKind, compression, kind_of

#: With this a process that read ten million records stayed below a gigabyte: Python and what it holds of the sources take the rest.
DEFAULT: Final = "700MB"

#: Below this the engine has no room to work in, however much it may write to disk.
LEAST_MB: Final = 200

#: Events are kept in memory where their inputs are at most this part of what the engine may use: a line of 250 bytes makes an event of
#: 280. Of a capture half of that: whoever sends packets of 90 bytes makes events of 200.
_PART: Final = 6
_PART_OF_PACKETS: Final = 12

_SIZE: Final = re.compile(r"(\d{1,9}(?:\.\d{1,3})?) ?([KMGT])(i?)B", re.IGNORECASE | re.ASCII)


@contextlib.contextmanager
def checked(
    memory: str, advice: str = "too little for these inputs; give more, or fewer files at once"
) -> Iterator[None]:
    """Refuses what is no size or too little, before and while the engine works; `advice` says what to do where it does not
    suffice. Raises `click.BadParameter`."""
    import duckdb

    shown = f"--memory {harmless(memory, 60)!r}"
    size = _bytes(memory)
    if size is None:
        raise click.BadParameter(f"{shown}: no size; allowed: a number with its unit, as 1000MB or 2GiB")
    if size < LEAST_MB * 1e6:
        raise click.BadParameter(f"{shown}: too little; {LEAST_MB}MB is the least that is taken")
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise click.BadParameter(f"{shown}: {advice}") from error


def is_small(paths: Iterable[Path], memory: str) -> bool:
    """Whether the events of these inputs take little of that size, which the engine may use: all are plain files of few bytes.

    Raises `InputError` for a file that can't be read.
    """
    size = 0
    for path in paths:
        if not path.is_file() or compression(path):
            return False
        size += path.stat().st_size * (_PART_OF_PACKETS if kind_of(path) is InputKind.PCAP else _PART)
    return size <= (_bytes(memory) or 0)


def _bytes(memory: str) -> float | None:
    """A size in bytes; None for what is no size."""
    size = _SIZE.fullmatch(memory.strip())
    if size is None:
        return None
    unit: int = (1024 if size[3] else 1000) ** ("KMGT".index(size[2].upper()) + 1)
    return float(size[1]) * unit
