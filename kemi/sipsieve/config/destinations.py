"""Where calls may go: `[dialling]` and `[[destinations]]` of the policy, and what they mean as prefixes for the core."""

from __future__ import annotations

import datetime
import difflib
import functools
import ipaddress
import zoneinfo
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta, Struct

from .._core import Numbers
from .geo import Asn, Country

#: Dialling prefixes by country, and classes of dear numbers, with the source and date of each.
NUMBERING: Final = Path(__file__).with_name("numbering.toml")

Count = Annotated[int, Meta(ge=0, le=10_000_000)]
Digits = Annotated[str, Meta(pattern=r"^[0-9]{1,12}$")]

#: Bits of a prefix, country or class, as the core has them.
ALLOWED: Final = 1
FORBIDDEN: Final = 2
EXPENSIVE: Final = 4
ABROAD: Final = 8

#: Years between which the clock changes of a site are known.
_YEARS: Final = (2000, 2045)


class DestinationError(ValueError):
    """A destination that can't be used: which key, and what is wrong with it."""


class Dialling(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How numbers are dialled at this site."""

    #: The code of its own country, as in "49". Empty: calls to it can't be told from calls abroad.
    country: Annotated[str, Meta(pattern=r"^[0-9]{0,3}$")] = ""
    #: What an international number begins with, beside a plus.
    international: tuple[Digits, ...] = ("00",)
    #: What a number of another area begins with.
    national: tuple[Digits, ...] = ("0",)
    #: What gives a line out.
    outside: tuple[Digits, ...] = ()
    #: What a number of seven digits or more is that has no prefix.
    bare: Literal["inside", "national", "international"] = "inside"


class Rate(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How many calls. 0: any number."""

    per_minute: Count = 0
    per_hour: Count = 0


class OffHours(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename={"start": "from"}):
    """When an entry is stricter, and how."""

    start: Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")] = "20:00"
    to: Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")] = "06:00"
    #: All of Saturday and Sunday too.
    weekend: bool = True
    zone: str = "UTC"
    #: What is not called then at all.
    refuse: Literal["nothing", "expensive", "abroad"] = "nothing"
    #: Instead of the entry's own; what is 0 stays.
    expensive: Rate = Rate()
    abroad: Rate = Rate()


class Destination(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One `[[destinations]]`: for whom, which numbers, and how many calls. The first that fits a call holds."""

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,39}$")]
    mode: Literal["observe", "enforce"] = "observe"
    networks: tuple[str, ...] = ()
    #: Where the caller's address is at home; one that is not known fits nothing.
    from_countries: tuple[Country, ...] = ()
    from_asns: tuple[Asn, ...] = ()
    domains: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    per: Literal["source", "account", "domain"] = "source"
    allowed: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    dear: tuple[str, ...] = ("premium", "satellite", "networks", "high-fraud")
    expensive: Rate = Rate()
    abroad: Rate = Rate()
    countries_per_hour: Count = 0
    block_per_hour: Count = 0
    spellings_per_hour: Count = 0
    callers_per_hour: Count = 0
    short_per_hour: Count = 0
    short_seconds: Annotated[int, Meta(ge=1, le=255)] = 10
    off_hours: OffHours | None = None


class Class(Struct, frozen=True, forbid_unknown_fields=True):
    """Numbers that are dear: what they are called, and who says so, when."""

    label: str
    source: str
    date: datetime.date
    prefixes: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()


class Numbering(Struct, frozen=True, forbid_unknown_fields=True):
    """The file of dialling prefixes."""

    countries: dict[str, tuple[str, ...]]
    classes: dict[str, Class]


class Sorted(NamedTuple):
    """What a list of destinations comes to: prefixes written out, countries and classes by name."""

    prefixes: tuple[str, ...]
    countries: tuple[str, ...]
    classes: tuple[str, ...]


@functools.cache
def numbering() -> Numbering:
    """The table, read once and only where a policy needs it."""
    return msgspec.toml.decode(NUMBERING.read_bytes(), type=Numbering)


def sort(key: str, texts: Iterable[str]) -> Sorted:
    """`+49`, `DE` and `premium` told apart. Raises `DestinationError` with the key, what is wrong and what is allowed."""
    table = numbering()
    found: tuple[list[str], list[str], list[str]] = ([], [], [])
    for index, text in enumerate(texts):
        digits = text.removeprefix("+")
        if text.startswith("+") and digits.isascii() and digits.isdigit() and len(digits) <= 12:
            found[0].append(digits)
        elif text in table.countries:
            found[1].append(text)
        elif text in table.classes:
            found[2].append(text)
        else:
            close = difflib.get_close_matches(text, [*table.countries, *table.classes], 1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise DestinationError(
                f"{key}[{index}]: {text!r} is no destination.{hint} Allowed: a prefix with its country's code, as in "
                f'"+4990"; a country by its two letters, as in "DE"; {", ".join(table.classes)}'
            )
    return Sorted(*(tuple(part) for part in found))


def check(entries: Sequence[Destination]) -> None:
    """What types alone can't say. Raises `DestinationError`."""
    names: dict[str, int] = {}
    for index, entry in enumerate(entries):
        at = f"destinations[{index}]"
        if entry.name in names:
            raise DestinationError(
                f"{at}.name: {entry.name!r} is the name of destinations[{names[entry.name]}]; give each its own"
            )
        names[entry.name] = index
        for key in ("allowed", "forbidden", "dear"):
            sort(f"{at}.{key}", getattr(entry, key))
        for place, text in enumerate(entry.networks):
            try:
                ipaddress.ip_network(text, strict=False)
            except ValueError as error:
                raise DestinationError(
                    f'{at}.networks[{place}]: {text!r} is no address or network; allowed: as in "192.0.2.0/24"'
                ) from error
        if entry.off_hours is not None:
            _zone(f"{at}.off_hours.zone", entry.off_hours.zone)


#: As numbers are dialled anywhere: what leads abroad in most countries, in North America and in Australia, behind a digit that may
#: give a line out. For recorded calls of whose site nothing is known.
ANYWHERE: Final = Dialling(international=("00", "011", "0011"), national=(), outside=tuple("0123456789"))


def numbers(dialling: Dialling, dear: tuple[str, ...]) -> Numbers:
    """Tells where recorded calls went, as the guard tells it of live ones."""
    return Numbers(plan(dialling, [Destination(name="recorded", dear=dear)]))


def _zone(key: str, name: str) -> zoneinfo.ZoneInfo | datetime.timezone:
    if name == "UTC":
        return datetime.UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise DestinationError(
            f'{key}: {name!r} is no time zone of this machine; allowed: as in "Europe/Berlin", with the package tzdata installed'
        ) from error


def offsets(zone: datetime.tzinfo) -> list[tuple[int, int]]:
    """From which second of the epoch on local time is how many seconds ahead of UTC."""

    def ahead(second: int) -> int:
        offset = datetime.datetime.fromtimestamp(second, zone).utcoffset()
        return int(offset.total_seconds()) if offset else 0

    first, last = (int(datetime.datetime(year, 1, 1, tzinfo=datetime.UTC).timestamp()) for year in _YEARS)
    found, week = [(0, ahead(first))], 7 * 86_400
    for start in range(first, last, week):
        if ahead(start) == ahead(start + week):
            continue
        low, high = start, start + week
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if ahead(middle) == ahead(start) else (low, middle)
        found.append((high, ahead(high)))
    return found


def _minutes(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def _rate(rate: Rate) -> tuple[int, int]:
    return (rate.per_minute, rate.per_hour)


def _off_hours(own: OffHours | None) -> dict[str, Any] | None:
    if own is None:
        return None
    refused = {"nothing": 0, "expensive": EXPENSIVE, "abroad": EXPENSIVE | ABROAD}
    return {
        "from": _minutes(own.start),
        "to": _minutes(own.to),
        "weekend": own.weekend,
        "offsets": offsets(_zone("zone", own.zone)),
        "refuse": refused[own.refuse],
        "expensive": _rate(own.expensive),
        "abroad": _rate(own.abroad),
    }


def _entry(entry: Destination, countries: Sequence[str], classes: Sequence[str]) -> dict[str, Any]:
    sorts = [
        (sort("allowed", entry.allowed), ALLOWED),
        (sort("forbidden", entry.forbidden), FORBIDDEN),
        (sort("dear", entry.dear), EXPENSIVE),
    ]
    rich = numbering().classes
    # A class may be made of countries: then its countries have the bits.
    within = {(land, bit) for own, bit in sorts for name in own.classes for land in rich[name].countries}
    networks = [ipaddress.ip_network(text, strict=False) for text in entry.networks]
    return {
        "name": entry.name,
        "enforce": entry.mode == "enforce",
        "networks": [(str(network.network_address), network.prefixlen) for network in networks],
        "places": (list(entry.from_countries), list(entry.from_asns), False),
        "domains": [name.lower() for name in entry.domains],
        "accounts": list(entry.accounts),
        "per": entry.per,
        "exclusive": bool(entry.allowed),
        "prefixes": [(prefix, bit) for own, bit in sorts for prefix in own.prefixes],
        "countries": [
            sum(bit for own, bit in sorts if land in own.countries or (land, bit) in within) for land in countries
        ],
        "classes": [sum(bit for own, bit in sorts if name in own.classes) for name in classes],
        "expensive": _rate(entry.expensive),
        "abroad": _rate(entry.abroad),
        "countries_per_hour": entry.countries_per_hour,
        "block_per_hour": entry.block_per_hour,
        "spellings_per_hour": entry.spellings_per_hour,
        "callers_per_hour": entry.callers_per_hour,
        "short_per_hour": entry.short_per_hour,
        "short_seconds": entry.short_seconds,
        "off_hours": _off_hours(entry.off_hours),
    }


def plan(dialling: Dialling, entries: Sequence[Destination]) -> dict[str, Any] | None:
    """Both as the core takes them; None where the policy has no entry, and nothing is to be looked at."""
    if not entries:
        return None
    table = numbering()
    countries, classes = list(table.countries), list(table.classes)
    places: dict[str, int] = {}
    for place, land in enumerate(countries):
        for start in table.countries[land]:
            # Some islands share an area: the first has it.
            places.setdefault(start, place)
    return {
        "country": dialling.country,
        "international": list(dialling.international),
        "national": list(dialling.national),
        "outside": list(dialling.outside),
        "bare": dialling.bare,
        "countries": list(places.items()),
        "country_names": countries,
        "classes": [(start, place) for place, name in enumerate(classes) for start in table.classes[name].prefixes],
        "class_names": [table.classes[name].label for name in classes],
        "entries": [_entry(entry, countries, classes) for entry in entries],
    }
