"""What the compiled fast path is given: memory that it shares with Python, and what it asks Python for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from . import answered, challenge, limits, native, record, scoreboard
from .accounts import Accounts
from .counting import SharedCounters
from .edition import Edition
from .model import Source
from .network import CONNECTED
from .shared import Shared
from .sieve import METHODS

if TYPE_CHECKING:
    from ._native import FastPath

#: Senders known at a time, some 600 bytes each.
MOST_SENDERS: Final = 4096


class Calls(NamedTuple):
    """What it asks of Kamailio and of the adapter; see `Plan`."""

    get: Callable[[str], Any]
    slow: Callable[..., int]
    over: Callable[..., int]
    tally: Callable[[Source, str, float], int]
    write: Callable[[bytes, float, Source, str], None]
    failed: Callable[[BaseException], None]
    in_transaction: Callable[[], bool | None]


@dataclass(slots=True, frozen=True)
class Plan:
    """All that `native/fastpath.c` needs. Buffers are writable and shared with the modules that they belong to."""

    # What it calls: Kamailio, then Python.
    #: Reads one of Kamailio's pseudo-variables.
    get: Callable[[str], Any]
    #: (msg, where): decides on a message that does not pass here.
    slow: Callable[..., int]
    #: A counter began in this window.
    opened: Callable[[], None]
    #: (where, shape, counter's name, count, steady time): goes on with a message that was counted and is more than quiet, or (0)
    #: for whose counter there was no room.
    over: Callable[..., int]
    #: (source, method, now): counts a passed message; answers where it is counted, -1 where that is no place of its own.
    tally: Callable[[Source, str, float], int]
    #: (line, now, source, method): writes a passed message's record, where it can't be written at once.
    write: Callable[[bytes, float, Source, str], None]
    #: (method, action, transport): the cell of `board` for a record.
    cell: Callable[[str, str, str], int]
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
    #: The journal's descriptor and what belongs to it; whether its file ends in half a line.
    journal: Any
    torn: Any
    #: This process's row of the scoreboard.
    board: Any
    #: How many messages passed here, 64 bits.
    passed: Any

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
    #: The cell of `board` for the number of records written.
    written: int
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


def one_in(setting: str) -> int:
    """`[log] allow` as a number: 1 each, N one in N, 0 none."""
    if setting.startswith("sample:"):
        return int(setting.partition(":")[2])
    return 1 if setting == "each" else 0


def made(
    calls: Calls,
    shared: Shared,
    counters: SharedCounters,
    edition: Edition,
    number: int,
    accounts: Accounts,
) -> FastPath | None:
    """The fast path of this process; None where it is not built, or where records hold what it can't write.

    `number`: the edition's, as far as this process got.
    """
    known, policy = edition.engine.shapes.table, edition.policy
    every, fixed = one_in(policy.log.allow), edition.recorder.allowed()
    if native.module is None or not isinstance(known, native.module.KnownShapes) or (every and not fixed):
        return None
    plan = Plan(
        **calls._asdict(),
        opened=counters.opened,
        second=record.second,
        took=shared.board.took,
        body_is_plain=edition.ruleset.body_is_plain,
        counts=shared.counts,
        head=shared.publication.head,
        crowded=counters.crowded,
        copies=counters.retransmissions.words,
        marks=counters.marks.buffer,
        answered=counters.answered.words,
        ledger=shared.ledger.words,
        clock=shared.ledger.clock,
        sequence=accounts.sequence,
        cell=shared.board.cell,
        journal=accounts.journal.state,
        torn=accounts.journal.shared,
        board=shared.board.row,
        written=scoreboard.WRITTEN,
        passed=shared.board.short,
        secret=native.SECRET,
        methods=METHODS,
        counters=limits.COUNTERS,
        number=number,
        sdp=policy.detection.sdp,
        interval=policy.log.summary_seconds,
        life=answered.LIFE,
        nonce_life=challenge.NONCE_LIFE,
        retransmissions=limits.RETRANSMISSIONS,
        every=every,
        most_senders=MOST_SENDERS,
        fixed=fixed,
        prefix=f"{accounts.prefix}-".encode(),
    )
    fast: FastPath = native.module.FastPath(plan, known)
    return fast
