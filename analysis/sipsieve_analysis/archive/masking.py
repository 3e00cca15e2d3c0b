"""Masks what is archived as the policy masks the log, and leaves alone what is masked already."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from sipsieve.decision_log.privacy import Mask

#: A mask, as records hold it.
_MASKED: Final = re.compile(r"masked-[0-9a-f]{18}")

#: Columns of URIs, masked whatever the log did.
_URIS: Final = ("uri", "from_uri", "to_uri")


class Masking:
    """What a mask does to batches of events."""

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        # Where a text holds masks, its user parts were looked at by the guard; masking a mask would part equal numbers.
        self._numbers = Mask(mask.key, False)

    def batch(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The same rows with numbers, or all user parts, masked."""
        columns = {name: batch.column(name) for name in batch.schema.names}
        fields = _texts(columns["field"])
        for name in _URIS:
            columns[name] = _each(columns[name], lambda text: self._value("", text))
        columns["excerpt"] = self._excerpts(columns["excerpt"], fields)
        columns["indicators"] = _each(columns["indicators"], self._indicators)
        columns["findings"] = self._findings(columns["findings"])
        return pa.RecordBatch.from_arrays(list(columns.values()), schema=batch.schema)

    def _value(self, field: str, text: str) -> str:
        mask = self._numbers if _MASKED.search(text) else self._mask
        if field.endswith(".userinfo") and _MASKED.fullmatch(text):
            return text
        return mask.value(field, text)

    def _excerpts(self, column: pa.Array, fields: list[str]) -> pa.Array:
        texts = column.to_pylist()
        masked = [None if text is None else self._value(field, text) for text, field in zip(texts, fields, strict=True)]
        return pa.array(masked, column.type)

    def _indicators(self, text: str) -> str:
        try:
            items = json.loads(text)
            for item in items:
                item["value"] = self._value("", item["value"])
        except (ValueError, TypeError, KeyError):
            return self._value("", text)
        return json.dumps(items, separators=(",", ":"))

    def _findings(self, column: pa.ListArray) -> pa.ListArray:
        flat = column.flatten()
        if not len(flat):
            return column
        parts = {flat.type.field(i).name: flat.field(i) for i in range(flat.type.num_fields)}
        parts["excerpt"] = self._excerpts(parts["excerpt"], _texts(parts["field"]))
        made = pa.StructArray.from_arrays(list(parts.values()), fields=list(flat.type))
        lengths = pc.fill_null(pc.list_value_length(column), 0).to_pylist()
        offsets: list[int | None] = [0]
        at = 0
        for length in lengths:
            at += length
            offsets.append(at)
        missing = pa.array(column.is_null().to_pylist(), pa.bool_())
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), made, type=column.type, mask=missing)


def _texts(column: pa.Array) -> list[str]:
    return [text or "" for text in column.to_pylist()]


def _each(column: pa.Array, mask: Callable[[str], str]) -> pa.Array:
    """Masks each different text once."""
    coded = column.dictionary_encode()
    texts = pa.array([mask(text) for text in coded.dictionary.to_pylist()], column.type)
    return texts.take(coded.indices)
