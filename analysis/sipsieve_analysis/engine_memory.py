"""`--memory`: what the engine may use, and what to say where that is no size or too little."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Final

import click

from .operate.harmless import harmless

#: With this a process that read ten million records stayed below a gigabyte: Python and what it holds of the sources take the rest.
DEFAULT: Final = "700MB"

#: Below this the engine has no room to work in, however much it may write to disk.
LEAST_MB: Final = 200

_SIZE: Final = re.compile(r"(\d{1,9}(?:\.\d{1,3})?) ?([KMGT])(i?)B", re.IGNORECASE | re.ASCII)


@contextlib.contextmanager
def checked(
    memory: str, advice: str = "too little for these inputs; give more, or fewer files at once"
) -> Iterator[None]:
    """Refuses what is no size or too little, before and while the engine works; `advice` says what to do where it does not
    suffice. Raises `click.BadParameter`."""
    import duckdb

    shown = f"--memory {harmless(memory, 60)!r}"
    size = _SIZE.fullmatch(memory.strip())
    if size is None:
        raise click.BadParameter(f"{shown}: no size; allowed: a number with its unit, as 1000MB or 2GiB")
    power = "KMGT".index(size[2].upper()) + 1
    if float(size[1]) * (1024 if size[3] else 1000) ** power < LEAST_MB * 1e6:
        raise click.BadParameter(f"{shown}: too little; {LEAST_MB}MB is the least that is taken")
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise click.BadParameter(f"{shown}: {advice}") from error
