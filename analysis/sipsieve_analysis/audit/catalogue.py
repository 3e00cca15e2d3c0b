"""What the audit knows of Kamailio's variables, functions and transformations; the data stands in catalogue.toml."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .variables import Variable

#: From the worst down.
SEVERITIES: Final = ("high", "medium", "low", "note")


@dataclass(slots=True, frozen=True)
class Source:
    """A variable that shows what a sender wrote; `message` is where a value has to stand, `{}` for the value itself."""

    names: tuple[str, ...]
    what: str
    message: str
    #: Stands in a quoted string there.
    quoted: bool = False


@dataclass(slots=True, frozen=True)
class Sink:
    """Functions that hand the text of some arguments to a reader that may take it as code."""

    kind: str
    arguments: tuple[int, ...]
    functions: tuple[str, ...] = ()
    kemi: tuple[str, ...] = ()
    #: The argument that names the database connection.
    connection: int | None = None
    #: `opensips` or `kamailio` where only that one has it so.
    dialect: str = ""
    #: Variables that hand on what is put into them.
    variables: tuple[str, ...] = ()


@dataclass(slots=True, frozen=True)
class Kind:
    """A kind of reader: how bad it is, in words, and values that show it between quotes and without."""

    severity: str
    cwe: int
    what: str
    why: str
    exploit: str
    unquoted: str
    quotes: str = ""


@dataclass(slots=True, frozen=True)
class Harmless:
    """Transformations after which a value is text to these readers: in these dialects, inside quotes or outside."""

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    dialects: tuple[str, ...] = ()
    inside: bool | None = None


@dataclass(slots=True, frozen=True)
class Catalogue:
    sources: dict[str, Source]
    sinks: tuple[Sink, ...]
    kinds: dict[str, Kind]
    harmless: tuple[Harmless, ...]
    unescapes: frozenset[str]

    def source(self, variable: Variable) -> Source | None:
        """The source that a variable is, or None."""
        return self.sources.get(f"${variable.kind}")

    def text_to(self, kind: str, transformations: tuple[str, ...], inside: bool, dialect: str) -> bool:
        """Whether a value that went through these is only text to that reader, where it stands."""
        safe = False
        for one in transformations:
            name = one.replace(" ", "")
            if name in self.unescapes:
                safe = False
            for entry in self.harmless:
                if (
                    kind in entry.kinds
                    and name in entry.names
                    and (not entry.dialects or dialect in entry.dialects)
                    and (entry.inside is None or entry.inside == inside)
                ):
                    safe = True
        return safe


@functools.cache
def catalogue() -> Catalogue:
    """The shipped data."""
    data = tomllib.loads(Path(__file__).with_name("catalogue.toml").read_text())

    def tuples(entry: dict[str, Any]) -> dict[str, Any]:
        return {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}

    sources = [Source(**tuples(entry)) for entry in data["source"]]
    return Catalogue(
        {name: source for source in sources for name in source.names},
        tuple(Sink(**tuples(entry)) for entry in data["sink"]),
        {name: Kind(**entry) for name, entry in data["kind"].items()},
        tuple(Harmless(**tuples(entry)) for entry in data["harmless"]),
        frozenset(data["unescapes"]["names"]),
    )
