"""How standing that sources have earned fades, is lost and is kept: `[standing]` of the policy."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct


class Standing(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What becomes of what `bans.earned_minutes` gives."""

    #: Minutes without a proof in which one earned minute fades.
    fade_minutes: Annotated[int, Meta(ge=1, le=10_080)] = 180
    #: For what it is lost, where nobody else can have sent it.
    lost_by: tuple[Literal["ban", "attack", "account", "destination"], ...] = ("ban",)
    #: Sources that are listed, kept and shared.
    capacity: Annotated[int, Meta(ge=1, le=100_000)] = 16384
    state: str = "/var/lib/sipsieve/standing.json"
