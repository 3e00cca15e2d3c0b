"""Carries the newest revision from the process that built it to all others, in shared memory."""

from __future__ import annotations

import struct
import zlib
from typing import Final

from .. import _core

# A slot: number, length, checksum.
_SLOT: Final = struct.Struct("<QQQ")
#: Bytes of one packed revision: policy and rules as text have some 100 KB. Only what is written takes memory.
SLOT_BYTES: Final = 8 * 1024 * 1024


class TooLarge(ValueError):
    """The revision does not fit; says how much fits."""


class Broadcast:
    """Two slots in shared memory: readers take the one, while the writer fills the other.

    `head[0]` is the newest number: looking at it is all that a
    message costs. One process writes; any number reads.
    """

    def __init__(self, buffer: memoryview, slot_bytes: int = SLOT_BYTES) -> None:
        #: The newest number; microseconds since the epoch when it came.
        self.head = _core.Words(2)
        self._buffer = buffer
        self._slot_bytes = slot_bytes

    @staticmethod
    def bytes_for(slot_bytes: int = SLOT_BYTES) -> int:
        """Size of the buffer."""
        return 2 * slot_bytes

    def begin(self, number: int) -> None:
        """Says which revision all processes begin with; there is nothing to fetch for it."""
        self.head[0] = number

    def publish(self, number: int, packed: bytes, now: float) -> None:
        """Makes this the newest. Raises `TooLarge` and changes nothing."""
        if len(packed) > self._slot_bytes - _SLOT.size:
            raise TooLarge(
                f"{len(packed)} bytes packed, {self._slot_bytes - _SLOT.size} fit: restart to use such rules"
            )
        at = self._at(number)
        # A reader that is slow enough to still read this slot sees the number go, and reads anew.
        _SLOT.pack_into(self._buffer, at, 0, 0, 0)
        self._buffer[at + _SLOT.size : at + _SLOT.size + len(packed)] = packed
        _SLOT.pack_into(self._buffer, at, number, len(packed), zlib.crc32(packed))
        self.head[1] = int(now * 1e6)
        self.head[0] = number

    @property
    def since(self) -> float:
        """When the newest came, in seconds since the epoch."""
        return self.head[1] / 1e6

    def newest(self) -> bytes | None:
        """The newest revision as packed; None where there is none, or where it changed while being read."""
        number = self.head[0]
        if not number:
            return None
        at = self._at(number)
        known, length, checksum = _SLOT.unpack_from(self._buffer, at)
        if known != number or length > self._slot_bytes - _SLOT.size:
            return None
        packed = bytes(self._buffer[at + _SLOT.size : at + _SLOT.size + length])
        return packed if zlib.crc32(packed) == checksum else None

    def _at(self, number: int) -> int:
        return (number & 1) * self._slot_bytes
