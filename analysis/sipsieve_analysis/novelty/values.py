"""What values of one field are like: how many senders have each n-gram of forms, and how surprising a value may be."""

from __future__ import annotations

import hashlib
import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from msgspec import Struct

from .form import grams

#: Senders kept of one field while it is learned, and n-grams kept of it in the model.
SAMPLES: Final = 3000
_GRAMS: Final = 6000

#: Values of one sender that are kept, drawn evenly from all that it sent: they count as one sender's, so whoever sends more makes
#: nothing more usual by it, and what is rare among its messages stays rare. Of what clients make up anew in each message each counts.
PER_SENDER: Final = 4
PER_SENDER_MADE_UP: Final = 40

#: A field that a sender has in a quarter of its messages is its own, one that it has in a hundredth hardly is.
_OFTEN: Final = 4
_PARTS: Final = 3600

#: Where half of those who sent a field at all had it in fewer than one of so many messages, nobody has it as a habit: what stood in it
#: may be poison alone, since nothing else there holds against it.
_SELDOM: Final = 24

#: Half of all messages are of senders who sent so many or more. Who sent half as much counts in full, and others by what they sent: an
#: account is what its sender says it is, and whoever writes another one into each message would be many.
_FULL: Final = 0.5

#: An n-gram that one in 2^5 senders has surprises nobody (Shannon's information content, in bits beyond these).
_USUAL_BITS: Final = 5.0

#: The most unusual tenth of what was accepted may be somebody's poison: it teaches nothing (trimmed estimation).
_TRIMMED: Final = 0.1
_ROUNDS: Final = 5

#: A value is unusual that has so many bits beyond this multiple of what nine of ten values stay under: fields in which people
#: write as they like have longer tails.
_BEYOND: Final = 2.0
_LEAST_BITS: Final = 30.0


class Values(Struct, array_like=True):
    """The learned form of one field. `size`: senders that it was learned of, or values of what clients make up; `counts`: how many of
    these have an n-gram; `usual`: what nine of ten stay under, in bits."""

    size: float
    usual: float
    counts: dict[bytes, float]
    #: Forms of the field, the most frequent first, for proposals: what a rule must miss.
    examples: list[bytes]

    @property
    def limit(self) -> float:
        """Bits from which on a value is unusual."""
        return _LEAST_BITS + _BEYOND * self.usual

    def bits(self, text: bytes, beside: Values | None = None) -> float:
        """How surprising a form is: bits of all its n-grams beyond what is usual. What `beside` has seen at all surprises nobody."""
        found = grams(text) if beside is None else grams(text) - beside.counts.keys()
        return _bits(self.counts, self.size, found, 0)

    def strange(self, text: bytes, most: int = 3) -> list[tuple[bytes, float]]:
        """The n-grams that make it unusual, with how many of `size` have them; the rarest and longest first."""
        found = sorted(
            (self.counts.get(gram, 0), -len(gram), gram) for gram in grams(text) if _rare(self.counts, self.size, gram)
        )
        # What holds a single strange byte is strange by it: the byte says enough.
        kept: list[tuple[bytes, float]] = []
        for count, _, gram in sorted(found, key=lambda entry: (entry[0], -entry[1], entry[2])):
            if not any(other in gram for other, _ in kept):
                kept.append((gram, count))
        return kept[:most]


def _rare(counts: Mapping[bytes, float], size: float, gram: bytes) -> bool:
    return math.log2(size + 1) - math.log2(counts.get(gram, 0) + 0.5) > _USUAL_BITS


def _bits(counts: Mapping[bytes, float], size: float, found: frozenset[bytes], own: float) -> float:
    """`own`: what the form's own sender has added to what was counted."""
    base = math.log2(size + 1) - _USUAL_BITS
    total = 0.0
    for gram in found:
        bits = base - math.log2(max(counts.get(gram, 0) - own, 0) + 0.5)
        if bits > 0:
            total += bits
    return total


class Samples:
    """Forms of one field's values as they come: of each sender a few, drawn evenly from its messages, of evenly drawn senders."""

    def __init__(self, made_up: bool = False) -> None:
        self._made_up = made_up
        self._per_sender = PER_SENDER_MADE_UP if made_up else PER_SENDER
        self._most = SAMPLES // 8 if made_up else SAMPLES
        self._senders: dict[int, list[tuple[int, bytes]]] = {}
        self._numbers: list[tuple[int, int]] = []
        self._counts: Counter[int] = Counter()
        self._habits: Counter[int] = Counter()
        self.seen = 0

    def add(self, sender: int, message: int, text: bytes, whose: int = 0) -> None:
        """Adds the form of a value. `message` names the message that it stands in, `whose` whom the field is a habit of, if it is one."""
        self.seen += 1
        if whose in self._habits or len(self._habits) < SAMPLES:
            self._habits[whose] += 1
        self._counts[sender] += 1
        held = self._senders.get(sender)
        if held is None:
            number = -_hash(sender, 0)
            if len(self._senders) >= self._most:
                if number <= self._numbers[0][0]:
                    del self._counts[sender]
                    return
                gone = heapq.heapreplace(self._numbers, (number, sender))[1]
                del self._senders[gone], self._counts[gone]
            else:
                heapq.heappush(self._numbers, (number, sender))
            held = self._senders[sender] = []
        entry = -_hash(sender, message), text
        if len(held) < self._per_sender:
            heapq.heappush(held, entry)
        elif entry > held[0]:
            heapq.heapreplace(held, entry)

    def is_habit(self, messages: Mapping[int, int], full: float = 1) -> bool:
        """Whether half of those who sent the field did so in more than a few of their `messages`, of those who sent enough."""
        heavy = [whose for whose in self._habits if messages[whose] >= full]
        often = sum(_SELDOM * self._habits[whose] >= messages[whose] for whose in heavy)
        return self._made_up or (often > 0 and 2 * often >= len(heavy))

    def forms(self, messages: Mapping[int, int], full: float = 1) -> dict[bytes, float]:
        """The forms with how many senders have each, in parts of one where a sender has several; of what clients make up, with
        how many values have it. A field that a sender has in few of its `messages` says little of it, and so does a sender of
        fewer than `full`."""
        found: Counter[bytes] = Counter()
        for sender, held in self._senders.items():
            sent = max(1, messages.get(sender, 0))
            share = min(1.0, _OFTEN * self._counts[sender] / sent) * min(1.0, sent / full)
            weight = _PARTS if self._made_up else int(_PARTS * share) // len(held)
            for _, text in held:
                # In whole parts, so that sums do not depend on their order.
                found[text] += weight
        return {text: weight / _PARTS for text, weight in found.items() if weight}


def full(messages: Collection[int]) -> float:
    """How much a sender has to send to count in full, by what each sent. Weighed by messages, since senders can be made up."""
    half, below = sum(messages) / 2, 0
    for count in sorted(messages, reverse=True):
        below += count
        if below >= half:
            return max(1.0, _FULL * count)
    return 1.0


def _hash(sender: int, message: int) -> int:
    return int.from_bytes(hashlib.blake2b(b"%d %d" % (sender, message), digest_size=8).digest(), "big")


def fit(forms: Mapping[bytes, float], trimmed: float = _TRIMMED) -> Values:
    """Learns a field. The same forms give the same values, in whatever order they came."""
    texts = sorted(forms)
    every = [(grams(text), forms[text]) for text in texts]
    total = sum(forms.values())
    inside = [True] * len(texts)
    counts: dict[bytes, float] = {}
    size, usual = 0.0, 0.0
    for _ in range(_ROUNDS):
        counts, size = _counted(every, inside)
        scores = [_bits(counts, size, found, 1 if kept else 0) for (found, _), kept in zip(every, inside, strict=True)]
        usual = _quantile(scores, [weight for _, weight in every], total, 1 - trimmed)
        again = [score <= usual for score in scores]
        if again == inside:
            break
        inside = again
    counts, size = _counted(every, inside)
    examples = sorted((text for text, kept in zip(texts, inside, strict=True) if kept), key=lambda t: (-forms[t], t))
    most = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))[:_GRAMS]
    return Values(round(size, 3), round(usual, 3), {gram: round(n, 3) for gram, n in sorted(most)}, examples[:200])


def _counted(
    every: Sequence[tuple[frozenset[bytes], float]], inside: Sequence[bool]
) -> tuple[dict[bytes, float], float]:
    counts: dict[bytes, float] = defaultdict(float)
    size = 0.0
    for (found, weight), kept in zip(every, inside, strict=True):
        if kept:
            size += weight
            for gram in found:
                counts[gram] += weight
    return dict(counts), size


def _quantile(scores: Sequence[float], weights: Sequence[float], total: float, share: float) -> float:
    """The score that `share` of the weight does not exceed."""
    below = 0.0
    for score, weight in sorted(zip(scores, weights, strict=True)):
        below += weight
        if below >= share * total - 1e-9:
            return score
    return 0.0
