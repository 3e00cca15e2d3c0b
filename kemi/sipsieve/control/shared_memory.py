"""The memory that all workers share, mapped before Kamailio forks."""

from __future__ import annotations

import mmap
from typing import Final

from .. import _core
from .broadcast import Broadcast
from .scoreboard import Scoreboard

#: Workers that get pages of their own in the ledger; Kamailio numbers its SIP workers from 1.
WORKERS: Final = 128


class Shared:
    """All tables that processes share.

    `ledger_path` names a file for the ledger, so that counts survive `kill -9`; where it can't be had (not writable,
    held by another server) anonymous memory serves. `interval` in seconds, `capacity` in counters of a window, `listed` in entries of
    lists from outside.
    """

    def __init__(self, interval: int, ledger_path: str = "", capacity: int = 32768, listed: int = 0) -> None:
        #: What is counted and remembered of messages.
        self.memory = _core.Memory(capacity, ledger_path, WORKERS, interval)
        self.counts = self.memory.counts
        self.retransmissions = self.memory.retransmissions
        self.marks = self.memory.marks
        self.answered = self.memory.answered
        self.ledger = self.memory.ledger
        self.durable: bool = self.ledger.durable
        #: Whether the log may end in half a line, and how many bytes it has at least if nobody cut it.
        self.end = _core.Words(2)
        #: Bytes of records in the running second.
        self.spent = _core.Words(1)
        #: Lists from outside; None where there is no room for any.
        self.feeds = _core.Feeds(listed) if listed else None
        self.board = Scoreboard(WORKERS)
        # Only pages that are written take memory, so the room for a revision costs nothing until a reload.
        self.broadcast = Broadcast(memoryview(mmap.mmap(-1, Broadcast.bytes_for())))
