"""Writes the indicators as CSV."""

from __future__ import annotations

import csv
import io
from typing import Final

from ..operate.harmless import harmless
from ..report import Report, when

#: A cell that begins so is a formula to some spreadsheet, in full-width form too.
_FORMULA: Final = ("=", "+", "-", "@", "|", "%", "\uff1d", "\uff0b", "\uff0d", "\uff20")

_HEADER: Final = ("type", "value", "defanged", "actors", "first_seen", "last_seen", "messages")


def cell(value: object) -> str:
    """A value that a spreadsheet shows and does not run."""
    plain = harmless(str(value), 1024)
    return f"'{plain}" if plain.lstrip().startswith(_FORMULA) or plain.startswith("\\x") else plain


def write(report: Report) -> str:
    """One row an indicator, every cell quoted."""
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(_HEADER)
    for s in report.indicators:
        item = s.indicator
        row = (item.kind, item.value, item.defanged, " ".join(s.actors), when(s.first_us), when(s.last_us), s.messages)
        writer.writerow([cell(value) for value in row])
    return out.getvalue()
