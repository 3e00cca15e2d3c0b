"""Tells retransmissions from new messages, for all workers, in a fixed piece of shared memory."""

from __future__ import annotations

from typing import Final

from . import native

#: Two 64-bit words: the identity; the second of the first copy (upper half) with the number of copies.
_SLOT_BYTES: Final = 16

#: Seconds that a transaction lives: 64*T1 (RFC 3261 17.1.1.2, timers B and F).
TRANSACTION: Final = 32


class RetransmissionFilter:
    """A direct-mapped table over a shared buffer.

    Of two messages that fall on one slot the later wins, and a retransmission of the earlier counts
    as new: the table errs towards counting. Identities come from a keyed hash, so a sender can't aim
    at a slot.
    """

    def __init__(self, buffer: memoryview | bytearray) -> None:
        self._slots = len(buffer) // _SLOT_BYTES
        if self._slots < 1:
            raise ValueError(f"a buffer of {len(buffer)} bytes holds no slot of {_SLOT_BYTES}")
        self.words = memoryview(buffer)[: self._slots * _SLOT_BYTES].cast("Q")

    @staticmethod
    def bytes_for(slots: int) -> int:
        """Size of a buffer for that many messages."""
        return slots * _SLOT_BYTES

    def copies(self, identity: int, now: float) -> int:
        """How often this identity was seen within a transaction's life, this time included."""
        identity &= 0xFFFFFFFFFFFFFFFF
        words = self.words
        if native.module is not None:
            # Several workers may read copies of one message at the same moment.
            seen: int = native.module.copies(words, identity, int(now))
            return seen
        place = identity % self._slots * 2
        seconds = int(now) & 0xFFFFFFFF
        if words[place] == identity:
            state = words[place + 1]
            if 0 <= seconds - (state >> 32) <= TRANSACTION:
                if state & 0xFFFFFFFF < 0xFFFFFFFF:
                    state += 1
                    words[place + 1] = state
                return state & 0xFFFFFFFF
        words[place] = identity
        words[place + 1] = seconds << 32 | 1
        return 1
