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


#: What `ready` put in place: serialised databases by what they were made of, the innermost block last.
_ready: list[Mapping[str, bytes]] = []
#: What `collecting` gathers, one for each block.
_collected: list[dict[str, bytes]] = []


def compile_set(patterns: Sequence[Pattern]) -> hyperscan.Database:
    """A block-mode database of these patterns. Raises `hyperscan.error`."""
    name = hashlib.sha256(repr([tuple(pattern) for pattern in patterns]).encode()).hexdigest()
    serialised = next((known[name] for known in reversed(_ready) if name in known), None)
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
    if _collected:
        serialised = serialised or hyperscan.dumpb(database)
        for gathered in _collected:
            gathered[name] = serialised
    return database


@contextmanager
def collecting() -> Iterator[dict[str, bytes]]:
    """Gathers, serialised, every database that is made inside the block. Blocks may stand in one another."""
    gathered: dict[str, bytes] = {}
    _collected.append(gathered)
    try:
        yield gathered
    finally:
        _collected.pop()


@contextmanager
def ready(databases: Mapping[str, bytes]) -> Iterator[None]:
    """Inside the block, sets that are in `databases` are loaded instead of compiled."""
    _ready.append(databases)
    try:
        yield
    finally:
        _ready.pop()
