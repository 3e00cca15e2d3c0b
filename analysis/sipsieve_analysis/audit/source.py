"""Reads a Kamailio configuration's text: includes spliced in, directives obeyed, each line knowing where it came from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from .variables import end_of

#: Kamailio itself goes no deeper.
MAX_DEPTH: Final = 10
#: A configuration is text that somebody writes; what is larger is something else.
MAX_BYTES: Final = 4 << 20

_DIRECTIVE: Final = re.compile(r"^[ \t]*(?:#!|!!)([A-Za-z_]++)[ \t]*+(.*)")
_INCLUDE: Final = re.compile(r"^[ \t]*(include_file|import_file)[ \t]++(?:\"([^\"]*)\"|'([^']*)'|(\S+))")
_WORD: Final = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'|(?<![\w$])[A-Za-z_]\w*+")


class AuditError(Exception):
    """A file that can't be audited; the text names it, says why and what to do."""


class Place(NamedTuple):
    """A line of a file, counted from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass
class Text:
    """A configuration as Kamailio reads it with one set of defines."""

    lines: list[str] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    #: Names that an `#!ifdef` or `#!ifndef` asked for, and whether they were defined there.
    asked: dict[str, bool] = field(default_factory=dict)
    #: Names of files that are included but not there.
    missing: list[tuple[Place, str]] = field(default_factory=list)

    def place(self, line: int) -> Place:
        """Where line `line` of the whole, counted from 1, was written."""
        return self.places[min(max(line, 1), len(self.places)) - 1] if self.places else Place("", 0)


def read(path: Path, forced: Mapping[str, bool] | None = None) -> Text:
    """The configuration that starts in this file; `forced` says of names whether they count as defined, whatever it says.

    Raises `AuditError` where the first file can't be read.
    """
    reader = _Reader(dict(forced or {}))
    reader.file(path, 0, None)
    return reader.text


def variants(path: Path) -> list[tuple[str, Text]]:
    """The configuration as it is, and with each name that it asks for turned round, one at a time: all that is written is read.

    Each with a word on what is different: "" or "with WITH_TLS defined".
    """
    plain = read(path)
    found = [("", plain)]
    known = dict(plain.asked)
    waiting = list(known)
    seen = {tuple(plain.lines)}
    while waiting and len(found) < 64:
        name = waiting.pop(0)
        text = read(path, {name: not known[name]})
        # A block that is in force only now may ask for more.
        fresh = [other for other in text.asked if other not in known]
        known |= {other: text.asked[other] for other in fresh}
        waiting += fresh
        if tuple(text.lines) not in seen:
            seen.add(tuple(text.lines))
            found.append((f"with {name} {'not ' if known[name] else ''}defined", text))
    return found


class _Reader:
    def __init__(self, forced: dict[str, bool]) -> None:
        self.text = Text()
        self._forced = forced
        self._defines: dict[str, str] = {}
        self._substitutions: list[tuple[re.Pattern[str], str]] = []

    def file(self, path: Path, depth: int, asked_by: Place | None) -> None:
        try:
            raw = path.read_bytes()
        except OSError as error:
            if asked_by is None:
                raise AuditError(f"{path}: {error.strerror}: name a file that can be read") from None
            self.text.missing.append((asked_by, str(path)))
            return
        if len(raw) > MAX_BYTES:
            raise AuditError(f"{path}: more than {MAX_BYTES >> 20} MiB: this is no configuration")
        blocks: list[tuple[bool, bool]] = []
        active, comment = True, False
        for number, line in enumerate(raw.decode("utf-8", "replace").splitlines(), 1):
            here = Place(str(path), number)
            if not comment and (directive := _DIRECTIVE.match(line)):
                active = self._directive(directive[1].lower(), directive[2].strip(), blocks, active)
                line = ""
            elif not active:
                line = ""
            elif not comment and (include := _INCLUDE.match(line)):
                target = Path(include[2] or include[3] or include[4])
                if depth < MAX_DEPTH:
                    optional = include[1] == "import_file"
                    resolved = target if target.is_absolute() else path.parent / target
                    if not (optional and not resolved.exists()):
                        self.file(resolved, depth + 1, here)
                line = ""
            else:
                line, comment = _uncommented(line, comment)
                line = self._replaced(line)
            self.text.lines.append(line)
            self.text.places.append(here)

    def _directive(self, name: str, rest: str, blocks: list[tuple[bool, bool]], active: bool) -> bool:
        word = rest.split(None, 1)[0] if rest else ""
        if name in {"ifdef", "ifndef", "ifexp"}:
            holds = True
            if name != "ifexp":
                defined = self._forced.get(word, word in self._defines)
                if active:
                    self.text.asked.setdefault(word, defined)
                holds = defined == (name == "ifdef")
            blocks.append((active, holds))
            return active and holds
        if name == "else" and blocks:
            before, holds = blocks[-1]
            blocks[-1] = (before, not holds)
            return before and not holds
        if name == "endif" and blocks:
            return blocks.pop()[0]
        if active and name in {"define", "trydef", "redefine", "def", "redef"} and word:
            if name != "trydef" or word not in self._defines:
                self._defines[word] = rest[len(word) :].strip()
        elif active and name in {"substdef", "substdefs", "subst"} and len(rest) > 3:
            self._substitution(name, rest)
        return active

    def _substitution(self, name: str, rest: str) -> None:
        """`#!subst "/regular expression/text/"`: what Kamailio does to strings."""
        quoted = rest.strip("\"'")
        mark = quoted[:1]
        parts = quoted[1:].split(mark)
        if len(parts) < 2 or len(parts[0]) > 200:
            return
        try:
            pattern = re.compile(parts[0])
        except re.error:
            return
        self._substitutions.append((pattern, parts[1]))
        if name.startswith("substdef"):
            self._defines[parts[0]] = f'"{parts[1]}"' if name == "substdefs" else parts[1]

    def _replaced(self, line: str) -> str:
        if not self._defines and not self._substitutions:
            return line

        def word(found: re.Match[str]) -> str:
            text = found[0]
            if text[0] in "\"'":
                for pattern, new in self._substitutions:
                    text = text[0] + pattern.sub(new.replace("\\", r"\\"), text[1:-1]) + text[0]
                return text
            return self._defines.get(text) or text

        return _WORD.sub(word, line)


def _uncommented(line: str, comment: bool) -> tuple[str, bool]:
    """A line without its comments, and whether one goes on in the next line."""
    kept: list[str] = []
    at, quote = 0, ""
    while at < len(line):
        two = line[at : at + 2]
        if comment:
            comment = two != "*/"
            at += 1 if comment else 2
            continue
        if quote:
            step = 2 if two[0] == "\\" and quote == '"' else 1
            quote = "" if two[0] == quote else quote
            kept.append(line[at : at + step])
            at += step
            continue
        # Slashes, marks and quotes in a transformation are its own: `$(ru{re.subst,/;x=[a-z]*//g})`.
        if two == "$(" and (end := end_of(line, at)) > at:
            kept.append(line[at:end])
            at = end
            continue
        if (two == "//" and (at == 0 or line[at - 1] != ":")) or two[0] == "#":
            break
        if two == "/*":
            comment = True
            at += 2
            continue
        quote = two[0] if two[0] in "\"'" else ""
        kept.append(two[0])
        at += 1
    return "".join(kept), comment
