"""Remembers the dialogs that were seen answered, for all workers, in a fixed piece of shared memory."""

from __future__ import annotations

from typing import Final

#: Two 64-bit words: the dialog's identity; the second in which it was answered.
_ENTRY_BYTES: Final = 16

#: Entries that one identity may stand in. The oldest of them makes room, so a dialog is forgotten only
#: after as many younger ones fell on the same eight.
_WAYS: Final = 8

#: Seconds that a dialog is remembered: half a day, as long as a call may last without a refresh.
LIFE: Final = 43200


class Answered:
    """A table of fixed size over a shared buffer: nobody fills memory by answering calls.

    Identities come from a keyed hash, so a sender can't aim at a place. Two workers that write the same
    eight entries at once may lose one of two dialogs, which then counts as not seen.
    """

    def __init__(self, buffer: memoryview | bytearray) -> None:
        self._sets = len(buffer) // (_ENTRY_BYTES * _WAYS)
        if self._sets < 1:
            raise ValueError(f"a buffer of {len(buffer)} bytes holds no {_WAYS} entries of {_ENTRY_BYTES}")
        self.words = memoryview(buffer)[: self._sets * _ENTRY_BYTES * _WAYS].cast("Q")

    @staticmethod
    def bytes_for(dialogs: int) -> int:
        """Size of a buffer for that many dialogs."""
        return -(-dialogs // _WAYS) * _WAYS * _ENTRY_BYTES

    def remember(self, identity: int, now: float) -> None:
        """Remembers a dialog, from now on for `LIFE` seconds."""
        words = self.words
        first = identity % self._sets * 2 * _WAYS
        oldest = first
        for place in range(first, first + 2 * _WAYS, 2):
            if words[place] == identity or not words[place]:
                oldest = place
                break
            if words[place + 1] < words[oldest + 1]:
                oldest = place
        words[oldest] = identity
        words[oldest + 1] = int(now)

    def knows(self, identity: int, now: float) -> bool:
        """Whether that dialog was remembered within its life."""
        words = self.words
        first = identity % self._sets * 2 * _WAYS
        return any(
            words[place] == identity and int(now) - words[place + 1] <= LIFE
            for place in range(first, first + 2 * _WAYS, 2)
        )
