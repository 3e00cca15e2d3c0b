"""Writes bans as block lists for other devices: plain text, CSV, JSON, STIX or MISP, each with its expiry.

A list holds sources that the guard shut out: what an address stands for that only a payload names is never a source. Bans
for WebSockets only are left out, since a firewall can't tell these from any other connection.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from sipsieve.abuse.bans import Entry, network
from sipsieve.model import Scope

from ..lists import misp, stix

#: 9999-12-31T23:59:59Z, the last moment that RFC 3339 can write: others write to the table of bans, too.
_LAST: Final = 253_402_300_799


def rows(entries: Iterable[Entry], now: float) -> list[dict[str, Any]]:
    """The bans that last at `now` (seconds since the epoch), sorted by network. Times are UTC, as in RFC 3339."""
    found = []
    for one in entries:
        around = network(one.key)
        if around is None or one.until <= now or one.scope is Scope.WEBSOCKETS:
            continue
        row = {
            "network": str(around),
            "since": _time(one.since),
            "until": _time(one.until),
            "rule": one.rule,
            "offences": one.offences,
            "udp_only": one.scope is Scope.DATAGRAMS,
        }
        found.append((around.version, around.network_address.packed, row))
    return [row for _, _, row in sorted(found, key=lambda each: each[:2])]


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(min(seconds, _LAST), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _plain(found: list[dict[str, Any]], now: float) -> str:
    ends = min((row["until"] for row in found), default="never")
    head = f"# sipsieve: {len(found)} networks, written {_time(now)}, the first ban ends {ends}\n"
    return head + "".join(f"{row['network']}\n" for row in found)


def _csv(found: list[dict[str, Any]], now: float) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, ["network", "since", "until", "rule", "offences", "udp_only"], lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "udp_only": str(row["udp_only"]).lower()} for row in found)
    return text.getvalue()


def _json(found: list[dict[str, Any]], now: float) -> str:
    return json.dumps({"format": 1, "written": _time(now), "bans": found}, indent=2) + "\n"


#: How a list can be written.
FORMATS: Final[Mapping[str, Callable[[list[dict[str, Any]], float], str]]] = {
    "plain": _plain,
    "csv": _csv,
    "json": _json,
    "stix": lambda found, now: stix.write(found, _time(now)),
    "misp": lambda found, now: misp.write(found, _time(now)),
}
