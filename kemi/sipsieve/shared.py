"""The memory that all workers share, mapped before Kamailio forks."""

from __future__ import annotations

import fcntl
import mmap
import os
import time
from typing import Any, Final

from . import native
from .answered import Answered
from .journal import SHARED_BYTES
from .ledger import Ledger
from .marks import Marks
from .publication import Publication
from .retransmission import RetransmissionFilter
from .scoreboard import Scoreboard

#: Workers that get a page of their own in the ledger; Kamailio numbers its SIP workers from 1.
WORKERS: Final = 128

#: Messages remembered to tell retransmissions: 2 MiB, 30 s at 4,000 new requests a second.
_RETRANSMISSIONS: Final = 131072

#: Challenges and credentials remembered: 1 MiB, 300 s at 200 registrations a second.
_MARKS: Final = 65536

#: Dialogs remembered: 4 MiB, half a day of six answered calls a second. Only what is written takes memory.
_DIALOGS: Final = 262144

#: Seconds that the workers of a server that is being replaced may take to end.
_PATIENCE: Final = 2.0


def _lock(descriptor: int) -> None:
    """Takes the file for this server. Raises `BlockingIOError` where another one keeps it."""
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


class Shared:
    """One mapping, cut into the parts that need it.

    `ledger_path` names a file for the ledger's part, so that counts survive `kill -9`; where it can't
    be had (not writable, held by another server) anonymous memory serves.
    """

    def __init__(self, interval: int, ledger_path: str = "", capacity: int = 32768) -> None:
        size = RetransmissionFilter.bytes_for(_RETRANSMISSIONS)
        marks = Marks.bytes_for(_MARKS)
        memory = memoryview(mmap.mmap(-1, size + marks + SHARED_BYTES))
        self.retransmissions = RetransmissionFilter(memory[:size])
        self.marks = Marks(memory[size : size + marks])
        self.journal = memory[size + marks :]
        #: Counters, `capacity` of a window and as many of the one before; None where Kamailio's table has to serve.
        self.counts: Any = None
        if native.module is not None:
            # Eight places for each of twice as many counters as may begin: some have neighbours.
            self.counts = native.module.Counts(mmap.mmap(-1, 64 << (capacity - 1).bit_length()))
        self.answered = Answered(memoryview(mmap.mmap(-1, Answered.bytes_for(_DIALOGS))))
        self.board = Scoreboard(memoryview(mmap.mmap(-1, Scoreboard.bytes_for(WORKERS))), WORKERS)
        # Only pages that are written take memory, so the room for an edition costs nothing until a reload.
        self.publication = Publication(memoryview(mmap.mmap(-1, Publication.bytes_for())))
        self.durable = False
        self.ledger = Ledger(memoryview(self._ledger(ledger_path)), WORKERS, interval)

    def _ledger(self, path: str) -> mmap.mmap:
        size = Ledger.bytes_for(WORKERS)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
        except OSError:
            return mmap.mmap(-1, size)
        try:
            # Kept open, and so locked, for as long as any process of this server lives.
            _lock(descriptor)
            if os.fstat(descriptor).st_size != size:
                os.ftruncate(descriptor, 0)
                # Reserved now: writing to a hole on a full disk would kill the worker with SIGBUS.
                os.posix_fallocate(descriptor, 0, size)
            mapped = mmap.mmap(descriptor, size)
        except OSError:
            os.close(descriptor)
            return mmap.mmap(-1, size)
        self._descriptor = descriptor
        self.durable = True
        return mapped
