"""The settings of the narration: which endpoint and model, what it may take and cost."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

Money = Annotated[float, Meta(ge=0, le=1_000_000)]


class SettingsError(ValueError):
    """Settings that can't be used: names file and key, what is wrong, and what to do."""


class Cost(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a narration may cost, in the currency of the prices. Without prices only tokens are capped."""

    most: Money = 0.5
    input_per_million: Money = 0
    output_per_million: Money = 0

    def of(self, asked: int, answered: int) -> float:
        """The price of so many tokens."""
        return (asked * self.input_per_million + answered * self.output_per_million) / 1e6


class Settings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One endpoint that speaks OpenAI's chat completions."""

    url: str
    model: str
    #: Environment variable that holds the key; "" where the endpoint wants none.
    key_env: str = ""
    #: Seconds for a narration, all its attempts together.
    timeout_seconds: Annotated[float, Meta(ge=1, le=3600)] = 120
    retries: Annotated[int, Meta(ge=0, le=10)] = 2
    max_answer_tokens: Annotated[int, Meta(ge=100, le=100_000)] = 4000
    #: Tokens of all attempts of a narration, asked and answered.
    max_tokens: Annotated[int, Meta(ge=1000, le=10_000_000)] = 200_000
    actors: Annotated[int, Meta(ge=1, le=20)] = 20
    structured: Literal["json_schema", "json_object"] = "json_schema"
    #: Whether the schema bounds lengths as well: for small models of your own; not every endpoint takes it.
    bounded: bool = False
    #: Whether the model sees what senders wrote, cut and marked.
    excerpts: bool = False
    #: Folder of answers that are kept; "" keeps none.
    cache: str = ""
    #: Only what is kept; nothing is sent.
    offline: bool = False
    #: Plain http to another machine: the key and the report can be read on the way.
    insecure_http: bool = False
    cost: Cost = Cost()

    def key(self, environment: Mapping[str, str] = os.environ) -> str:
        """The key. Raises `SettingsError` where the environment has none."""
        if not self.key_env:
            return "none"
        if not (value := environment.get(self.key_env, "").strip()):
            raise SettingsError(
                f"key_env: the environment variable {self.key_env} is not set; export it, or take key_env out"
            )
        return value


#: A file of settings is small.
_LARGEST: Final = 64 * 1024


def read(path: Path) -> Settings:
    """The settings of a TOML file. Raises `SettingsError`."""
    try:
        if path.stat().st_size > _LARGEST:
            raise SettingsError(f"{path}: larger than {_LARGEST} bytes; this is no file of settings")
        settings = msgspec.toml.decode(path.read_bytes(), type=Settings)
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # "Object contains unknown field `x` - at `$.cost`" becomes words that name the key.
        text = str(error).replace("Object contains", "it has").replace(" - at `$.", " - at `").replace(" - at `$`", "")
        raise SettingsError(f"{path}: {text}; docs/narration.md lists every key") from error
    parts = urlsplit(settings.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError(f"{path}: url: {settings.url!r} is no http or https URL; it ends in /v1 with most servers")
    if parts.username or parts.password or parts.query:
        raise SettingsError(f"{path}: url: keys do not belong into it; name an environment variable in key_env")
    if parts.scheme == "http" and not _is_near(parts.hostname) and not settings.insecure_http:
        raise SettingsError(
            f"{path}: url: {parts.hostname} by plain http would send report and key readable; "
            "use https, or set insecure_http = true for a network of your own"
        )
    if not settings.model:
        raise SettingsError(f"{path}: model: must not be empty")
    if settings.offline and not settings.cache:
        raise SettingsError(f"{path}: offline: needs a folder in cache to take answers from")
    return settings


def _is_near(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
