"""Compiles sets of patterns for Hyperscan, or takes them ready from the process that compiled them.

Compiling costs milliseconds for each pattern, loading a compiled set a tenth of one for all. At a
live reload one process compiles and every worker loads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import hyperscan


class Pattern(NamedTuple):
    """One expression: the id that a match reports, the pattern, Hyperscan's flags."""

    identity: int
    expression: str
    flags: int


#: What `ready` put in place: serialised databases by what they were made of.
_ready: dict[str, bytes] = {}
#: What `collecting` gathers; None while nobody does.
_collected: dict[str, bytes] | None = None


def compile_set(patterns: Sequence[Pattern]) -> hyperscan.Database:
    """A block-mode database of these patterns. Raises `hyperscan.error`."""
    name = hashlib.sha256(repr([tuple(pattern) for pattern in patterns]).encode()).hexdigest()
    serialised = _ready.get(name)
    if serialised is not None:
        database = hyperscan.loadb(serialised, hyperscan.HS_MODE_BLOCK)
        database.scratch = hyperscan.Scratch(database)
    else:
        database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        database.compile(
            expressions=[pattern.expression.encode() for pattern in patterns],
            ids=[pattern.identity for pattern in patterns],
            elements=len(patterns),
            flags=[pattern.flags for pattern in patterns],
        )
    if _collected is not None:
        _collected[name] = hyperscan.dumpb(database)
    return database


@contextmanager
def collecting() -> Iterator[dict[str, bytes]]:
    """Gathers, serialised, every database that is made inside the block."""
    global _collected
    gathered: dict[str, bytes] = {}
    _collected = gathered
    try:
        yield gathered
    finally:
        _collected = None


@contextmanager
def ready(databases: Mapping[str, bytes]) -> Iterator[None]:
    """Inside the block, sets that are in `databases` are loaded instead of compiled."""
    _ready.update(databases)
    try:
        yield
    finally:
        _ready.clear()
