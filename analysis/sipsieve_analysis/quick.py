"""DuckDB behind Ibis, without what its answers need not: pandas takes a quarter of a second to import."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import pyarrow as pa
from ibis.backends.duckdb import Backend
from ibis.expr import datatypes as dt
from ibis.expr.operations import InMemoryTable
from ibis.expr.types import Expr, Table
from ibis.formats.pyarrow import PyArrowData, PyArrowSchema, PyArrowTableProxy
from ibis.util import gen_name


class _Mapper(PyArrowData):  # type: ignore[misc]
    """As Ibis has it for DuckDB, in a module that imports pandas."""

    @classmethod
    def convert_scalar(cls, scalar: pa.Scalar, dtype: dt.DataType) -> pa.Scalar:
        return pa.scalar(None) if dtype.is_null() else super().convert_scalar(scalar, dtype)

    @classmethod
    def convert_column(cls, column: pa.Array, dtype: dt.DataType) -> pa.Array:
        return pa.nulls(len(column)) if dtype.is_null() else super().convert_column(column, dtype)


class Engine(Backend):  # type: ignore[misc]
    """Ibis's DuckDB, whose answers come as Arrow alone."""

    def to_pyarrow(self, expr: Expr, /, **options: Any) -> Any:
        """An expression's value: a table, column or scalar of Arrow."""
        found = self._to_duckdb_relation(expr, **options).to_arrow_table()
        return expr.__pyarrow_result__(found, data_mapper=_Mapper)


def texts(values: Sequence[str]) -> pa.Array:
    """Texts as a column of Arrow: its own way to make one of a list imports pandas."""
    parts = [value.encode() for value in values]
    ends = array("i", accumulate(map(len, parts), initial=0))
    return pa.StringArray.from_buffers(len(parts), pa.py_buffer(ends.tobytes()), pa.py_buffer(b"".join(parts)))


def memory(**columns: pa.Array) -> Table:
    """A table of these columns; `ibis.memtable` imports pandas to see whether it was given one of its own."""
    held = pa.table(columns)
    return InMemoryTable(gen_name("memory"), PyArrowSchema.to_ibis(held.schema), PyArrowTableProxy(held)).to_expr()
