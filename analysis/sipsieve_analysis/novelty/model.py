"""The model of a site: what it holds, and its file, which has a version, a checksum and a bound."""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from .accounts import Account
from .clients import Make
from .values import Values

#: Raised when a model of before can't be read any more.
VERSION: Final = 2

#: Bytes of a model's file, and of what it holds.
MOST_FILE: Final = 64 << 20
MOST_CONTENT: Final = 256 << 20

#: What is kept of each, at most.
MOST_FIELDS: Final = 1500
MOST_MAKES: Final = 300
MOST_ACCOUNTS: Final = 20_000
MOST_KNOWN: Final = 400_000

#: Values of which a field must have been learned; below, its kind of part stands for it.
ENOUGH: Final = 60

#: Messages from which on a model is worth asking.
LEAST: Final = 2000

#: Who sends: somebody who registered, or a trunk or neighbour that did not.
ROLES: Final = ("account", "peer")


class ModelError(ValueError):
    """A model that can't be used: names the file, what is wrong, and what to do."""


class Model(Struct, kw_only=True):
    """A site's own normal."""

    made_by: str
    first_us: int
    last_us: int
    messages: int
    #: What was read and left out, by why.
    left_out: dict[str, int]
    whole: int
    zone: str
    #: By role and field: `account from.display_name`; by role and kind of part: `account :text`; what clients make up by
    #: field and make: `make call-id yealink`.
    fields: dict[str, Values]
    makes: dict[str, Make]
    accounts: dict[str, Account]
    #: Sources whose calls or registrations were accepted, as numbers; who registered among them.
    senders: list[int]
    registered: list[int]
    #: What single senders send again and again, as numbers.
    known: list[int]
    #: Calling codes that many accounts call.
    countries: list[str]
    #: Messages of one dialog: what 999 of 1,000 stay under.
    dialog: int
    #: Ids of reviews that a person called usual.
    usual: list[str] = field(default_factory=list)


def save(model: Model, path: Path) -> None:
    """Writes a model: a line of JSON that anybody can read, and the rest compressed. A crash leaves the file of before.

    Raises `ModelError` where it would be larger than is read, and `OSError`.
    """
    content = msgspec.msgpack.encode(model)
    packed = zlib.compress(content, 6)
    if len(packed) > MOST_FILE or len(content) > MOST_CONTENT:
        raise ModelError(f"{path}: the model has {len(packed)} bytes, more than {MOST_FILE}: learn from fewer days")
    head = json.dumps({"sipsieve_model": VERSION, "bytes": len(packed), "sha256": hashlib.sha256(packed).hexdigest()})
    part = path.with_name(f".{path.name}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    with os.fdopen(descriptor, "wb") as out:
        out.write(head.encode() + b"\n" + packed)
        out.flush()
        os.fsync(out.fileno())
    part.replace(path)


def load(path: Path) -> Model:
    """Reads a model. Raises `ModelError`."""
    try:
        with path.open("rb") as file:
            head = file.readline(4096)
            packed = file.read(MOST_FILE + 1)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        facts: Any = json.loads(head)
        version = facts["sipsieve_model"]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: is no model; make one: sipsieve learn from PATH --model {path}") from error
    if version != VERSION:
        raise ModelError(f"{path}: is a model of version {version}, this sipsieve reads {VERSION}: learn anew")
    if len(packed) > MOST_FILE:
        raise ModelError(f"{path}: is larger than {MOST_FILE} bytes")
    if hashlib.sha256(packed).hexdigest() != facts.get("sha256"):
        raise ModelError(f"{path}: is damaged (its checksum is another): learn anew, or take a copy")
    try:
        unpacker = zlib.decompressobj()
        content = unpacker.decompress(packed, MOST_CONTENT)
        if unpacker.unconsumed_tail:
            raise ModelError(f"{path}: holds more than {MOST_CONTENT} bytes")
        return msgspec.msgpack.decode(content, type=Model)
    except (zlib.error, msgspec.MsgspecError) as error:
        raise ModelError(f"{path}: is damaged: {error}") from error
