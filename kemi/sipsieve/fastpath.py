"""What the compiled fast path is given: memory that it shares with Python, and what it asks Python for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import limits, record
from .model import Source
from .network import CONNECTED

#: Senders known at a time, some 600 bytes each.
MOST_SENDERS = 4096


@dataclass(slots=True, frozen=True)
class Plan:
    """All that `native/fastpath.c` needs. Buffers are writable and shared with the modules that they belong to."""

    # What it calls: Kamailio, then Python.
    #: `KSR.pv.get`.
    get: Callable[[str], Any]
    #: (msg, where): decides on a message that does not pass here.
    slow: Callable[..., int]
    #: A counter began in this window.
    opened: Callable[[], None]
    #: (where, shape, counter's name, count): goes on with a message that was counted and is more than quiet, or (0)
    #: for whose counter there was no room.
    over: Callable[..., int]
    #: (source, method, now): counts a passed message; answers where it is counted, -1 where that is no place of its own.
    tally: Callable[[Source, str, float], int]
    #: (line, now, source, method): writes a passed message's record.
    write: Callable[[bytes, float, Source, str], None]
    #: A second since the epoch, as records write it.
    second: Callable[[int], bytes]
    #: How long one decision in 64 took, in seconds.
    took: Callable[[float], None]
    failed: Callable[[BaseException], None]
    in_transaction: Callable[[], bool | None]
    body_is_plain: Callable[[bytes], bool]

    # What it reads and writes.
    #: A `Counts` of the native module.
    counts: Any
    head: Any
    crowded: Any
    copies: Any
    marks: Any
    answered: Any
    ledger: Any
    clock: Any
    #: The number of this process's last record, 64 bits.
    sequence: Any

    # What does not change while it lives.
    secret: bytes
    methods: tuple[str, ...]
    counters: tuple[str, ...]
    #: The edition that it decides by; with another one at `head` Python is asked.
    number: int
    sdp: bool
    #: Length of a page of the ledger, lives of a dialog and of a nonce, in seconds.
    interval: int
    life: int
    nonce_life: int
    #: Copies of a message that are not counted.
    retransmissions: int
    #: One in so many passed messages gets a record; 0 none.
    every: int
    most_senders: int
    #: As `Recorder.allowed`; and how this process's records are named.
    fixed: bytes
    prefix: bytes


def sender(source: Source, rules: limits.Limits) -> tuple[Source, str, str, bool, bool, int, tuple[int, ...], bytes]:
    """What `FastPath.meet` is told of a source."""
    return (
        source,
        source.key,
        source.cell,
        rules.enabled and not source.trusted,
        source.transport in CONNECTED,
        limits.port_mark(source) & 0xFFFFFFFFFFFFFFFF,
        rules.quiet(source),
        record.origin(source),
    )
