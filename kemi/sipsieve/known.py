"""Keeps the known shapes in Python: where the native module is not built, and as what it is compared with."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .shape import Shape, Span

_Cutter = Callable[[bytes], tuple[bytes, ...]]


class _Layout(NamedTuple):
    """Where a message of one length is constant, and where not."""

    constants: _Cutter
    #: The CSeq number first.
    holes: _Cutter
    values: _Cutter
    plus: bool
    spans: tuple[list[Span], list[Span], list[Span]]
    known: dict[tuple[bytes, ...], Shape]


class KnownShapes:
    """Finds the shape of a message by its length and its constant bytes.

    `scan` looks for words, as `hyperscan.Database.scan`, `whole` for all that rules match. Of each length `most_layouts` are tried; when `most_shapes`
    are known, some old ones make room.
    """

    def __init__(
        self, scan: Callable[..., object], whole: Callable[..., object], most_shapes: int, most_layouts: int
    ) -> None:
        self._scan = scan
        self._whole = whole
        self._most_shapes = most_shapes
        self._most_layouts = most_layouts
        self._layouts: dict[int, list[_Layout]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def forget(self) -> None:
        """Begins anew, with no shape known."""
        self._layouts.clear()
        self._count = 0

    def _forget_one(self) -> None:
        """Makes room: the oldest shape of the oldest layout of the length that was met first."""
        length, layouts = next(iter(self._layouts.items()))
        known = layouts[-1].known
        del known[next(iter(known))]
        self._count -= 1
        if not known:
            layouts.pop()
        if not layouts:
            del self._layouts[length]

    def find(self, raw: bytes) -> Shape | None:
        """The shape of a message; None for one that has to be looked at."""
        layouts = self._layouts.get(len(raw))
        if layouts is None:
            return None
        for constants, holes, values, plus, _, known in layouts:
            shape = known.get(constants(raw))
            if shape is None:
                continue
            filled = holes(raw)
            if not filled[0].isdigit() or not b"".join(filled).isalnum():
                return None
            texts = values(raw)
            seen: list[int] = []
            if plus:
                # As a backend may read it, a leading + is a space, and then any rule may match.
                for text in {text for text in texts if text.startswith(b"+")}:
                    self._whole(b" " + text[1:], _collect, 0, seen)
            self._scan(b"\n".join(texts), _collect, 0, seen)
            return None if seen else shape
        return None

    def learn(
        self,
        raw: bytes,
        constants: list[Span],
        holes: list[Span],
        values: list[Span],
        plus: bool,
        shape: Shape,
        lane: object = None,
    ) -> None:
        """Keeps the shape of a message. The lane is the native module's."""
        spans = (constants, holes, values)
        layout = next((old for old in self._layouts.get(len(raw), ()) if old.spans == spans and old.plus == plus), None)
        if layout is not None and (key := layout.constants(raw)) in layout.known:
            layout.known[key] = shape
            return
        if self._count >= self._most_shapes:
            self._forget_one()
        layouts = self._layouts.setdefault(len(raw), [])
        if layout is None or not any(old is layout for old in layouts):
            if len(layouts) >= self._most_layouts:
                self._count -= len(layouts.pop().known)
            layout = _Layout(_cutter(constants), _holes(holes), _cutter(values), plus, spans, {})
            # The newest is tried first.
            layouts.insert(0, layout)
        layout.known[layout.constants(raw)] = shape
        self._count += 1


def _collect(identity: int, start: int, end: int, flags: int, found: object) -> None:
    found.append(identity)  # type: ignore[attr-defined]


def _holes(spans: list[Span]) -> _Cutter:
    """Cuts holes out, the first of the list in front wherever it stands."""
    first, rest = _cutter(spans[:1]), _cutter(sorted(spans[1:]))
    return lambda raw: (*first(raw), *rest(raw))


def _cutter(spans: list[Span]) -> _Cutter:
    """A function that cuts these spans, in their order, out of a message, in one call."""
    pieces = []
    position = 0
    for low, high in spans:
        pieces.append(f"{low - position}x{high - low}s")
        position = high
    return struct.Struct("".join(pieces)).unpack_from
