"""What one account is like: its hours, where it is, how much it calls, and the countries that it calls."""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from datetime import datetime, tzinfo
from typing import Final

from msgspec import Struct

from ..attribution.exchanges import ABROAD
from .observe import Observed

#: An account of which so little is known says nothing about its next call.
ENOUGH_DAYS: Final = 5
ENOUGH_MESSAGES: Final = 50
_ENOUGH_CALLS: Final = 10
_ENOUGH_HABITS: Final = 40

_HOUR_US: Final = 3_600_000_000
_PLACES: Final = 200

_ABROAD: Final = re.compile(ABROAD)
_PREFIX: Final = re.compile(r"^(?:\+|[0-9*#]{0,3}?(?:0011|00|011))([1-9][0-9]{0,2})")
#: Calling codes of one and of two digits (ITU-T E.164, list of assigned codes); all others have three.
_SHORT: Final = frozenset(
    [
        "1",
        "7",
        "20",
        "27",
        "30",
        "31",
        "32",
        "33",
        "34",
        "36",
        "39",
        "40",
        "41",
        "43",
        "44",
        "45",
        "46",
        "47",
        "48",
        "49",
        "51",
        "52",
        "53",
        "54",
        "55",
        "56",
        "57",
        "58",
        "60",
        "61",
        "62",
        "63",
        "64",
        "65",
        "66",
        "81",
        "82",
        "84",
        "86",
        "90",
        "91",
        "92",
        "93",
        "94",
        "95",
        "98",
    ]
)


def country_of(number: str) -> str:
    """The calling code that a dialled number leaves the country by, as `+44`; "" where it does not."""
    found = _PREFIX.match(number)
    if found is None or not _ABROAD.match(number):
        return ""
    digits = found[1]
    return "+" + next((digits[:n] for n in (1, 2) if digits[:n] in _SHORT), digits)


def place_of(ip: str) -> str:
    """The network that an address is in, as wide as a provider's region: /16, or /32 of IPv6 (RFC 6177); "" for none."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return ""
    return str(ipaddress.ip_network(f"{ip}/{16 if address.version == 4 else 32}", strict=False))


class Account(Struct, array_like=True):
    """One account's habits, of accepted messages. `hours`: messages by hour of the site's day, 24 of them."""

    days: int
    messages: int
    calls: int
    #: Calls of its busiest hour.
    peak: int
    hours: list[int]
    places: list[str]
    countries: list[str]

    @property
    def is_known(self) -> bool:
        """Whether there is enough to judge it by."""
        return self.days >= ENOUGH_DAYS and self.messages >= ENOUGH_MESSAGES

    @property
    def calls_enough(self) -> bool:
        """Whether it has called often enough to judge its calls by."""
        return self.calls >= _ENOUGH_CALLS

    @property
    def has_habits(self) -> bool:
        """Whether it has called often enough to judge when and where it calls."""
        return self.calls >= _ENOUGH_HABITS


class _Growing:
    __slots__ = ("calls", "countries", "days", "hour", "hourly", "hours", "messages", "peak", "places")

    def __init__(self) -> None:
        self.days: set[int] = set()
        self.messages = self.calls = self.hour = self.hourly = self.peak = 0
        self.hours = [0] * 24
        self.places: Counter[str] = Counter()
        self.countries: Counter[str] = Counter()


class Accounts:
    """Accounts as they are learned."""

    def __init__(self, most: int, zone: tzinfo) -> None:
        self._most = most
        self._zone = zone
        self._growing: dict[str, _Growing] = {}

    def add(self, seen: Observed) -> None:
        """Adds an accepted message."""
        if not seen.account:
            return
        account = self._growing.get(seen.account)
        if account is None:
            if len(self._growing) >= self._most:
                return
            account = self._growing[seen.account] = _Growing()
        when = datetime.fromtimestamp(seen.time_us / 1e6, self._zone)
        account.days.add(when.toordinal())
        account.messages += 1
        account.places[place_of(seen.ip)] += 1
        if starts_call(seen):
            # Phones refresh their registrations at night: the hours are those in which somebody calls.
            account.hours[when.hour] += 1
            account.calls += 1
            hour = seen.time_us // _HOUR_US
            account.hourly = account.hourly + 1 if hour == account.hour else 1
            account.hour = hour
            account.peak = max(account.peak, account.hourly)
            if country := country_of(seen.target):
                account.countries[country] += 1

    def common(self) -> list[str]:
        """Calling codes that one account in fifty calls, and three at the least: nobody is asked about these."""
        callers = Counter(country for account in self._growing.values() for country in account.countries)
        least = max(3, len(self._growing) // 50)
        return sorted(country for country, number in callers.items() if number >= least)

    def learned(self) -> dict[str, Account]:
        """The accounts by name."""
        return {
            name: Account(
                len(a.days), a.messages, a.calls, a.peak, a.hours,
                sorted(place for place, _ in a.places.most_common(_PLACES)), sorted(c for c, _ in a.countries.most_common(_PLACES)),
            )
            for name, a in sorted(self._growing.items())
        }  # fmt: skip


def starts_call(seen: Observed) -> bool:
    """Whether it is an INVITE that begins a call: its To has no tag."""
    return seen.method == "INVITE" and not any(value.field == "to.tag" for value in seen.values)
