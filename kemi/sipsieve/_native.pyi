"""The compiled part, built from kemi/native: see native.py."""

from collections.abc import Callable

from .fastpath import Plan
from .lane import Lane
from .shape import Shape, Span

EDITION: int

class KnownShapes:
    def __init__(
        self,
        scan: Callable[..., object],
        whole: Callable[..., object],
        words: list[bytes],
        alone: list[bytes],
        endings: list[bytes],
        secret: bytes,
        most_shapes: int,
        most_layouts: int,
        /,
    ) -> None: ...
    def __len__(self) -> int: ...
    def forget(self) -> None: ...
    def find(self, raw: bytes, /) -> Shape | None: ...
    def learn(
        self,
        raw: bytes,
        constants: list[Span],
        holes: list[Span],
        values: list[Span],
        plus: bool,
        shape: Shape,
        lane: Lane | None,
        /,
    ) -> None: ...

class FastPath:
    def __init__(self, plan: Plan, known: KnownShapes, /) -> None: ...
    def message(self, msg: object, where: str = "", /) -> int: ...
    def meet(
        self,
        where: str,
        source: object,
        key: str,
        cell: str,
        limited: bool,
        connected: bool,
        salt: int,
        quiet: tuple[int, ...],
        piece: bytes,
        /,
    ) -> None: ...
    def counts(self) -> tuple[int, int]: ...

class Counts:
    def __init__(self, memory: object, /) -> None: ...
    def increase(self, name: str, window: int, /) -> int: ...
    def get(self, name: str, window: int, /) -> int: ...
    def forget(self) -> None: ...

def identity(raw: bytes, secret: bytes, /) -> int: ...
def copies(table: object, identity: int, seconds: int, /) -> int: ...
