"""Says on which line of a TOML text a key is written: decoders name the key alone."""

from __future__ import annotations

import re
from typing import Final

_HEADER: Final = re.compile(r"\A(\[{1,2})\s*([\w.\-\"]+)\s*\]")
_ASSIGNED: Final = re.compile(r"\A([\w.\-\"]+)\s*=")
_PART: Final = re.compile(r"\[\d+\]|\.?[^.\[\]]+")
_KEY: Final = re.compile(r"\A([\w.\-\[\]]+): ")
_POSITION: Final = re.compile(r"\(at line (\d+)")


def line_of(text: str, key: str) -> int:
    """The line, from 1, of a dotted key as `limits.invite.per_minute` or `domain[2].name`, or of the rule that has the key as
    its id. Where the key itself is not written, that of what it would stand in; 0 where that is not written either."""
    written = _written(text)
    parts = _PART.findall(key)
    candidates = ("".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((written[one] for one in candidates if one in written), 0)


def place(name: str, text: str, said: str) -> str:
    """A file's name with the line that an error of its text tells of, as `sipsieve.toml:12`; the bare name without one.

    The error begins with a key and a colon, or holds `(at line N, …)` as those of the TOML decoder do.
    """
    if position := _POSITION.search(said):
        return f"{name}:{position[1]}"
    if "(at end of document)" in said:
        return f"{name}:{max(1, len(text.splitlines()))}"
    key = _KEY.match(said)
    line = line_of(text, key[1]) if key else 0
    return f"{name}:{line}" if line else name


def _written(text: str) -> dict[str, int]:
    """The first line of each key and table; tables of an array are numbered, from 0, as the decoder numbers them."""
    found: dict[str, int] = {}
    last: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if header := _HEADER.match(stripped):
            table = _numbered(header[2].replace('"', ""), last, header[1] == "[[")
            found.setdefault(table, number)
        elif assigned := _ASSIGNED.match(stripped):
            name = assigned[1].replace('"', "")
            found.setdefault(f"{table}.{name}".strip("."), number)
            if name == "id" and (identity := re.match(r"[^=]*=\s*\"([\w.\-]+)\"", stripped)):
                found.setdefault(identity[1], number)
    return found


def _numbered(name: str, last: dict[str, int], another: bool) -> str:
    """A table's name with the numbers of the arrays' tables that it is in; `another` begins a new one."""
    path = ""
    parts = name.split(".")
    for depth, part in enumerate(parts):
        path = f"{path}.{part}".strip(".")
        if another and depth == len(parts) - 1:
            last[path] = last.get(path, -1) + 1
        if path in last:
            path += f"[{last[path]}]"
    return path
