"""Reads the files that know where addresses are at home, and puts them in force for all processes at once."""

from __future__ import annotations

import os
import stat
from typing import Final

from .. import _core
from ..config.geo import KINDS, Geo

#: Bytes of a file: those with cities, of which the countries are used, have 60 to 120 million.
_MOST: Final = 512 * 1024 * 1024

#: Words of eight bytes that both files may take: three times what those of all the world's networks do.
WORDS: Final = 8_000_000


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


class GeoFiles:
    """What is in force. One process loads; the others find it in the memory that they share."""

    def __init__(self, geo: Geo) -> None:
        """Makes room where the policy names a file; None where it names none, or there is no memory."""
        self.table: _core.Geo | None = None
        self._good: dict[str, tuple[str, _core.GeoFile]] = {}
        if geo.is_named:
            try:
                self.table = _core.Geo(WORDS)
            except OSError:
                self.table = None

    def load(self, geo: Geo, now: float) -> list[str]:
        """Reads the files anew and turns all processes to them; what is wrong, a sentence each. A file that can't be used leaves
        in force what was read from it before, and without that nothing is known of its kind. `now` in seconds since the epoch."""
        if self.table is None:
            return (
                ["[geo]: named since the start, or without memory for it: restart Kamailio, which makes room"]
                if geo.is_named
                else []
            )
        said = []
        for kind in KINDS:
            path = getattr(geo, kind)
            before = self._good.pop(kind, None)
            if not path:
                continue
            try:
                file = read(path, kind)
                self._good[kind] = (path, file)
                said.append(age(path, kind, file, geo, now))
            except Unusable as error:
                kept = before is not None and before[0] == path
                if before is not None and kept:
                    self._good[kind] = before
                said.append(
                    f"{error}; until then {'what was read before is used' if kept else f'no address has a {kind}'}"
                )
        files = [self._good[kind][1] if kind in self._good else None for kind in KINDS]
        try:
            self.table.publish(*files)
        except ValueError as error:
            said.append(f"[geo]: {error}; what was in force stays")
        return [text for text in said if text]
