"""Remembers facts about short-lived things for all workers, in a fixed piece of shared memory."""

from __future__ import annotations

import struct
from typing import Final

# identity, seconds, value
_SLOT: Final = struct.Struct("<QII")


class Marks:
    """A direct-mapped table over a shared buffer: of two marks on one slot the later wins.

    Identities come from a keyed hash, so a sender can't aim at a slot.
    """

    def __init__(self, buffer: memoryview | bytearray) -> None:
        self.buffer = buffer
        self._slots = len(buffer) // _SLOT.size
        if self._slots < 1:
            raise ValueError(f"a buffer of {len(buffer)} bytes holds no slot of {_SLOT.size}")

    @staticmethod
    def bytes_for(slots: int) -> int:
        """Size of a buffer for that many marks."""
        return slots * _SLOT.size

    def mark(self, identity: int, value: int, now: float) -> None:
        """Remembers `value` (1 to 2**32 - 1) for an identity."""
        identity &= 0xFFFFFFFFFFFFFFFF
        _SLOT.pack_into(self.buffer, identity % self._slots * _SLOT.size, identity, int(now) & 0xFFFFFFFF, value)

    def marked(self, identity: int, now: float, life: int) -> int:
        """The value that was remembered within the last `life` seconds, 0 without."""
        identity &= 0xFFFFFFFFFFFFFFFF
        known, since, value = _SLOT.unpack_from(self.buffer, identity % self._slots * _SLOT.size)
        age = (int(now) & 0xFFFFFFFF) - since
        return int(value) if known == identity and 0 <= age <= life else 0
