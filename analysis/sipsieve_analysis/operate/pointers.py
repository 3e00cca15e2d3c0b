"""What a record's payload points at, in a form that nobody clicks on."""

from __future__ import annotations

from sipsieve.detection.indicators import Indicator

from .decisions import Record


def pointers_of(record: Record) -> list[Indicator]:
    """The indicators in a record; what is not one is left out."""
    entries = record.get("indicators")
    if not isinstance(entries, list):
        return []
    return [
        Indicator(str(entry.get("type")), entry["value"])
        for entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("value"), str) and entry["value"]
    ]


def defang(text: str, record: Record) -> str:
    """A text of the record with the record's indicators in it defanged."""
    for item in sorted(pointers_of(record), key=lambda item: -len(item.value)):
        text = text.replace(item.value, item.defanged)
    return text
