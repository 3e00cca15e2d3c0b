"""Tells retransmissions from new messages, for all workers, in a fixed piece of shared memory."""

from __future__ import annotations

import struct
from typing import Final

# identity, seconds since the epoch, copies
_SLOT: Final = struct.Struct("<QII")

#: Seconds that a transaction lives: 64*T1 (RFC 3261 17.1.1.2, timers B and F).
TRANSACTION: Final = 32


class RetransmissionFilter:
    """A direct-mapped table over a shared buffer.

    Of two messages that fall on one slot the later wins, and a retransmission of the earlier counts
    as new: the table errs towards counting. Identities come from a keyed hash, so a sender can't aim
    at a slot.
    """

    def __init__(self, buffer: memoryview | bytearray) -> None:
        self._buffer = buffer
        self._slots = len(buffer) // _SLOT.size
        if self._slots < 1:
            raise ValueError(f"a buffer of {len(buffer)} bytes holds no slot of {_SLOT.size}")

    @staticmethod
    def bytes_for(slots: int) -> int:
        """Size of a buffer for that many messages."""
        return slots * _SLOT.size

    def copies(self, identity: int, now: float) -> int:
        """How often this identity was seen within a transaction's life, this time included."""
        identity &= 0xFFFFFFFFFFFFFFFF
        offset = identity % self._slots * _SLOT.size
        known, since, copies = _SLOT.unpack_from(self._buffer, offset)
        seconds = int(now) & 0xFFFFFFFF
        if known != identity or not 0 <= seconds - since <= TRANSACTION:
            _SLOT.pack_into(self._buffer, offset, identity, seconds, 1)
            return 1
        copies = min(copies + 1, 0xFFFFFFFF)
        _SLOT.pack_into(self._buffer, offset, identity, since, copies)
        return int(copies)
