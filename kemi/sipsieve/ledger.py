"""Counts messages that get no record of their own, in shared memory, so that no worker's death loses a count."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

# A worker's page: interval it counts for, slots in use.
_PAGE: Final = struct.Struct("=QII")
# A slot: count, first and last time in microseconds, key.
_SLOT: Final = struct.Struct("=QQQ160s")
#: The end of a page in seconds, and the page's number.
CLOCK: Final = struct.Struct("=dQ")
#: What would end a field, or is no ASCII.
_ODD: Final = re.compile(r"[^!-~]")

#: Slots in a page; the last one takes whatever finds no other, under the key `OVERFLOW`.
SLOTS: Final = 256
OVERFLOW: Final = ("0.0.0.0", "other")
#: The longest address, and what is kept of a method (which a stranger may choose), verdict, transport and rule id.
_WIDTHS: Final = (45, 32, 8, 5, 64)
_PAGE_BYTES: Final = _PAGE.size + SLOTS * _SLOT.size
#: Two pages a worker: it writes one while the other is read.
_WORKER_BYTES: Final = 2 * _PAGE_BYTES


class Entry(NamedTuple):
    """A count of one interval: who sent, which method, what became of it, how many, from when to when (s), by which rule."""

    ip: str
    method: str
    verdict: str
    messages: int
    first: float
    last: float
    transport: str = ""
    rule: str = ""


class Ledger:
    """Tallies over a shared buffer, one region for each worker.

    Writers only write their own region, so no lock is needed. A page belongs to one interval; at the
    next interval the worker turns to its other page. A page that was not drained when its worker
    needs it again is handed out by `tally`, to be written by the worker itself.
    """

    def __init__(self, buffer: memoryview | bytearray, workers: int, interval: int) -> None:
        if len(buffer) < self.bytes_for(workers):
            raise ValueError(f"{workers} workers need {self.bytes_for(workers)} bytes, the buffer has {len(buffer)}")
        self._buffer = buffer
        # The same memory as 64-bit words: a count is one of them, read and written in one go.
        self.words = memoryview(buffer)[: self.bytes_for(workers)].cast("Q")
        self._workers = workers
        self._interval = interval
        self._worker = -1
        self._page = 0
        self._current = -1
        self._end = 0.0
        #: When the page at hand ends, and a number that changes with it: `CLOCK`.
        self.clock = bytearray(CLOCK.size)
        self._slots: dict[tuple[str, str, str, str, str], int] = {}

    @staticmethod
    def bytes_for(workers: int) -> int:
        """Size of the buffer for that many workers."""
        return workers * _WORKER_BYTES

    def attach(self, worker: int) -> None:
        """Makes this process the writer of a worker's region."""
        if not 0 <= worker < self._workers:
            raise ValueError(f"worker {worker} of {self._workers}")
        self._worker = worker
        self._current = -1
        self._end = 0.0
        CLOCK.pack_into(self.clock, 0, 0.0, CLOCK.unpack_from(self.clock)[1] + 1)

    def tally(self, ip: str, method: str, verdict: str, now: float, transport: str = "", rule: str = "") -> list[Entry]:
        """Counts one message. Returns entries that nobody drained in time, nearly always none."""
        left: list[Entry] = []
        # A clock set back by more than an interval belongs to another one, too.
        if not -self._interval <= now - self._end < 0:
            left = self._turn(int(now) // self._interval)
        micro = int(now * 1e6)
        offset = self._slots.get((ip, method, verdict, transport, rule))
        if offset is None:
            offset = self._open((ip, method, verdict, transport, rule), micro)
        word = offset >> 3
        self.words[word] += 1
        self.words[word + 2] = micro
        return left

    def _turn(self, interval: int) -> list[Entry]:
        page = self._worker * _WORKER_BYTES + (interval & 1) * _PAGE_BYTES
        left = list(self._read(page))
        _PAGE.pack_into(self._buffer, page, interval, 0, 0)
        self._page, self._current = page, interval
        self._end = float((interval + 1) * self._interval)
        self._slots.clear()
        CLOCK.pack_into(self.clock, 0, self._end, CLOCK.unpack_from(self.clock)[1] + 1)
        return left

    def place(self, ip: str, method: str, verdict: str, transport: str) -> int:
        """Where the buffer counts these, while the page lasts; -1 where they have no place of their own."""
        return self._slots.get((ip, method, verdict, transport, ""), -1)

    def _open(self, key: tuple[str, str, str, str, str], micro: int) -> int:
        _, used, _ = _PAGE.unpack_from(self._buffer, self._page)
        if used >= SLOTS - 1:
            key = (*OVERFLOW, key[2], "", "")
            if (offset := self._slots.get(key)) is not None:
                return offset
            if used >= SLOTS:
                # A second kind of verdict among the overflow shares the last slot.
                return self._page + _PAGE.size + (SLOTS - 1) * _SLOT.size
        offset = int(self._page + _PAGE.size + used * _SLOT.size)
        fields = (_ODD.sub("?", value[:width]) for value, width in zip(key, _WIDTHS, strict=True))
        text = "\t".join(fields).encode("ascii")
        _SLOT.pack_into(self._buffer, offset, 0, micro, micro, text)
        _PAGE.pack_into(self._buffer, self._page, self._current, used + 1, 0)
        self._slots[key] = offset
        return offset

    def _read(self, page: int) -> Iterator[Entry]:
        _, used, drained = _PAGE.unpack_from(self._buffer, page)
        if drained:
            return
        for slot in range(min(used, SLOTS)):
            count, first, last, text = _SLOT.unpack_from(self._buffer, page + _PAGE.size + slot * _SLOT.size)
            key = text.rstrip(b"\0").decode("ascii", "replace").split("\t")
            if count and len(key) == 5:
                yield Entry(key[0], key[1], key[2], count, first / 1e6, last / 1e6, key[3], key[4])

    def drain(self, now: float, everything: bool = False) -> list[Entry]:
        """The entries of all finished intervals, each handed out once.

        `everything` takes the running interval too: only when no worker runs any more.
        """
        # A worker may still be writing what it began in the last second of an interval.
        current = int(now - 1) // self._interval
        entries: list[Entry] = []
        for number in range(2 * self._workers):
            page = number * _PAGE_BYTES
            interval, used, drained = _PAGE.unpack_from(self._buffer, page)
            if not used or drained or (interval >= current and not everything):
                continue
            entries += self._read(page)
            _PAGE.pack_into(self._buffer, page, interval, used, 1)
        return entries
