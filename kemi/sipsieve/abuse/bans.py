"""Who is shut out, for how long, and how that is written down."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from ..model import Scope

#: Longest text kept as a ban's reason: a table's value lives in Kamailio's shared memory.
_REASON: Final = 120

#: Bytes that a state file may have: 100,000 bans of 300 bytes.
MAX_STATE: Final = 32 * 1024 * 1024

_KEY: Final = re.compile(r"[0-9a-f.:]{1,45}", re.ASCII)
_RULE: Final = re.compile(r"[a-z0-9-]{1,48}", re.ASCII)
_PLAIN: Final = re.compile(r"[^ -{}~]", re.ASCII)

#: What a key may stand for when it is turned back into a network.
_GROUPS: Final = 8


_SCOPES: Final = {str(scope): scope for scope in Scope}


class Entry(NamedTuple):
    """A ban as it stands in the table `sipsieve_bans`.

    Times are seconds since the epoch. `offences`: the how-manieth ban in a row this is.
    """

    key: str
    rule: str
    since: int
    until: int
    offences: int = 1
    scope: Scope = Scope.ALL
    reason: str = ""

    @property
    def value(self) -> str:
        """As text for the table. The first byte is what sipsieve.cfg looks at."""
        return f"{self.scope}|{self.rule}|{self.since}|{self.until}|{self.offences}|{_PLAIN.sub('?', self.reason)[:_REASON]}"


def entry(key: str, value: str) -> Entry | None:
    """Reads a table's entry; None where it is not one of ours: another node, or an operator, may write there too."""
    parts = value.split("|", 5)
    if len(parts) != 6 or parts[0] not in _SCOPES or not _KEY.fullmatch(key) or not _RULE.fullmatch(parts[1]):
        return None
    if not all(part.isascii() and part.isdigit() and len(part) <= 12 for part in parts[2:5]):
        return None
    since, until, offences = (int(part) for part in parts[2:5])
    return Entry(key, parts[1], since, until, offences, _SCOPES[parts[0]], _PLAIN.sub("?", parts[5])[:_REASON])


def lasting(table: Mapping[str, str], now: float) -> Iterator[tuple[str, str, int]]:
    """Key, value and seconds left of each ban of a table that still lasts, as they stand."""
    for key, value in table.items():
        one = entry(key, value)
        if one is not None and (left := int(one.until - now)) > 0:
            yield key, value, left


def network(key: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """The addresses that a key stands for: the reverse of `network.key`; None for what is no key."""
    try:
        if "." in key or (":" not in key and key.isdigit()):
            octets = key.split(".")
            return ipaddress.IPv4Network(f"{'.'.join(octets + ['0'] * (4 - len(octets)))}/{8 * len(octets)}")
        groups = key.split(":")
        if not all(groups) or len(groups) > _GROUPS:
            return None
        return ipaddress.IPv6Network(f"{':'.join(groups + ['0'] * (_GROUPS - len(groups)))}/{16 * len(groups)}")
    except ValueError:
        return None


def dump(entries: list[Entry], now: float) -> str:
    """The bans as the text of a state file, with a checksum over them."""
    bans = {one.key: one.value for one in entries}
    return json.dumps({"format": 2, "written": int(now), "sha256": _checksum(bans), "bans": bans}, indent=0)


def restore(text: str, now: float, most: int) -> list[Entry]:
    """The bans of a state file that still last, at most `most`, the longest first. Raises `ValueError`."""
    decoded: Any = json.loads(text)
    if not isinstance(decoded, dict) or not isinstance(decoded.get("bans"), dict):
        raise ValueError("not a state file of bans")
    # The first format had no checksum; it is read so that an upgrade lifts no ban.
    if decoded.get("format") not in (1, 2):
        raise ValueError("a state file of another version")
    if decoded["format"] == 2 and decoded.get("sha256") != _checksum(decoded["bans"]):
        raise ValueError("its checksum is wrong")
    found = [entry(str(key), str(value)) for key, value in decoded["bans"].items()]
    lasting = [one for one in found if one is not None and one.until > now]
    return sorted(lasting, key=lambda one: -one.until)[:most]


def _checksum(bans: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(bans, sort_keys=True).encode()).hexdigest()
