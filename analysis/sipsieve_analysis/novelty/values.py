"""What values of one field are like: how many senders have each n-gram of forms, and how surprising a value may be."""

from __future__ import annotations

import hashlib
import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct

from .form import form
from .views import FORM, OF_OTHERS, PLAIN, VIEWS, WORDS, View

#: Senders kept of one field while it is learned, and n-grams kept of it in the model.
SAMPLES: Final = 3000
_GRAMS: Final = 6000

#: Values of one sender that are kept, drawn evenly from all that it sent: they count as one sender's, so whoever sends more makes
#: nothing more usual by it, and what is rare among its messages stays rare. Of what clients make up anew in each message each counts.
PER_SENDER: Final = 4
PER_SENDER_MADE_UP: Final = 40

#: A field that a sender has in a quarter of its messages is its own, one that it has in a hundredth hardly is. Among all fields of one kind of
#: part, the square of that counts, or what hundreds of senders have once each would be what one in thirty has, beside few who always have some.
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

#: A value is unusual that has half as many bits again as 95 of 100 stay under, and those of three n-grams that nobody else has:
#: rigid fields have no tail, and fields in which people write as they like a long one. What is far beyond the nine tenths that
#: teach is no tail but something else, and moves the limit no further. Where few senders are known, something new surprises less
#: and must be more. What clients make up at random has more room.
_TAIL: Final = 0.95
_TAIL_MOST: Final = 2.0
_BEYOND: Final = 1.5
_NEW: Final = 3.0
_LEAST_BITS: Final = 15.0
_MADE_UP_BEYOND: Final = 2.0
_MADE_UP_BITS: Final = 30.0

#: Words are looked at where one sender in four has several that no other has in a row: elsewhere they are products or made up.
_OWN_WORDS: Final = 4


class Seen(Struct, array_like=True):
    """What a field's values are like in one view. `size`: senders that it was learned of, or values of what clients make up;
    `limit`: bits from which on a value is unusual; `counts`: how many of these have an n-gram."""

    size: float
    limit: float
    counts: dict[bytes, float]


class Values(Struct, array_like=True):
    """The learned form of one field, by view."""

    size: float
    views: dict[str, Seen]
    #: Forms of the field, the most frequent first, for proposals: what a rule must miss.
    examples: list[bytes]

    def score(self, text: bytes, beside: Values | None = None) -> float:
        """How surprising a spelled value is, 1 where it begins to be unusual: by the view that it is most surprising in, bits of
        all n-grams beyond what is usual. What `beside` has seen at all surprises nobody."""
        return max((score for score, _ in self._scores(text, beside)), default=0.0)

    def _scores(self, text: bytes, beside: Values | None) -> Iterator[tuple[float, str]]:
        for name, seen in self.views.items():
            yield _bits(seen.counts, seen.size, _seen(name, text, beside), 0) / seen.limit, name

    def strange(
        self, text: bytes, beside: Values | None = None, most: int = 3
    ) -> tuple[View, list[tuple[bytes, float]]]:
        """The view that a value is most surprising in, and the n-grams that make it so, with how many of `size` have them; the
        rarest and longest first."""
        name = max(self._scores(text, beside))[1]
        seen, view = self.views[name], VIEWS[name]
        found = sorted(
            (seen.counts.get(gram, 0), -len(gram), gram)
            for gram in _seen(name, text, beside)
            if _rare(seen.counts, seen.size, gram)
        )
        # What holds a single strange byte is strange by it: the byte says enough.
        kept: list[tuple[bytes, float]] = []
        for count, _, gram in sorted(found, key=lambda entry: (entry[0], -entry[1], entry[2])):
            if not any(view.covers(other, gram) for other, _ in kept):
                kept.append((gram, count))
        return view, kept[:most]


def _seen(name: str, text: bytes, beside: Values | None) -> frozenset[bytes]:
    found = VIEWS[name].see(text)
    other = None if beside is None else beside.views.get(name)
    return found if other is None else found - other.counts.keys()


def _rare(counts: Mapping[bytes, float], size: float, gram: bytes) -> bool:
    return math.log2(size + 1) - math.log2(counts.get(gram, 0) + 0.5) > _USUAL_BITS


def _bits(counts: Mapping[bytes, float], size: float, found: frozenset[bytes], own: float) -> float:
    """`own`: what the form's own sender has added to what was counted."""
    base = math.log2(size + 1) - _USUAL_BITS
    # Summed exactly, so that the order in which a set has its members changes nothing.
    every = (base - math.log2(max(counts.get(gram, 0) - own, 0) + 0.5) for gram in found)
    return math.fsum(bits for bits in every if bits > 0)


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

    def forms(self, messages: Mapping[int, int], full: float = 1, pooled: bool = False) -> dict[bytes, float]:
        """The forms with how many senders have each, in parts of one where a sender has several; of what clients make up, with
        how many values have it. A field that a sender has in few of its `messages` says little of it, and so does a sender of
        fewer than `full`. `pooled`: the values are of several fields, of which one that is nobody's habit must not add up."""
        found: Counter[bytes] = Counter()
        for sender, held in self._senders.items():
            sent = max(1, messages.get(sender, 0))
            share = min(1.0, _OFTEN * self._counts[sender] / sent) ** (2 if pooled else 1) * min(1.0, sent / full)
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


def fit(texts: Mapping[bytes, float], views: Sequence[View] = OF_OTHERS, trimmed: float = _TRIMMED) -> Values:
    """Learns a field of its spelled values. The same values give the same, in whatever order they came."""
    size, learned, examples = 0.0, {}, []
    for view in views:
        grouped: dict[frozenset[bytes], float] = defaultdict(float)
        first: dict[frozenset[bytes], bytes] = {}
        for text in sorted(texts):
            found = view.see(text)
            grouped[found] += texts[text]
            first.setdefault(found, text)
        if view is WORDS and _OWN_WORDS * sum(b" " in text for text in first.values()) < sum(texts.values()):
            continue
        seen, inside = _fit(grouped, trimmed, view is PLAIN)
        learned[view.name] = seen
        if view in (FORM, PLAIN):
            size = seen.size
            kept = sorted((-grouped[found], form(first[found])) for found in inside)
            examples = [text for _, text in kept[:200]]
    return Values(size, learned, examples)


def _fit(
    grouped: Mapping[frozenset[bytes], float], trimmed: float, made_up: bool
) -> tuple[Seen, list[frozenset[bytes]]]:
    """What one view has seen, and what of it was not trimmed."""
    every = list(grouped.items())
    weights = [weight for _, weight in every]
    total = sum(weights)
    inside = [True] * len(every)
    scores: list[float] = []
    counts: dict[bytes, float] = {}
    size, usual = 0.0, 0.0
    for _ in range(_ROUNDS):
        counts, size = _counted(every, inside)
        scores = [_bits(counts, size, found, 1 if kept else 0) for (found, _), kept in zip(every, inside, strict=True)]
        usual = _quantile(scores, weights, total, 1 - trimmed)
        again = [score <= usual for score in scores]
        if again == inside:
            break
        inside = again
    counts, size = _counted(every, inside)
    if made_up:
        limit = _MADE_UP_BITS + _MADE_UP_BEYOND * usual
    else:
        least = max(_LEAST_BITS, _NEW * _bits({}, size, frozenset((b"",)), 0))
        tail = min(_quantile(scores, weights, total, _TAIL), _TAIL_MOST * (usual + least))
        limit = least + _BEYOND * tail
    most = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))[:_GRAMS]
    seen = Seen(round(size, 3), round(limit, 3), {gram: round(n, 3) for gram, n in sorted(most)})
    return seen, [found for (found, _), kept in zip(every, inside, strict=True) if kept]


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
