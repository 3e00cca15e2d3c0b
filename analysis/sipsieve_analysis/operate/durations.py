"""Times as operators type and read them."""

from __future__ import annotations

import re
from typing import Final

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(text: str) -> int:
    """`90`, `90s`, `10m`, `2h`, `1d`, `1h30m` in seconds. Raises `ValueError` with what is allowed."""
    if text.isdecimal():
        return int(text)
    pieces = re.findall(r"(\d{1,9})([smhd])", text)
    if not pieces or "".join(number + unit for number, unit in pieces) != text:
        raise ValueError(f"{text!r} is no time; allowed: 90s, 10m, 2h, 1d, 1h30m")
    return sum(int(number) * _UNITS[unit] for number, unit in pieces)


def readable(value: float) -> str:
    """Seconds as the two largest units that matter: `1h 30m`."""
    whole = max(int(value), 0)
    pieces = []
    for unit, size in reversed(_UNITS.items()):
        if whole >= size:
            pieces.append(f"{whole // size}{unit}")
            whole %= size
    return " ".join(pieces[:2]) or "0s"
