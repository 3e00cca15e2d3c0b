"""What clients of one make are like: the header fields that they send and their order, their methods, how they write."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from typing import Final

from msgspec import Struct

from .observe import Observed

#: A make that so few messages or senders are known of says nothing about the next one.
ENOUGH: Final = 30

#: Header fields of one message that count for order; pairs kept of one make.
_FIELDS: Final = 40
_PAIRS: Final = 3000

#: Kinds of clients (`sip.client`) kept of one make.
_KINDS: Final = 200

_PRODUCT: Final = re.compile(r"[^0-9/(]{1,40}")
_SPACE: Final = re.compile(r"[\s_-]+")

#: What proxies put in front of a client's own header fields, and what follows from what a message carries.
_NOT_ITS_OWN: Final = frozenset({"via", "record-route", "route", "content-length", "content-type"})


def make_of(agent: str) -> str:
    """The make that a User-Agent names, without version and serial: `"Yealink SIP-T46S 66.85.0.5"` gives `"yealink sip t"`."""
    found = _PRODUCT.match(agent)
    return _SPACE.sub(" ", found[0]).strip().lower() if found else ""


class Make(Struct, array_like=True):
    """One make of client: counts of accepted messages."""

    messages: int
    senders: int
    methods: dict[str, int]
    fields: dict[str, int]
    #: "a\nb" where a field a was seen before a field b.
    order: list[str]
    kinds: list[str]

    @property
    def is_known(self) -> bool:
        """Whether there is enough to judge others by."""
        return self.messages >= ENOUGH


class Makes:
    """Makes as they are learned."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._messages: Counter[str] = Counter()
        self._senders: dict[str, set[int]] = {}
        self._methods: dict[str, Counter[str]] = {}
        self._fields: dict[str, Counter[str]] = {}
        self._order: dict[str, Counter[str]] = {}
        self._kinds: dict[str, Counter[str]] = {}

    def add(self, make: str, sender: int, seen: Observed) -> None:
        """Adds an accepted message of a make."""
        if make not in self._messages and len(self._messages) >= self._most:
            return
        self._messages[make] += 1
        senders = self._senders.setdefault(make, set())
        if len(senders) < 10_000:
            senders.add(sender)
        self._methods.setdefault(make, Counter())[seen.method] += 1
        if seen.client:
            self._kinds.setdefault(make, Counter())[seen.client] += 1
        fields = self._fields.setdefault(make, Counter())
        order = self._order.setdefault(make, Counter())
        own = own_fields(seen)
        fields.update(own)
        if len(order) < _PAIRS:
            order.update(f"{a}\n{b}" for a, b in itertools.combinations(own, 2))

    def learned(self) -> dict[str, Make]:
        """The makes, those that hardly anybody uses too: that they are there is known of them. What one message in a
        thousand had, and one alone, is not learned."""
        return {
            make: Make(
                number,
                len(self._senders[make]),
                dict(sorted(self._methods[make].items())),
                dict(sorted((name, n) for name, n in self._fields[make].items() if n > max(1, number // 1000))),
                sorted(pair for pair, n in self._order[make].items() if n > max(1, number // 1000)),
                sorted(kind for kind, n in self._kinds.get(make, Counter()).most_common(_KINDS) if n > 1),
            )
            for make, number in sorted(self._messages.items())
        }


def own_fields(seen: Observed) -> list[str]:
    """The names of a message's header fields in their order, each once, without what others put there."""
    return list(dict.fromkeys(name for name in seen.headers[:_FIELDS] if name not in _NOT_ITS_OWN))


def contradictions(make: Make, seen: Observed) -> tuple[list[str], list[tuple[str, str]]]:
    """Header fields that no message of the make had, and pairs (a, b) of which it always sent b before a."""
    own = own_fields(seen)
    order = set(make.order)
    foreign = [name for name in own if name not in make.fields]
    turned = [
        (a, b)
        for a, b in itertools.combinations([name for name in own if name in make.fields], 2)
        if f"{b}\n{a}" in order and f"{a}\n{b}" not in order
    ]
    return foreign, turned
