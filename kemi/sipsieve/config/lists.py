"""Names lists of addresses from outside, and what bounds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

Seconds = Annotated[int, Meta(ge=1, le=31_536_000)]

#: As many as the core's table holds.
_MOST: Final = 16


class FeedError(ValueError):
    """A list that can't be used: names the key, what is wrong, and what is allowed."""


class Feed(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One `[[feed]]`: a list of addresses that somebody else keeps."""

    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    #: `https://…`, `http://…`, or a file's full path.
    source: Annotated[str, Meta(pattern=r"^(https?:/)?/.{1,2000}$")]
    format: Literal["plain", "csv", "json", "apiban", "crowdsec"] = "plain"
    action: Literal["drop", "reject", "note"] = "note"
    #: Of CSV a column's name or number, of JSON the name of the value.
    column: str = ""
    refresh_seconds: Seconds = 3600
    #: How long a copy counts that could not be fetched anew.
    expire_seconds: Seconds = 604_800
    #: What is sent as `X-Api-Key`.
    key_file: str = ""
    #: Certificates of the authorities that its server is believed by, in PEM; empty: this machine's.
    ca_file: Annotated[str, Meta(pattern=r"^(/.{1,4000})?$")] = ""
    #: Whether private, loopback and multicast addresses on it count.
    private: bool = False

    @property
    def is_url(self) -> bool:
        """Whether it is fetched from the web."""
        return not self.source.startswith("/")


class Feeds(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Bounds of all lists from outside, and where their last good copies are kept."""

    folder: str = "/var/lib/sipsieve/feeds"
    capacity: Annotated[int, Meta(ge=1024, le=4_000_000)] = 1_000_000
    max_bytes: Annotated[int, Meta(ge=1024, le=1_000_000_000)] = 64_000_000
    timeout_seconds: Annotated[int, Meta(ge=1, le=600)] = 60

    def place(self, feed: Feed) -> str:
        """The file with a list's last good copy."""
        return f"{self.folder}/{feed.name}.list"


def check(feeds: Sequence[Feed]) -> None:
    """What types alone can't say. Raises `FeedError`."""
    names = [feed.name for feed in feeds]
    for index, name in enumerate(names):
        if name in names[:index]:
            first = names.index(name)
            raise FeedError(f"feed[{index}].name: {name!r} stands in feed[{first}] already; allowed: one each")
    if len(names) > _MOST:
        raise FeedError(f"feed: {len(names)} lists; allowed: up to {_MOST}")
