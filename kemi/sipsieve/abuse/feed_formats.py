"""Turns a list from outside, in any of its forms, into one entry a line."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from ..config.lists import Feed

#: Names under which lists in JSON or CSV have their entries, in the order in which they are looked for.
_NAMES: Final = (
    "ip",
    "cidr",
    "address",
    "network",
    "prefix",
    "ip_prefix",
    "ipv6_prefix",
    "ipaddress",
    "value",
    "range",
)

#: Durations as Go writes them, which is how CrowdSec does: `3h59m14.7s`.
_PIECE: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ns|us|µs|ms|h|m|s)")
_SECONDS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def lines(content: bytes, feed: Feed, now: float) -> str:
    """The entries as `ADDRESS[/PREFIX]` or `ADDRESS-ADDRESS`, each perhaps with a blank and the second from which it does not
    count. What is no address is left in, so that the reader can count it. Raises `ValueError` where the form is another one."""
    text = content.decode("utf-8-sig", "replace")
    match feed.format:
        case "plain":
            found: Iterable[str] = (re.split(r"[#;,\s]", line.strip(), maxsplit=1)[0] for line in text.splitlines())
        case "csv":
            found = _csv(text, feed.column)
        case "json" | "apiban":
            found = _json(_decoded(text), feed.column)
        case "crowdsec":
            found = _crowdsec(_decoded(text), now)
    return "".join(f"{entry}\n" for entry in map(_one_line, found) if entry)


def apiban_next(content: bytes) -> str:
    """The number to ask APIBAN with for what follows; "" where nothing does."""
    page = _decoded(content.decode("utf-8", "replace"))
    number = page.get("ID") if isinstance(page, dict) else None
    return number if isinstance(number, str) and re.fullmatch(r"[0-9]{1,20}", number) else ""


def _one_line(entry: str) -> str:
    return " ".join(entry.split())[:200].encode("ascii", "replace").decode()


def _decoded(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(f"it is not JSON: {error}") from None


def _csv(text: str, column: str) -> Iterator[str]:
    rows = csv.reader(line for line in io.StringIO(text) if not line.lstrip().startswith("#"))
    place = int(column) - 1 if column.isdigit() else -1
    try:
        for row in rows:
            if place < 0:
                heads = [cell.strip().lower() for cell in row]
                wanted = [column.lower()] if column else list(_NAMES)
                place = next((heads.index(name) for name in wanted if name in heads), -1)
                if place >= 0:
                    continue
                if column:
                    raise ValueError(f"it has no column {column!r}, but {', '.join(heads)[:200]}")
                place = 0
            if place < len(row):
                yield row[place].strip()
    except csv.Error as error:
        raise ValueError(f"it is not CSV: {error}") from None


def _json(content: Any, column: str) -> Iterator[str]:
    """Texts of a list, of the entries of a list of objects, or of the lists of one object."""
    names = (column,) if column else _NAMES
    if isinstance(content, dict):
        inner = [content[column]] if isinstance(content.get(column), list) else content.values()
        parts = [part for part in inner if isinstance(part, list)]
        if not parts:
            raise ValueError("it has no list of entries")
    elif isinstance(content, list):
        parts = [content]
    else:
        raise ValueError("it is neither a list nor an object")
    for part in parts:
        for entry in part:
            value = next((entry[name] for name in names if name in entry), "?") if isinstance(entry, dict) else entry
            yield value if isinstance(value, str) else "?"


def _crowdsec(content: Any, now: float) -> Iterator[str]:
    """Decisions of CrowdSec's local API, whether asked for as a list or as a stream."""
    decisions = content.get("new") if isinstance(content, dict) else content
    # Where it has none it says null.
    if not isinstance(decisions, list | None):
        raise ValueError("it has no list of decisions")
    for decision in decisions or ():
        if not isinstance(decision, dict):
            yield "?"
        elif decision.get("type") == "ban" and str(decision.get("scope")).lower() in ("ip", "range"):
            yield f"{decision.get('value')} {int(now + _duration(str(decision.get('duration', ''))))}"


def _duration(text: str) -> float:
    """Seconds; 0, which is over at once, for what is none or is negative."""
    pieces = _PIECE.findall(text[:60])
    if "".join(number + unit for number, unit in pieces) != text:
        return 0.0
    return float(sum(float(number) * _SECONDS[unit] for number, unit in pieces))
