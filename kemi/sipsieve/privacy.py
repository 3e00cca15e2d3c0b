"""Hides called and calling numbers in records, so that the same number stays recognisable and unreadable."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import MutableMapping
from typing import Any, Final

from .policy import PolicyError, Privacy

#: Bytes that a key must have at least: as many as the hash's own strength (RFC 2104 3).
_KEY_BYTES: Final = 16

#: For servers without a key file: made once, before Kamailio forks, so that all workers have the same.
_OWN_KEY: Final = os.urandom(32)

#: Bytes of a mask: two of a billion numbers fall on one with a chance of one in a million million.
_DIGEST: Final = 9

#: User part of a SIP URI, and a tel URI's number (RFC 3261 25.1, RFC 3966 3). A password after the user
#: part has nothing to do with the number and is left to the rules.
_USER: Final = re.compile(r"\b(sips?:)([^@\s<>\"':;]{1,256})(?=[^@\s<>\"]{0,256}@)|\b(tel:)([^;>\s\"]{1,128})", re.I)

#: What is a number: digits with visual separators (RFC 3966 5.1.1), dial-string signs, perhaps a plus.
_NUMBER: Final = re.compile(r"(?:\+|%2[bB])?[0-9*#().-]{2,64}")

#: A number in free text: six digits and more that are no part of an address, a word, or a longer number
#: with dots. What came escaped or in base64 is not seen.
_LOOSE: Final = re.compile(r"(?<![\w.@:/-])\+?[0-9](?:[()-]?[0-9]){5,31}(?![\w.])")

_SEPARATORS: Final = str.maketrans("", "", "+().- ")


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
    """Replaces numbers, or all user parts, by a keyed hash."""

    def __init__(self, key: bytes, every_user: bool) -> None:
        # BLAKE2 takes up to 64 bytes of key.
        self._key = hashlib.blake2b(key).digest()
        self._every = every_user

    def number(self, number: str) -> str:
        """The mask of a number: the same for all ways of writing it with separators, `+` or `00`."""
        plain = number.replace("%2b", "").replace("%2B", "").translate(_SEPARATORS)
        plain = plain[2:] if plain.startswith("00") else plain
        return f"masked-{hashlib.blake2b(plain.encode(), key=self._key, digest_size=_DIGEST).hexdigest()}"

    def text(self, text: str) -> str:
        """A text with the numbers in its URIs, and those that stand free, masked."""
        return _LOOSE.sub(lambda match: self.number(match[0]), _USER.sub(self._user, text))

    def _user(self, match: re.Match[str]) -> str:
        scheme, user = (match[1], match[2]) if match[1] else (match[3], match[4])
        if self._every or match[3] or _NUMBER.fullmatch(user):
            return f"{scheme}{self.number(user)}"
        return match[0]

    def value(self, field: str, text: str) -> str:
        """The value of a field: a user part as a whole, anything else by what stands in it."""
        if field.endswith(".userinfo") and (self._every or _NUMBER.fullmatch(text)):
            return self.number(text)
        return self.text(text)

    def record(self, record: MutableMapping[str, Any]) -> None:
        """Masks a message's record in place."""
        sip: MutableMapping[str, Any] = record["sip"]
        for name in ("uri", "from", "to", "raw"):
            if name in sip:
                sip[name] = self.text(sip[name])
        if "excerpt" in sip:
            sip["excerpt"] = self.value(sip["field"], sip["excerpt"])
        for finding in record.get("findings", ()):
            finding["excerpt"] = self.value(finding["field"], finding["excerpt"])
        for item in record.get("indicators", ()):
            item["value"] = self.text(item["value"])


def mask_of(policy: Privacy, key: bytes) -> Mask | None:
    """The mask that a policy asks for."""
    return Mask(key, policy.mask == "users") if key else None
