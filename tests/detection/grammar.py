"""Composes texts at random from productions, each of which is either one that rules may be made on or one that is held back."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

_SYMBOL: Final = re.compile(r"«([a-z]+)»")
_DEPTH: Final = 12


class Text(NamedTuple):
    """A composed text and the productions that it is made of."""

    text: str
    productions: tuple[str, ...]

    @property
    def held_back(self) -> bool:
        """Whether one of its productions is held back."""
        return any(is_held_back(production) for production in self.productions)


def is_held_back(production: str) -> bool:
    """Three of ten productions, chosen by their hash: adding one never moves another."""
    return hashlib.sha256(production.encode()).digest()[0] < 77


class Grammar:
    """Productions by symbol. In a production, `«name»` is replaced by one of the symbol's own productions."""

    def __init__(self, productions: Mapping[str, Sequence[str]]) -> None:
        self._productions = {name: tuple(choices) for name, choices in productions.items()}
        for name, choices in self._productions.items():
            for symbol in (s for choice in choices for s in _SYMBOL.findall(choice)):
                if symbol not in self._productions:
                    raise ValueError(f"{name} names «{symbol}», which has no productions")

    def productions(self) -> Iterator[str]:
        """Every production, as it is named in a `Text`."""
        return (f"{name}: {choice}" for name, choices in self._productions.items() for choice in choices)

    def compose(self, symbol: str, rng: random.Random, developed_only: bool) -> Text:
        """One text of a symbol. With `developed_only`, of developed productions, where the symbol has any."""
        used: list[str] = []

        def expand(name: str, depth: int) -> str:
            choices = self._productions[name]
            if developed_only:
                choices = tuple(c for c in choices if not is_held_back(f"{name}: {c}")) or choices
            if depth > _DEPTH:  # those that end soonest
                choices = tuple(sorted(choices, key=lambda c: len(_SYMBOL.findall(c)))[:1])
            choice = rng.choice(choices)
            if len(self._productions[name]) > 1:
                used.append(f"{name}: {choice}")
            return _SYMBOL.sub(lambda match: expand(match[1], depth + 1), choice)

        return Text(expand(symbol, 0), tuple(used))

    def texts(self, symbols: Iterable[str], rng: random.Random, part: str) -> Iterator[Text]:
        """Texts of the symbols in turn, of a part (`develop`, `held-back`, `all`), without end. Each is new."""
        symbols = list(symbols)
        seen: set[str] = set()
        fruitless = 0
        while fruitless < 10_000:
            for symbol in symbols:
                text = self.compose(symbol, rng, part == "develop")
                if text.text in seen or (part == "held-back" and not text.held_back):
                    fruitless += 1
                    continue
                fruitless = 0
                seen.add(text.text)
                yield text
