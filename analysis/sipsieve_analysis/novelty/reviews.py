"""Puts together what is unusual for the same reason or from the same sender: one review for a person each."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Final

from msgspec import Struct

from sipsieve._core import escaped

from ..report import when
from .judge import Judge, Unusual
from .learner import MADE_UP, Sources
from .observe import Observed, observed, told

#: Messages that are remembered with what is unusual in them; examples and reasons shown of a review.
MOST: Final = 50_000
_EXAMPLES: Final = 5
_SHOWN: Final = 120

#: Fields and ordinary values of each that are kept for proposals.
_FIELDS: Final = 300
_ORDINARY: Final = 400

#: Senders from which on a reason is theirs together.
_SHARED: Final = 3


class Example(Struct, frozen=True):
    """A message of a review: what its sender wrote is escaped and cut."""

    id: str
    time_us: int
    ip: str
    account: str
    method: str
    field: str
    excerpt: str


class Review(Struct):
    """What one look of a person is for."""

    id: str
    score: float
    kinds: list[str]
    why: list[str]
    messages: int
    sources: list[str]
    source_count: int
    accounts: list[str]
    first_us: int
    last_us: int
    examples: list[Example]
    #: The values, for proposals: field, header, kind of part, bytes.
    values: list[tuple[str, str, str, bytes]]

    def as_json(self) -> dict[str, Any]:
        """The review as `docs/learn.schema.json` describes it."""
        return {
            "id": self.id, "score": self.score, "kinds": self.kinds, "why": self.why, "messages": self.messages, "sources": self.sources,
            "source_count": self.source_count, "accounts": self.accounts, "first_seen": when(self.first_us), "last_seen": when(self.last_us),
            "examples": [
                {"id": e.id, "time": when(e.time_us), "source": e.ip, "account": e.account, "method": e.method, "field": e.field,
                 "excerpt": e.excerpt}
                for e in self.examples
            ],
        }  # fmt: skip


class Looker:
    """Reads decision records in their order and keeps what is unusual in what the guard let through."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._sources = Sources()
        self._held: list[tuple[Observed, list[Unusual]]] = []
        self._ordinary: dict[str, dict[str, None]] = {}
        self.messages = 0
        self.beyond = 0

    def feed(self, lines: Iterable[bytes]) -> list[tuple[Observed, list[Unusual]]]:
        """Looks at these lines; what is unusual in them."""
        fresh = list(self._look(lines))
        room = MOST - len(self._held)
        self._held += fresh[:room]
        self.beyond += max(0, len(fresh) - room)
        return fresh

    def _look(self, lines: Iterable[bytes]) -> Iterator[tuple[Observed, list[Unusual]]]:
        for line in lines:
            record = told(line)
            if record is None:
                continue
            self._sources.add(record)
            if not record.is_message or record.sip.type != "request" or record.is_blocked:
                continue
            self.messages += 1
            seen = observed(record)
            found = self._judge.look(seen, record.ip in self._sources.accepted)
            if found:
                yield seen, found
            else:
                self._remember(seen)

    def _remember(self, seen: Observed) -> None:
        for value in seen.values:
            known = self._ordinary.get(value.field)
            if known is None:
                if len(self._ordinary) >= _FIELDS or value.field in MADE_UP:
                    continue
                known = self._ordinary[value.field] = {}
            if len(known) < _ORDINARY and value.text:
                known[value.text.decode("utf-8", "replace")] = None

    def ordinary(self, field: str) -> list[str]:
        """Values of a field of messages in which nothing was unusual: what a rule must miss."""
        return list(self._ordinary.get(field, {}))

    def forget(self, before_us: int) -> None:
        """Lets go of what is older."""
        self._held = [entry for entry in self._held if entry[0].time_us >= before_us]

    def reviews(self) -> list[Review]:
        """What is unusual so far, put together, the most unusual first. What a person called usual is left out."""
        usual = set(self._judge.model.usual)
        return [review for review in together(self._held) if review.id not in usual]


def together(held: list[tuple[Observed, list[Unusual]]]) -> list[Review]:
    """Groups messages that share a reason with those of several senders, and those of one sender and day."""
    senders: dict[str, set[str]] = defaultdict(set)
    for seen, found in held:
        for one in found:
            if len(senders[one.sign]) <= _SHARED:
                senders[one.sign].add(seen.ip)
    groups: dict[str, list[tuple[Observed, list[Unusual]]]] = defaultdict(list)
    for seen, found in held:
        shared = [one.sign for one in found if len(senders[one.sign]) >= _SHARED]
        groups[shared[0] if shared else f"from {seen.ip} {seen.time_us // 86_400_000_000}"].append((seen, found))
    reviews = [_review(group) for group in groups.values()]
    return sorted(reviews, key=lambda review: (-review.score, review.first_us, review.id))


def _review(group: list[tuple[Observed, list[Unusual]]]) -> Review:
    signs: Counter[str] = Counter()
    best: dict[str, Unusual] = {}
    shown: dict[str, tuple[Observed, Unusual]] = {}
    for seen, found in group:
        for one in found:
            signs[one.sign] += 1
            if one.sign not in best or one.score > best[one.sign].score:
                best[one.sign] = one
                shown[one.sign] = seen, one
    # The sign that most messages have names the review, so that tomorrow's of the same reason has the same name.
    first = min(signs, key=lambda sign: (-signs[sign], sign))
    ranked = sorted(best.values(), key=lambda one: (-one.score, one.sign))
    sources = Counter(seen.ip for seen, _ in group)
    values = {
        (one.field, one.header, one.part, one.excerpt): None
        for _, found in group
        for one in found[:4]
        if one.part and one.sign.startswith("value")
    }
    return Review(
        hashlib.sha256(first.encode("utf-8", "surrogatepass")).hexdigest()[:10],
        ranked[0].score,
        sorted({str(one.kind) for one in ranked}),
        [one.why for one in ranked[:_EXAMPLES]],
        len(group),
        [ip for ip, _ in sources.most_common(20)],
        len(sources),
        sorted({seen.account for seen, _ in group if seen.account})[:20],
        min(seen.time_us for seen, _ in group),
        max(seen.time_us for seen, _ in group),
        [_example(*shown[one.sign]) for one in ranked[:_EXAMPLES]],
        list(values)[:50],
    )


def _example(seen: Observed, one: Unusual) -> Example:
    return Example(
        seen.id, seen.time_us, seen.ip, seen.account, seen.method, one.field, escaped(one.excerpt, _SHOWN) if one.excerpt else ""
    )  # fmt: skip
