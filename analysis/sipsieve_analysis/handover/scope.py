"""Reads what a report is about: for whom, by whom, of what, and what it may not be read as."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final

#: Characters of one text: a cover has room for a paragraph each.
_LONGEST: Final = 600

_EXAMPLE: Final = 'client = "Example Telecom"'


class ScopeError(Exception):
    """A file that can't be used: says file, key and what to write."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What stands on the cover. Every text may be empty; `systems` and `excluded` are lists of texts."""

    title: str = ""
    client: str = ""
    author: str = ""
    date: str = ""
    classification: str = ""
    purpose: str = ""
    systems: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self != Scope()

    def over(self, title: str = "", client: str = "", author: str = "") -> Scope:
        """The same with those of these texts that are not empty."""
        return replace(self, title=title or self.title, client=client or self.client, author=author or self.author)


def read(path: Path) -> Scope:
    """Reads a TOML file of these keys. Raises `ScopeError`, `OSError`."""
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except UnicodeDecodeError as error:
        raise ScopeError(f"{path}: is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ScopeError(f"{path}: is no TOML: {error}; a line is like: {_EXAMPLE}") from None
    lists = {field.name for field in fields(Scope) if field.default == ()}
    names = [field.name for field in fields(Scope)]
    values: dict[str, str | tuple[str, ...]] = {}
    for key, value in found.items():
        if key not in names:
            raise ScopeError(f"{path}: {key}: no such key; allowed here: {', '.join(names)}")
        if key == "date" and not isinstance(value, str | list | dict):
            # TOML has dates of its own.
            value = str(value)
        if key in lists and isinstance(value, str):
            value = [value]
        texts = value if isinstance(value, list) and key in lists else [value]
        for text in texts:
            if not isinstance(text, str):
                wanted = "a text or a list of texts" if key in lists else "a text"
                raise ScopeError(f"{path}: {key}: {text!r} is not {wanted}; a line is like: {_EXAMPLE}")
            if len(text) > _LONGEST:
                raise ScopeError(f"{path}: {key}: has {len(text)} characters; allowed are {_LONGEST}")
        values[key] = tuple(texts) if key in lists else texts[0]
    return Scope(**values)  # type: ignore[arg-type]
