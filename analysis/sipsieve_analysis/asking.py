"""What an engine must offer to be asked of the events, and how its answers come into Python."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, Protocol

import pyarrow as pa

if TYPE_CHECKING:
    from ibis.expr.types import Table

#: Rows that are made into Python's objects at a time: of a million at once these take a gigabyte.
_TOGETHER: Final = 65_536


class Events(Protocol):
    """What an engine must offer to be asked."""

    @property
    def events(self) -> Table:
        """The events table."""
        ...

    def rows(self, question: str, expression: Callable[[], Table]) -> Iterator[tuple[Any, ...]]:
        """An expression's rows. Where the question was prepared, which is named by that ("" for none), the expression is not put together."""
        ...

    def dicts(self, question: str, expression: Callable[[], Table]) -> list[dict[str, Any]]:
        """The same with the columns' names."""
        ...

    def keep(self, name: str, question: str, expression: Callable[[], Table]) -> None:
        """Works out an expression once, for `table`."""
        ...

    def table(self, name: str) -> Table:
        """What was kept under that name."""
        ...

    def choose(self, ips: Iterable[str]) -> None:
        """The addresses of which the next question is."""
        ...

    @property
    def chosen(self) -> Table:
        """The addresses that were chosen last, in a column `ip`."""
        ...


def rows(found: pa.Table) -> Iterator[tuple[Any, ...]]:
    """An answer's rows. Sums are whole numbers: DuckDB gives them more digits than any count of messages has."""
    for batch in found.to_batches(max_chunksize=_TOGETHER):
        yield from zip(*map(_values, batch.columns), strict=True)


def _values(column: pa.Array) -> list[Any]:
    # To cast them takes a module of Arrow's that is as long to import as the rest of it.
    values: list[Any] = column.to_pylist()
    if pa.types.is_decimal(column.type):
        return [None if value is None else int(value) for value in values]
    return values


def dicts(found: pa.Table) -> list[dict[str, Any]]:
    """The same with the columns' names."""
    return [dict(zip(found.column_names, row, strict=True)) for row in rows(found)]
