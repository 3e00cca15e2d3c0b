"""Manifests: what of which input an archive holds. A part that no manifest names is not there."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from .names import MARK
from .place import SCHEMA, ArchiveError, Place, is_unfinished

_FOLDER: Final = "manifests"

#: Names of edges: they stand in paths and in lists of partitions.
_EDGE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


@dataclass(slots=True)
class Part:
    """One Parquet file: its name in the archive, its day ("other" for times that are none), rows, bytes."""

    name: str
    day: str
    rows: int
    bytes: int


@dataclass(slots=True)
class Manifest:
    """One input, or what was new in it, and the parts that its events are in."""

    id: str
    edge: str
    kind: str
    #: Bytes of the input, unpacked, that are in the archive: from `start` up to `end`; `sha256` is of all before `end`.
    start: int
    end: int
    sha256: str
    records: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    #: Rows that were too old to be kept.
    expired: int = 0

    @property
    def name(self) -> str:
        """Its file in the archive."""
        return f"{_FOLDER}/edge={self.edge}/{self.id}.json"


def check_edge(edge: str) -> str:
    """The name of an edge. Raises `ArchiveError`."""
    if not _EDGE.fullmatch(edge):
        raise ArchiveError(f"--edge {edge!r}: allowed: letters, digits, '.', '_' and '-', up to 63, as edge-1")
    return edge


def opened(place: Place, columns: dict[str, str]) -> None:
    """Makes the archive where it is not there yet. Raises `ArchiveError` where a newer version wrote it."""
    if checked(place) is None:
        place.write_json(MARK, {"schema": SCHEMA, "columns": columns})


def checked(place: Place) -> int | None:
    """The version of an archive, `None` where there is none. Raises `ArchiveError` where it can't be read by this one."""
    mark = place.read_json(MARK)
    if mark is None:
        return None
    version = mark.get("schema")
    if not isinstance(version, int) or not 1 <= version <= SCHEMA:
        raise ArchiveError(
            f"{place.name}: is an archive of version {version}, and this sipsieve reads up to {SCHEMA}: upgrade sipsieve"
        )
    return version


def read(place: Place, edge: str = "") -> list[Manifest]:
    """All manifests, or an edge's. Raises `ArchiveError`."""
    folder = f"{_FOLDER}/edge={edge}" if edge else _FOLDER
    found = []
    for name in place.names(folder):
        if is_unfinished(name) or not name.endswith(".json"):
            continue
        held = place.read_json(name)
        if held is None:  # taken away since
            continue
        try:
            found.append(Manifest(**{**held, "parts": [Part(**part) for part in held["parts"]]}))
        except (TypeError, KeyError) as error:
            raise ArchiveError(f"{place.name}/{name}: is damaged: {error}; restore it from a copy") from error
    return found


def write(place: Place, manifest: Manifest) -> None:
    """Puts it there: from then on its parts count. Raises `ArchiveError`."""
    content: dict[str, Any] = asdict(manifest)
    place.write_json(manifest.name, content)


def sweep(place: Place, edge: str, manifests: list[Manifest]) -> int:
    """Takes away what a run of this edge left that did not come to its end; how many files that was."""
    named = {part.name for manifest in manifests for part in manifest.parts}
    gone = 0
    for name in [*place.names("events"), *place.names(_FOLDER)]:
        lost = name.startswith("events/") and name not in named
        if f"/edge={edge}/" in name and (lost or is_unfinished(name)):
            place.delete(name)
            gone += 1
    return gone
