"""Python's search for objects that only hold each other: the analysis makes many objects and few such."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from typing import Final

#: Objects made, beyond those let go, before the youngest are searched: Python's own 700 costs a fifteenth of an analysis.
_MADE: Final = 50_000


@contextlib.contextmanager
def seldom() -> Iterator[None]:
    """Within this the search is seldom. What only holds itself stays somewhat longer, some megabytes at most."""
    before = gc.get_threshold()
    gc.set_threshold(_MADE, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
