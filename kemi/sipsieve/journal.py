"""Appends lines to the decision log: never blocks, never raises, counts what it could not write."""

from __future__ import annotations

import os
from typing import Final

#: Seconds between looks at whether the log was rotated away.
_LOOK_EVERY: Final = 1.0

#: Offsets in the shared memory: whether the file may end in half a line; lines lost; lines written.
_TORN: Final = 0
SHARED_BYTES: Final = 64


class Journal:
    """One worker's hold on the decision log.

    Each line is one `write` to a descriptor opened with `O_APPEND`, which POSIX makes atomic against
    the other workers. A short write (a full disk) leaves half a line: a flag in `shared`, memory that
    all workers see, makes whoever writes next end that line first.
    """

    def __init__(self, path: str, shared: memoryview | bytearray | None = None) -> None:
        self.path = path
        self.lost = 0
        #: Whether the file may end in half a line, in its first byte.
        self.shared: memoryview | bytearray = shared if shared is not None else bytearray(SHARED_BYTES)
        #: Descriptor, when it was looked after, lines written: where the fast path finds them too.
        self.state = bytearray(24)
        self._numbers = memoryview(self.state).cast("q")
        self._times = memoryview(self.state).cast("d")
        self._descriptor = -1
        self._inode = (0, 0)

    @property
    def written(self) -> int:
        """Lines that this process has written."""
        return self._numbers[2]

    @property
    def _descriptor(self) -> int:
        return self._numbers[0]

    @_descriptor.setter
    def _descriptor(self, descriptor: int) -> None:
        self._numbers[0] = descriptor

    @property
    def _looked(self) -> float:
        return self._times[1]

    @_looked.setter
    def _looked(self, now: float) -> None:
        self._times[1] = now

    def append(self, line: bytes, now: float) -> bool:
        """Writes one line, its line end included. False: it could not be written, and was counted."""
        try:
            if not -_LOOK_EVERY < now - self._looked < _LOOK_EVERY:
                self._look(now)
            if self._descriptor < 0:
                self.lost += 1
                return False
            if self.shared[_TORN]:
                line = b"\n" + line
            done = os.write(self._descriptor, line)
        except OSError:
            self.lost += 1
            return False
        if done == len(line):
            self.shared[_TORN] = 0
            self._numbers[2] += 1
            return True
        self.shared[_TORN] = 1
        self.lost += 1
        return False

    def mend(self) -> None:
        """Looks whether a server that was killed left half a line; asked once, before any worker writes."""
        try:
            # Not blocking: the path may be a pipe that nobody reads yet.
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return
        try:
            size = os.fstat(descriptor).st_size
            self.shared[_TORN] = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        except OSError:
            return
        finally:
            os.close(descriptor)

    def _look(self, now: float) -> None:
        """Opens the file anew if it was moved, removed or never opened."""
        self._looked = now
        try:
            there = os.stat(self.path)
        except OSError:
            there = None
        if self._descriptor >= 0 and there is not None and (there.st_dev, there.st_ino) == self._inode:
            return
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
        try:
            descriptor = os.open(self.path, flags, 0o640)
        except OSError:
            # A log that was open goes on, moved or not; one that never was is tried again in a second.
            return
        self.close()
        self._looked = now
        self._descriptor = descriptor
        mine = os.fstat(descriptor)
        self._inode = (mine.st_dev, mine.st_ino)

    def close(self) -> None:
        """Lets go of the file; the next line opens it anew."""
        self._looked = 0.0
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
