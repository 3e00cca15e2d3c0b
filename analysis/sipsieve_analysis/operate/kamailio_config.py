"""Reads a Kamailio configuration as far as an include of sipsieve.cfg depends on it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

#: Kamailio itself goes no deeper.
MAX_DEPTH: Final = 10

#: A configuration is text that somebody writes; what is larger is something else.
MAX_BYTES: Final = 4 << 20


class ConfigError(Exception):
    """A file that can't be read; the text names it and says why."""


class Statement(NamedTuple):
    """What one place says. `kind`: loadmodule, modparam, include, event_route, route, call, set, define, engine.

    `depth` counts the `#!ifdef` blocks around it, within its file. `main_line` is the line of the main
    file that led here: its own, or that of the include statement.
    """

    kind: str
    file: str
    line: int
    words: tuple[str, ...]
    depth: int
    main_line: int


@dataclass
class Config:
    """All that is in force, in the order in which Kamailio reads it, and where the main file's blocks end."""

    path: str
    statements: list[Statement] = field(default_factory=list)
    #: Line of the main file → line of the `#!endif` that closes the outermost block around it.
    block_ends: dict[int, int] = field(default_factory=dict)
    #: The main file's last line that loads a module, in force or not: a `#!define` may put it in force later.
    last_module: int = 0
    #: Files that are named but not there.
    missing: list[Statement] = field(default_factory=list)

    def of(self, kind: str, *words: str) -> list[Statement]:
        """The statements of a kind whose first words are these."""
        return [s for s in self.statements if s.kind == kind and s.words[: len(words)] == words]


_DIRECTIVE: Final = re.compile(r"^[ \t]*(?:#!|!!)([A-Za-z]++)[ \t]*+(.*)")
_STRING: Final = r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'"
_VALUE: Final = rf"(?:{_STRING}|[A-Za-z0-9_./-]++)(?:[ \t]*+(?:{_STRING}|[A-Za-z0-9_./-]++))*"
_FORMS: Final = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("loadmodule", rf"\bloadmodulex?\b[ \t]*+\(?[ \t]*+({_VALUE})"),
        ("modparam", rf"\bmodparamx?[ \t]*+\([ \t]*+({_VALUE})[ \t]*+,[ \t]*+({_VALUE})[ \t]*+,[ \t]*+({_VALUE})"),
        ("include", rf"\b(?:include_file|import_file)\b[ \t]+({_VALUE})"),
        ("event_route", r"\bevent_route[ \t]*\[[ \t]*([^\[\]\s]+)[ \t]*\]"),
        ("route", r"(?:^|[ \t])route[ \t]*\[[ \t]*([^\[\]\s]+)[ \t]*\]"),
        ("call", r"\broute[ \t]*\([ \t]*\"?([A-Za-z0-9_:-]+)\"?[ \t]*\)"),
        ("engine", rf"^[ \t]*cfgengine[ \t]*+=?[ \t]*+({_VALUE})"),
        ("set", rf"^[ \t]*(received_route_mode|ipv6_hex_style|mpath)[ \t]*=[ \t]*({_VALUE})"),
    )
)
#: A line is looked at up to here: the patterns above are linear, but there is no need for more.
_MAX_LINE: Final = 4096


def read(path: Path) -> Config:
    """The configuration that starts in this file. Raises `ConfigError` if that file can't be read."""
    config = Config(str(path))
    _Reader(config).file(path, 0, 0)
    return config


class _Reader:
    def __init__(self, config: Config) -> None:
        self._config = config
        self._defines: dict[str, str] = {}

    def file(self, path: Path, depth: int, main_line: int) -> None:
        """Adds what a file and the files that it includes say."""
        #: For each open block: what was in force before it, whether its condition holds, whether that is known.
        blocks: list[tuple[bool, bool, bool]] = []
        opened = 0
        active = True
        for number, line in _lines(path):
            top = main_line or number
            if directive := _DIRECTIVE.match(line):
                name, rest = directive[1].lower(), directive[2].rstrip(" \t")
                if name in ("ifdef", "ifndef", "ifexp"):
                    if not blocks:
                        opened = number
                    blocks.append((active, self._holds(name, rest), name != "ifexp"))
                    active = active and blocks[-1][1]
                elif name == "else" and blocks:
                    before, holds, known = blocks[-1]
                    # Whether an expression holds is not known here: both branches count.
                    blocks[-1] = (before, not (holds and known), known)
                    active = before and blocks[-1][1]
                elif name == "endif" and blocks:
                    active = blocks.pop()[0]
                    if not blocks and not main_line:
                        self._config.block_ends.update(dict.fromkeys(range(opened, number + 1), number))
                elif active:
                    self._directive(name, rest, path, number, len(blocks), top)
                continue
            found = list(_statements(line[:_MAX_LINE]))
            if any(kind == "loadmodule" for kind, _ in found):
                self._config.last_module = max(self._config.last_module, top)
            if not active:
                continue
            for kind, words in found:
                values = tuple(self._value(word) for word in words)
                statement = Statement(kind, str(path), number, values, len(blocks), top)
                self._config.statements.append(statement)
                if kind == "loadmodule":
                    self._defines[f"MOD_{Path(values[0]).stem}"] = ""
                elif kind == "include":
                    self._include(statement, path, depth)

    def _include(self, statement: Statement, path: Path, depth: int) -> None:
        target = Path(statement.words[0])
        if not target.is_absolute():
            target = path.parent / target
        if depth >= MAX_DEPTH:
            raise ConfigError(f"{path}:{statement.line}: includes go deeper than {MAX_DEPTH} files")
        if target.is_file():
            self.file(target, depth + 1, statement.main_line)
        else:
            self._config.missing.append(statement)

    def _directive(self, name: str, rest: str, path: Path, number: int, depth: int, top: int) -> None:
        word, _, value = rest.partition(" ")
        if name in ("define", "def", "redefine", "redef"):
            self._defines[word] = value.strip()
        elif name in ("trydefine", "trydef"):
            self._defines.setdefault(word, value.strip())
        elif name in ("defenv", "defenvs", "trydefenv", "trydefenvs"):
            key, _, variable = word.partition("=")
            if (found := os.environ.get(variable or key)) is not None:
                self._defines.setdefault(key, f'"{found}"' if name.endswith("s") else found)
        elif name in ("undefine", "undef"):
            self._defines.pop(word, None)
        else:
            return
        self._config.statements.append(Statement("define", str(path), number, (word,), depth, top))

    def _holds(self, name: str, rest: str) -> bool:
        return name == "ifexp" or (rest.split(" ")[0] in self._defines) is (name == "ifdef")

    def _value(self, word: str) -> str:
        """A word without its quotes, a defined name as what it stands for, several of them joined."""
        parts = re.findall(rf"{_STRING}|[^\s\"']+", word)
        return "".join(
            part[1:-1] if part[0] in "\"'" else _unquoted(self._defines.get(part, part)) for part in parts
        ).strip()


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value


def _statements(line: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    for kind, pattern in _FORMS:
        for match in pattern.finditer(line):
            yield kind, tuple(match.groups())


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The file's lines without comments, numbered from 1."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_BYTES >> 20} MiB: not a Kamailio configuration")
    within = False
    for number, line in enumerate(raw.decode("utf-8", "replace").splitlines(), 1):
        text, within = _without_comments(line, within)
        yield number, text


_TOKEN: Final = re.compile(rf"{_STRING}|/\*|//|#|\"|'")


def _without_comments(line: str, within: bool) -> tuple[str, bool]:
    """One line without its comments, and whether it ends within one."""
    if not within and _DIRECTIVE.match(line):
        return line, False
    kept: list[str] = []
    position = 0
    while position < len(line):
        if within:
            end = line.find("*/", position)
            if end < 0:
                return "".join(kept), True
            position, within = end + 2, False
            continue
        token = _TOKEN.search(line, position)
        if token is None:
            kept.append(line[position:])
            break
        if token[0] == "/*":
            kept.append(line[position : token.start()])
            position, within = token.end(), True
        elif token[0] in ("//", "#"):
            kept.append(line[position : token.start()])
            break
        else:
            kept.append(line[position : token.end()])
            position = token.end()
    return "".join(kept), within
