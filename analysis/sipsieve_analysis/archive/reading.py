"""Reads an archive back: into the events table of an analysis, or for another engine as a list of files."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.dataset as ds

from ..events import NAMES, Store
from . import manifests
from .manifests import Part
from .place import ArchiveError, Place

if TYPE_CHECKING:
    from ..intake import Intake

_NAME: Final = "archived"


@dataclass(slots=True)
class Held:
    """What an archive holds: its parts, and what was read to make them."""

    place: Place
    parts: list[Part]
    records: Counter[str]
    skipped: Counter[str]

    @property
    def rows(self) -> int:
        """Events in it."""
        return sum(part.rows for part in self.parts)

    def wrong(self, found: int) -> ArchiveError:
        """What to say where its parts hold another number of events."""
        return ArchiveError(
            f"{self.place.name}: its parts hold {found:,} events and its manifests say {self.rows:,}: restore the parts from a copy"
        )


#: An input by what was in it: its kind, where the part that was archived begins and ends, and the checksum.
Content = tuple[str, int, int, str]


def hold(place: Place, seen: set[Content]) -> Held:
    """What is in an archive, but for inputs in `seen`, which get to know its own: what two archives hold counts once.

    Raises `ArchiveError`.
    """
    if manifests.checked(place) is None:
        raise ArchiveError(f"{place.name}: is no archive; `sipsieve archive {place.name} LOG` makes one")
    found = manifests.read(place)
    held = Held(place, [], Counter(), Counter())
    for manifest in found:
        content = (manifest.kind, manifest.start, manifest.end, manifest.sha256)
        if content in seen:
            held.skipped["archived inputs that were read already (read once)"] += 1
            continue
        seen.add(content)
        held.parts += manifest.parts
        held.records.update(manifest.records)
        held.skipped.update(manifest.skipped)
        # What is too old was told of before it went.
        held.skipped["archived records that were too old to be kept"] += manifest.expired
    held.skipped = +held.skipped
    held.parts.sort(key=lambda part: part.name)
    return held


def load(held: Held, store: Store) -> None:
    """Adds all events of an archive to a store. Raises `ArchiveError`."""
    if not held.parts:
        return
    place = held.place
    before = store.last()
    try:
        data = ds.dataset([place.at(part.name) for part in held.parts], format="parquet", filesystem=place.filesystem)
        connection = store.con
        connection.register(_NAME, data)
        connection.execute(f"INSERT INTO events ({NAMES}) SELECT {NAMES} FROM {_NAME}")  # noqa: S608 (ours)
        connection.unregister(_NAME)
    except (OSError, pa.ArrowInvalid) as error:
        said = str(error).split("\n", 1)[0]
        raise ArchiveError(f"{place.name}: a part can't be read: {said}") from error
    added = connection.execute("SELECT count(*) FROM events WHERE rowid > ?", [before]).fetchall()[0][0]
    if added != held.rows:
        raise held.wrong(added)


def tell(held: Held, intake: Intake) -> None:
    """Adds to what was read what an archive was made of."""
    intake.records.update({kind: held.records[kind] for kind in sorted(held.records)})
    intake.skipped.update(held.skipped)
    intake.files.append((held.place.name, "archive"))
