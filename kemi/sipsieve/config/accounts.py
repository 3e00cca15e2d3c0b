"""What accounts and domains are held to, whatever addresses they call from: `[accounts]` and `[[domain]]` of the policy."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

Count = Annotated[int, Meta(ge=0, le=10_000_000)]


_Seconds = Annotated[int, Meta(ge=1, le=31_536_000)]


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


class DomainException(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which rule does not count in a domain's messages, where, and why. `*` stands for any text."""

    rule: Annotated[str, Meta(min_length=1, max_length=64)]
    reason: Annotated[str, Meta(min_length=3, max_length=200)]
    field: Annotated[str, Meta(max_length=128)] = ""


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
    #: Whether messages to it ban their senders, for how long, and how far over a rate; None: as `[bans]` and `[limits]` say.
    bans: bool = True
    ban_seconds: _Seconds | Annotated[tuple[_Seconds, ...], Meta(min_length=1, max_length=16)] | None = None
    ban_factor: Annotated[int, Meta(ge=0, le=1000)] | None = None
    #: Rules that do not count in messages to it.
    exceptions: tuple[DomainException, ...] = ()

    @property
    def ban_steps(self) -> tuple[int, ...]:
        """`ban_seconds` as the lengths of a source's first, second, … ban; () where they are those of all."""
        if self.ban_seconds is None:
            return ()
        return (self.ban_seconds,) if isinstance(self.ban_seconds, int) else self.ban_seconds


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


def tenants(
    domains: Sequence[Domain], rules: Sequence[str]
) -> list[tuple[str, bool, list[int], int | None, list[tuple[str, str]]]]:
    """What is different for messages to a domain, as the core takes it. Raises `AccountError` for a rule that is none of `rules`."""
    for index, domain in enumerate(domains):
        for place, exception in enumerate(domain.exceptions):
            if not fnmatch.filter(rules, exception.rule):
                raise AccountError(
                    f"domain[{index}].exceptions[{place}].rule: {exception.rule!r} is no rule; allowed: a rule's id, or sql-*"
                )
    return [
        (
            domain.name.lower(),
            domain.bans,
            list(domain.ban_steps),
            domain.ban_factor,
            [(exception.rule, exception.field) for exception in domain.exceptions],
        )
        for domain in domains
        if not domain.bans or domain.ban_steps or domain.ban_factor is not None or domain.exceptions
    ]
