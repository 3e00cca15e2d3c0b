"""Hides called and calling numbers in records, so that the same number stays recognisable and unreadable."""

from __future__ import annotations

import os
from typing import Final

from .. import _core
from ..config.policy import PolicyError, Privacy

#: Bytes that a key must have at least: as many as the hash's own strength (RFC 2104 3).
_KEY_BYTES: Final = 16

#: For servers without a key file: made once, before Kamailio forks, so that all workers have the same.
_OWN_KEY: Final = os.urandom(32)


def key_of(policy: Privacy) -> bytes:
    """The key of the masks, b"" where nothing is masked. Raises `PolicyError`."""
    if policy.mask == "off":
        return b""
    if not policy.key_file:
        return _OWN_KEY
    hint = f"Make one: openssl rand -hex 32 > {policy.key_file}, readable for Kamailio's user only"
    try:
        with open(policy.key_file, "rb") as file:
            key = file.read(4096).strip()
    except OSError as error:
        raise PolicyError(f"privacy.key_file: {policy.key_file}: cannot be read: {error.strerror}. {hint}") from error
    if len(key) < _KEY_BYTES:
        raise PolicyError(
            f"privacy.key_file: {policy.key_file}: {len(key)} bytes; allowed: from {_KEY_BYTES} on. {hint}"
        )
    return key


class Mask:
    """Replaces numbers, or all user parts, by a keyed hash; what the core does to records."""

    def __init__(self, key: bytes, every_user: bool) -> None:
        self.key = key
        self.every_user = every_user

    def number(self, number: str) -> str:
        """The mask of a number: the same for all ways of writing it with separators, `+` or `00`."""
        return _core.masked(self.key, True, number, ".userinfo")

    def value(self, field: str, text: str) -> str:
        """The value of a field: a user part as a whole, anything else by what stands in it."""
        return _core.masked(self.key, self.every_user, text, field)

    def text(self, text: str) -> str:
        """A text with the numbers in its URIs, and those that stand free, masked."""
        return _core.masked(self.key, self.every_user, text)


def mask_of(policy: Privacy, key: bytes) -> Mask | None:
    """The mask that a policy asks for."""
    return Mask(key, policy.mask == "users") if key else None
