"""Kamailio's pseudo-variables as they stand in expressions and strings: name, index, transformations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_NAME: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_INDEX: Final = re.compile(r"\[(?:-?\d+|\*)?\]")
_PAIRS: Final = {"(": ")", "{": "}", "[": "]"}


class Variable(NamedTuple):
    """`$(hdr(X){s.len})`: class `hdr`, inner `X`, transformations `("s.len",)`, and the text that it was written as."""

    kind: str
    inner: str
    transformations: tuple[str, ...]
    written: str

    @property
    def name(self) -> str:
        """What it is stored under: without index and transformations."""
        return f"${self.kind}({self.inner})" if self.inner else f"${self.kind}"


def end_of(text: str, at: int) -> int:
    """Where the variable that begins at `at` (a dollar) ends; `at` itself if none does."""
    after = at + 1
    if text.startswith("(", after):
        closed = _closed(text, after)
        return at if closed == after else closed
    if text.startswith("?", after):
        return after + 1
    start = after
    while after < len(text) and text[after] in _NAME:
        after += 1
    if after == start:
        return at
    if text.startswith("(", after):
        closed = _closed(text, after)
        if closed == after:
            return at
        after = closed
    while text.startswith("[", after) and _INDEX.match(text, after):
        after = text.index("]", after) + 1
    return after


def _closed(text: str, at: int) -> int:
    """Behind the bracket that closes the one at `at`; `at` itself where none does."""
    waiting = [_PAIRS[text[at]]]
    for place in range(at + 1, min(len(text), at + 2000)):
        one = text[place]
        if one == waiting[-1]:
            waiting.pop()
            if not waiting:
                return place + 1
        # Inside `{...}` a bracket is text, as in `{s.rm,(}`.
        elif one in _PAIRS and (waiting[-1] != "}" or one == "{"):
            waiting.append(_PAIRS[one])
    return at


def parse(written: str) -> Variable:
    """A variable from its text, `$...` as `end_of` delimits it."""
    body = written[1:]
    transformations: list[str] = []
    if body.startswith("("):
        body = body[1:-1]
        while body.endswith("}") and "{" in body:
            start = _opening(body)
            transformations.insert(0, body[start + 1 : -1].strip())
            body = body[:start]
    if body.endswith("]"):
        body = body[: body.rindex("[")] if "[" in body and ")" not in body[body.rindex("[") :] else body
    kind, _, inner = body.partition("(")
    return Variable(kind.strip(), inner[:-1].strip() if inner.endswith(")") else inner, tuple(transformations), written)


def _opening(body: str) -> int:
    """Where the last `{...}` group of a text that ends in one begins."""
    depth = 0
    for place in range(len(body) - 1, -1, -1):
        depth += (body[place] == "}") - (body[place] == "{")
        if not depth:
            return place
    return 0


def pieces(text: str) -> Iterator[str | Variable]:
    """A string as a function's parameter shows it: literal pieces and variables, in order."""
    start = at = 0
    while (at := text.find("$", at)) >= 0:
        if text.startswith("$$", at):
            at += 2
            continue
        end = end_of(text, at)
        if end == at:
            at += 1
            continue
        if at > start:
            yield text[start:at]
        yield parse(text[at:end])
        start = at = end
    if start < len(text):
        yield text[start:]
