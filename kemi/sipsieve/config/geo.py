"""Names the files that know where addresses are at home, and checks what is asked of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Protocol

from msgspec import Meta, Struct

#: Two letters of ISO 3166, and the number of an autonomous system.
Country = Annotated[str, Meta(pattern=r"^[A-Z]{2}$")]
Asn = Annotated[int, Meta(ge=1, le=4_294_967_295)]

#: What can be known of an address, as `[geo]` names the files.
KINDS: Final = ("country", "asn")


class GeoError(ValueError):
    """A condition that can never hold, or a file that can't be: which key, what is wrong, what to do."""


class Geo(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Files in MaxMind's format (.mmdb), by full path. Empty: nothing is known of that kind."""

    country: Annotated[str, Meta(pattern=r"^(/.{1,4000})?$")] = ""
    asn: Annotated[str, Meta(pattern=r"^(/.{1,4000})?$")] = ""
    #: Days after which a file is said to be old.
    max_age_days: Annotated[int, Meta(ge=1, le=3660)] = 90

    @property
    def is_named(self) -> bool:
        """Whether there is any file to look into."""
        return bool(self.country or self.asn)


class _Caller(Protocol):
    """What is asked of a `[[destinations]]`."""

    @property
    def from_countries(self) -> tuple[str, ...]: ...
    @property
    def from_asns(self) -> tuple[int, ...]: ...


class _Area(Protocol):
    """What is asked of a `[[network]]`."""

    @property
    def cidr(self) -> str: ...
    @property
    def country(self) -> tuple[str, ...]: ...
    @property
    def asn(self) -> tuple[int, ...]: ...
    @property
    def outside(self) -> bool: ...
    @property
    def action(self) -> str | None: ...
    @property
    def trusted(self) -> bool: ...


def check(geo: Geo, networks: Sequence[_Area], destinations: Sequence[_Caller]) -> None:
    """Whether each condition has a file that it can be told by, and stands where it may. Raises `GeoError`."""
    asked: list[tuple[str, str, object]] = []
    for index, rule in enumerate(networks):
        _check_area(f"network[{index}]", rule)
        asked += [(f"network[{index}].country", "country", rule.country), (f"network[{index}].asn", "asn", rule.asn)]
    for index, entry in enumerate(destinations):
        asked += [
            (f"destinations[{index}].from_countries", "country", entry.from_countries),
            (f"destinations[{index}].from_asns", "asn", entry.from_asns),
        ]
    for key, kind, wanted in asked:
        if wanted and not getattr(geo, kind):
            raise GeoError(
                f"{key}: nothing says where addresses are at home; name a file in MaxMind's format in geo.{kind}"
            )


def _check_area(key: str, rule: _Area) -> None:
    """What a table by country or operator may not say, and what others may not."""
    is_area = bool(rule.country or rule.asn)
    if is_area == bool(rule.cidr):
        raise GeoError(
            f"{key}: which addresses are meant is told either by cidr, or by country or asn or both; write one of them"
        )
    if is_area and rule.trusted:
        raise GeoError(
            f"{key}.trusted: a country or operator is full of strangers; trust the prefixes of your partners, by cidr"
        )
    for name, value in (("outside", rule.outside), ("action", rule.action)):
        if value and not is_area:
            raise GeoError(f"{key}.{name}: goes with country or asn only, not with cidr")
