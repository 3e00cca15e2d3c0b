"""Reads the files that know where addresses are at home, and puts them in force for all processes at once."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from .. import _core
from ..config.geo import KINDS, Geo

#: Bytes of a file: those with cities, of which the countries are used, have 60 to 120 million.
_MOST: Final = 512 * 1024 * 1024

#: Words of eight bytes that both files may take: three times what those of all the world's networks do.
WORDS: Final = 8_000_000


#: Shared memory is laid out before Kamailio forks.
_NO_ROOM: Final = "[geo]: named since the start, or without memory for it: restart Kamailio, which makes room"


class Unusable(ValueError):
    """A file that can't be used: its path, what is wrong, and what to do."""


def read(path: str, kind: str) -> _core.GeoFile:
    """One file. Raises `Unusable`."""
    try:
        # Neither a pipe nor a device may hold up the start.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            about = os.fstat(descriptor)
            if not stat.S_ISREG(about.st_mode) or about.st_size > _MOST:
                raise Unusable(f"{path}: is no regular file of up to {_MOST} bytes; name one in geo.{kind}")
            content = file.read(_MOST)
    except OSError as error:
        raise Unusable(
            f"{path}: can't be read: {error.strerror}; put the file there, or take geo.{kind} out of the policy"
        ) from error
    try:
        return _core.GeoFile(content, kind)
    except ValueError as error:
        raise Unusable(f"{path}: {error}; put a sound one there for geo.{kind}") from error


def age(path: str, kind: str, file: _core.GeoFile, geo: Geo, now: float) -> str:
    """What to say of a file that is old; "" of one that is not. `now` in seconds since the epoch."""
    days = int((now - file.built) / 86_400)
    if days <= geo.max_age_days:
        return ""
    return f"{path}: is {days} days old, more than geo.max_age_days, {geo.max_age_days}; networks move: fetch a new one for geo.{kind}"


def problems(geo: Geo, now: float) -> list[str]:
    """What is wrong with the files as they are now, a sentence each."""
    found = []
    for kind in KINDS:
        if path := getattr(geo, kind):
            try:
                found.append(age(path, kind, read(path, kind), geo, now))
            except Unusable as error:
                found.append(str(error))
    return [text for text in found if text]


def offline(geo: Geo) -> _core.Geo | None:
    """The files as they are now, for what is judged outside of a server; what can't be used is left out."""
    if not geo.is_named:
        return None
    files = GeoFiles(geo)
    files.load(geo, 0.0)
    return files.table


class Read(NamedTuple):
    """Files that were read and are not in force yet; what is wrong with each kind, a sentence."""

    geo: Geo
    files: dict[str, _core.GeoFile]
    wrong: dict[str, str]


class GeoFiles:
    """What is in force. One process loads; the others find it in the memory that they share."""

    def __init__(self, geo: Geo, say: Callable[[str], object] = str) -> None:
        """Makes room where the policy names a file; None where it names none, or there is no memory. `say` hears what is wrong."""
        self.table: _core.Geo | None = None
        self._say = say
        self._now = Read(Geo(), {}, {})
        if geo.is_named:
            try:
                self.table = _core.Geo(WORDS)
            except OSError:
                self.table = None

    def load(self, geo: Geo, now: float) -> list[str]:
        """Reads the files anew and turns all processes to them; what is wrong, a sentence each. A file that can't be used leaves
        in force what was read from it before, and without that nothing is known of its kind. `now` in seconds since the epoch."""
        return self.put(self.read(geo, now), now)

    def read(self, geo: Geo, now: float, must: bool = False) -> Read:
        """What `put` is to put in force. With `must`, raises `Unusable` where a file can't be used, or has no room."""
        if self.table is None:
            wrong = {kind: _NO_ROOM for kind in KINDS if getattr(geo, kind)}
            if wrong and must:
                raise Unusable(_NO_ROOM)
            return Read(geo, {}, wrong)
        found = Read(geo, {}, {})
        for kind in KINDS:
            if not (path := getattr(geo, kind)):
                continue
            try:
                found.files[kind] = read(path, kind)
            except Unusable as error:
                if must:
                    raise
                kept = self._now.files.get(kind) if getattr(self._now.geo, kind) == path else None
                if kept is not None:
                    found.files[kind] = kept
                left = f"no address has a {kind}" if kept is None else "what was read before is used"
                found.wrong[kind] = f"{error}; until then {left}"
        return found

    def put(self, found: Read, now: float) -> list[str]:
        """Turns all processes to what was read; what is wrong, a sentence each."""
        if self.table is not None:
            try:
                self.table.publish(*(found.files.get(kind) for kind in KINDS))
            except ValueError as error:
                said = f"[geo]: {error}; what was in force stays"
                self._now = self._now._replace(wrong={kind: said for kind in KINDS if getattr(self._now.geo, kind)})
                self._say(said)
                return [said]
        self._now = found
        # The same sentence may hold for both.
        wrong = list(dict.fromkeys(text for kind in KINDS for text in self._said(kind, now)))
        for text in wrong:
            self._say(text)
        return wrong

    def _said(self, kind: str, now: float) -> list[str]:
        """What is wrong with a file, and whether it is old."""
        geo, files, wrong = self._now
        file, said = files.get(kind), [wrong[kind]] if kind in wrong else []
        if file is not None and kind not in wrong and (old := age(getattr(geo, kind), kind, file, geo, now)):
            said.append(old)
        return said

    def facts(self, now: float) -> dict[str, dict[str, Any]]:
        """Of each kind that the policy names, as data that JSON can hold: the file in force, its age, its size, and what is wrong."""
        told: dict[str, dict[str, Any]] = {}
        for kind in KINDS:
            if not (path := getattr(self._now.geo, kind)):
                continue
            file = self._now.files.get(kind)
            told[kind] = {
                "file": path,
                "database": file.database if file else None,
                "built": file.built if file else None,
                "ranges": sum(file.sizes[:2]) if file else 0,
                "problem": "; ".join(self._said(kind, now)) or None,
            }
        return told
