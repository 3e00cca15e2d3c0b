"""What accounts and domains are held to, whatever addresses they call from: `[accounts]` and `[[domain]]` of the policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

Count = Annotated[int, Meta(ge=0, le=10_000_000)]


class AccountError(ValueError):
    """A domain that can't be used: which key, and what is wrong with it."""


class Accounts(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the accounts of all domains are held to. 0: to nothing."""

    mode: Literal["observe", "enforce"] = "observe"
    guesses_per_hour: Count = 0
    failures_per_hour: Count = 0
    spray_per_hour: Count = 0
    sources_per_hour: Count = 0
    calls_per_minute: Count = 0
    calls_per_hour: Count = 0
    numbers_per_hour: Count = 0


class Domain(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One `[[domain]]`: what is different for the accounts of one realm. What is not written stays as in `[accounts]`."""

    name: Annotated[str, Meta(min_length=1, max_length=255)]
    mode: Literal["observe", "enforce"] | None = None
    guesses_per_hour: Count | None = None
    failures_per_hour: Count | None = None
    spray_per_hour: Count | None = None
    sources_per_hour: Count | None = None
    calls_per_minute: Count | None = None
    calls_per_hour: Count | None = None
    numbers_per_hour: Count | None = None
    #: Answered calls of all its accounts together.
    domain_per_minute: Count = 0
    domain_per_hour: Count = 0
    #: Users that are held to nothing.
    exempt: tuple[str, ...] = ()


def check(domains: Sequence[Domain]) -> None:
    """What types alone can't say. Raises `AccountError`."""
    names: dict[str, int] = {}
    for index, domain in enumerate(domains):
        name = domain.name.lower()
        if name in names:
            raise AccountError(f"domain[{index}].name: {name!r} stands in domain[{names[name]}] already; write it once")
        names[name] = index


def _bounds(common: Accounts, own: Domain | None) -> dict[str, Any]:
    values = {}
    for name in Accounts.__struct_fields__:
        written = getattr(own, name) if own else None
        values[name] = getattr(common, name) if written is None else written
    mode = values.pop("mode")
    return {
        **values,
        "enforce": mode == "enforce",
        "domain_per_minute": own.domain_per_minute if own else 0,
        "domain_per_hour": own.domain_per_hour if own else 0,
        "exempt": list(own.exempt) if own else [],
    }


def plan(common: Accounts, domains: Sequence[Domain]) -> tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]:
    """Both as the core takes them: for all, and by realm."""
    return _bounds(common, None), [(domain.name, _bounds(common, domain)) for domain in domains]
