"""The settings of `watch --notify`: channels, what each is told, and when it wants quiet."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from . import alerts

#: Tiers from the mildest to the gravest.
TIERS: Final = ("review", "low", "medium", "high", "immediate")

Tier = Literal["review", "medium", "high", "immediate"]


class ChannelError(ValueError):
    """Settings that can't be used: names file, channel and key, what is wrong, and what to do."""


class Channel(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One place to tell: by Apprise, or a webhook of JSON. Exactly one of the five places is given."""

    name: Annotated[str, Meta(pattern="^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
    #: Apprise's URL: as it is, or the environment variable or file that holds it.
    url: str = ""
    url_env: str = ""
    url_file: str = ""
    #: A webhook of JSON, signed with the secret that the environment variable or file holds.
    webhook: str = ""
    secret_env: str = ""
    secret_file: str = ""
    #: Told from this tier on.
    tier: Tier = "medium"
    #: Hours in which only what is at least `quiet_passes` is told at once; the rest waits: "22:00-07:00".
    quiet: str = ""
    quiet_passes: Tier | Literal["none"] = "immediate"
    #: Told when these reports are written, what is new in them first.
    reports: list[Literal["daily", "weekly"]] = []
    #: Whether the report's page goes with that.
    attach: bool = False


class _File(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    channel: Annotated[list[Channel], Meta(min_length=1, max_length=50)]


class Rules:
    """What one channel is told and when."""

    def __init__(self, channel: Channel, zone: tzinfo) -> None:
        self._channel = channel
        self._zone = zone
        self._quiet = _hours(channel.quiet)

    def wants(self, alert: dict[str, Any]) -> bool:
        """Whether the channel is to be told of it at all."""
        if alert["kind"] == "report":
            return alert["span"] in self._channel.reports
        return TIERS.index(alert["tier"]) >= TIERS.index(self._channel.tier)

    def due(self, alert: dict[str, Any], now: datetime) -> bool:
        """Whether it may be told now, not only when the quiet hours are over."""
        if self._quiet is None:
            return True
        passes = self._channel.quiet_passes
        if passes != "none" and alert["kind"] != "report" and TIERS.index(alert["tier"]) >= TIERS.index(passes):
            return True
        begin, end = self._quiet
        here = now.astimezone(self._zone)
        minute = here.hour * 60 + here.minute
        return not (begin <= minute < end if begin < end else minute >= begin or minute < end)


def _hours(text: str) -> tuple[int, int] | None:
    """Begin and end in minutes of the day. Raises ValueError."""
    if not text:
        return None
    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", text)
    if found is None:
        raise ValueError(f"{text!r} are no hours; write them as 22:00-07:00")
    begin, end = int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])
    if begin == end:
        raise ValueError(f"{text!r} begins when it ends; leave it out, or write two times that differ")
    return begin, end


#: A file of settings is small.
_LARGEST: Final = 64 * 1024


def read(path: Path, zone: tzinfo, environment: Mapping[str, str] = os.environ) -> list[alerts.Sink]:
    """The channels of a TOML file, ready to be told. Raises `ChannelError`; its text never holds a secret."""
    try:
        if path.stat().st_size > _LARGEST:
            raise ChannelError(f"{path}: larger than {_LARGEST} bytes; this is no file of channels")
        text = path.read_bytes()
        channels = msgspec.toml.decode(text, type=_File).channel
    except OSError as error:
        raise ChannelError(f"{path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        said = str(error).replace("Object contains", "it has").replace("Object missing", "it lacks")
        said = said.replace(" - at `$.", " - at `").replace(" - at `$`", "")
        raise ChannelError(f"{path}: {said}; docs/alerts.md lists every key") from error
    named: set[str] = set()
    made = []
    for channel in channels:
        where = f"{path}: channel {channel.name}"
        if channel.name in named:
            raise ChannelError(f"{where}: is there twice; give each a name of its own")
        named.add(channel.name)
        try:
            made.append(_sink(channel, zone, environment))
        except ValueError as error:
            raise ChannelError(f"{where}: {error}") from None
    return made


def _sink(channel: Channel, zone: tzinfo, environment: Mapping[str, str]) -> alerts.Sink:
    places = [key for key in ("url", "url_env", "url_file", "webhook") if getattr(channel, key)]
    if len(places) != 1:
        raise ValueError(f"needs one of url, url_env, url_file and webhook; it has {', '.join(places) or 'none'}")
    try:
        rules = Rules(channel, zone)
    except ValueError as error:
        raise ValueError(f"quiet: {error}") from None
    if channel.attach and not channel.reports:
        raise ValueError('attach: is for reports; name them, as in reports = ["weekly"]')
    if not channel.webhook:
        if channel.secret_env or channel.secret_file:
            raise ValueError("secret_env, secret_file: sign a webhook; Apprise's services have keys of their own")
        from .apprised import AppriseSink

        key = places[0]
        url = channel.url or _held(channel.url_env, channel.url_file, key, environment)
        try:
            return AppriseSink(channel.name, url, rules, channel.attach)
        except ValueError as error:
            raise ValueError(f"{key}: {error}") from None
    parts = urlsplit(channel.webhook)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"webhook: {channel.webhook!r} is no http or https URL")
    if channel.secret_env and channel.secret_file:
        raise ValueError("secret_env, secret_file: give one of them")
    signing = b""
    if channel.secret_env or channel.secret_file:
        key = "secret_env" if channel.secret_env else "secret_file"
        try:
            signing = alerts.secret(_held(channel.secret_env, channel.secret_file, key, environment))
        except ValueError as error:
            said = str(error)
            raise ValueError(said if said.startswith("secret_") else f"{key}: the secret {said}") from None
    return _Webhook(channel, signing, rules)


def _held(variable: str, file: str, key: str, environment: Mapping[str, str]) -> str:
    """What an environment variable or a file holds. Raises ValueError."""
    if variable:
        if not (value := environment.get(variable, "").strip()):
            raise ValueError(f"{key}: the environment variable {variable} is not set; export it")
        return value
    try:
        path = Path(file)
        if path.stat().st_size > _LARGEST:
            raise ValueError(f"{key}: {file} is larger than {_LARGEST} bytes")
        value = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(f"{key}: {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{key}: {file} is no text") from None
    if not value:
        raise ValueError(f"{key}: {file} is empty")
    return value


class _Webhook(alerts.WebhookSink):
    """A webhook that is told by a channel's rules."""

    def __init__(self, channel: Channel, key: bytes, rules: Rules) -> None:
        super().__init__(channel.webhook, key, f"channel:{channel.name}")
        self._rules = rules

    def wants(self, alert: dict[str, Any]) -> bool:
        """See `Sink`."""
        return self._rules.wants(alert)

    def due(self, alert: dict[str, Any], now: datetime) -> bool:
        """See `Sink`."""
        return self._rules.due(alert, now)
