"""Compiles sets of patterns for Hyperscan, or takes them ready from the process that compiled them.

Compiling costs milliseconds for each pattern, loading a compiled set a tenth of one for all. At a
live reload one process compiles and every worker loads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

import hyperscan
import msgspec


class Pattern(NamedTuple):
    """One expression: the id that a match reports, the pattern, Hyperscan's flags."""

    identity: int
    expression: str
    flags: int


#: What `ready` put in place: serialised databases by what they were made of, the innermost block last.
_ready: list[Mapping[str, bytes]] = []
#: What `collecting` gathers, one for each block.
_collected: list[dict[str, bytes]] = []
#: The sets of the last `holding` block, and those of the running one; None outside of any.
_held: dict[str, hyperscan.Database] = {}
_holding: dict[str, hyperscan.Database] | None = None
#: The texts that `derived` made last, and how many of them are held.
_texts: dict[str, bytes] = {}
_TEXTS: Final = 4


def compile_set(patterns: Sequence[Pattern]) -> hyperscan.Database:
    """A block-mode database of these patterns. Raises `hyperscan.error`."""
    name = hashlib.sha256(repr([tuple(pattern) for pattern in patterns]).encode()).hexdigest()
    serialised = next((known[name] for known in reversed(_ready) if name in known), None)
    if _holding is not None and (held := _held.get(name) or _holding.get(name)) is not None:
        database = held
    elif serialised is not None:
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
    if _holding is not None:
        _holding[name] = database
    if _collected:
        serialised = serialised or hyperscan.dumpb(database)
        for gathered in _collected:
            gathered[name] = serialised
    return database


def derived(purpose: str, made_of: object, compute: Callable[[], Iterable[str]]) -> tuple[str, ...]:
    """What `compute` derives from patterns, sorted, handed on and kept like a compiled set.

    `made_of` must have the same `repr` wherever it means the same.
    """
    name = hashlib.sha256(repr((purpose, made_of)).encode()).hexdigest()
    known = next((sets[name] for sets in (_texts, *reversed(_ready)) if name in sets), None)
    texts = known if known is not None else msgspec.json.encode(sorted(compute()))
    if _holding is not None:
        # Some tens of kilobytes, and only of what is in force or was before.
        for old in list(_texts)[:-_TEXTS]:
            del _texts[old]
        _texts[name] = texts
    for gathered in _collected:
        gathered[name] = texts
    return tuple(msgspec.json.decode(texts, type=list[str]))


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


@contextmanager
def holding() -> Iterator[None]:
    """Takes over as they are the sets of the last such block, and holds those of this one for the next.

    A change of the policy alone then costs no memory: the sets stay those that all workers share.
    """
    global _held, _holding
    _holding = {}
    try:
        yield
        _held = _holding
    finally:
        _holding = None
