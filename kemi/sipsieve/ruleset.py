"""Loads detection rules from TOML, refuses broken ones, and compiles them for Hyperscan."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Final, Literal

import hyperscan
import msgspec
from msgspec import Meta, Struct

from .lint import lint_rule
from .model import Header, Part, PartKind
from .patterns import Pattern, compile_set
from .rule import FLAGS, Rule
from .sdp import text_lines
from .triggers import ADDRESS_FORM, SDP_SHAPE, SHAPES, VIA_FORMS

__all__ = ["FLAGS", "RULES_FOLDER", "Exempt", "Rule", "RuleError", "Ruleset", "compile_patterns", "load", "load_file"]

# Control bytes, what is not ASCII, and backslashes: they change how a value is read.
_STRANGE: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\\\x7f-\xff]")

# A long value is looked at piece by piece, so that the first shape ends the look; no shape is longer
# than the overlap.
_CHUNK: Final = 4096
_OVERLAP: Final = 256

RULES_FOLDER: Final = Path(__file__).with_name("rules")
#: Where the rules of that folder do not count.
EXCEPTIONS: Final = Path(__file__).with_name("exceptions.toml")


class RuleError(ValueError):
    """A rule that can't be used: names file and id, and what is wrong."""


class _Rule(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    id: Annotated[str, Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)+$", max_length=64)]
    pattern: str
    score: Annotated[int, Meta(ge=0, le=10)]
    reason: Annotated[str, Meta(min_length=3, max_length=200)]
    hits: Annotated[tuple[str, ...], Meta(min_length=1)]
    misses: Annotated[tuple[str, ...], Meta(min_length=1)]
    parts: tuple[PartKind, ...] = ()
    headers: tuple[str, ...] = ()
    prefilter: str = ""
    tight: Annotated[int, Meta(ge=0, le=10)] | None = None
    paranoia: Annotated[int, Meta(ge=1, le=3)] = 1
    confidence: Literal["high", "medium", "low"] = "high"
    as_sent: bool = False


class _File(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    family: str
    #: Its rules fire only where one of `triggers.SHAPES` does, which tests hold; no own look in stage one.
    covered: bool = False
    rule: tuple[_Rule, ...]


class Exempt(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One exception: which rule does not count, where, and why. `*` stands for any text."""

    rule: Annotated[str, Meta(min_length=1, max_length=64)]
    reason: Annotated[str, Meta(min_length=3, max_length=200)]
    #: As in the log: `from.display_name`, `x-customer`; empty for every field.
    field: Annotated[str, Meta(max_length=128)] = ""


class _Exceptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    exception: tuple[Exempt, ...]


#: The lines of SDP in which text can stand (RFC 8866 5.2 to 5.6), as `sdp` finds them.
_TEXT_LINES: Final = frozenset(b"%c=" % name for name in b"osiue")

#: Bytes of a body up to which splitting it is the quicker way to find them.
_SHORT_BODY: Final = 640

#: Bytes of all text lines of a body; more is worth a look.
_MAX_TEXT: Final = 4096

_USUAL: Final = re.compile(ADDRESS_FORM.encode())

#: Of an origin that is as it should be only the user name is text.
_ORIGIN: Final = re.compile(rb"^([oO]=[^ \n]+) [0-9]+ [0-9]+ IN IP[46] [0-9A-Za-z.:-]+\r?$", re.M)


#: A number that stands by itself: which one it is decides nothing, and the session's is another in every call.
_ALONE: Final = re.compile(rb" [0-9]+(?=[ \r\n]|\Z)")

#: Texts of bodies that are known to be plain, about 100 bytes each.
_MAX_PLAIN: Final = 4096
_MAX_PLAIN_TEXT: Final = 512


class Ruleset:
    """Rules and their Hyperscan database. Immutable but for a cache; built once, before Kamailio forks."""

    def __init__(self, rules: Iterable[Rule], exceptions: Iterable[Exempt] = ()) -> None:
        self.rules: tuple[Rule, ...] = tuple(rules)
        if not self.rules:
            raise RuleError("no rules")
        self.exceptions: tuple[Exempt, ...] = tuple(exceptions)
        # The same in every process: sets have another order in each.
        content = msgspec.json.encode((self.rules, self.exceptions), order="deterministic")
        self.version: str = hashlib.sha256(content).hexdigest()[:12]
        self._database = compile_patterns([(rule.id, rule.pattern) for rule in self.rules])
        #: The shapes of `triggers`, for stage one and for text lines of SDP.
        self.shapes = compile_patterns([(shape, shape) for shape in SHAPES])
        # And with what rules need that no shape is for: all that may be in one header field.
        own = [(rule.id, rule.prefilter) for rule in self.rules if rule.prefilter]
        self._lines = compile_patterns([*((shape, shape) for shape in (*SHAPES, *VIA_FORMS)), *own])
        self._body = compile_patterns([("sdp", SDP_SHAPE)])
        self._plain: set[bytes] = set()

    def body_is_plain(self, body: bytes) -> bool:
        """Whether no text line of an SDP body is worth a look."""
        if len(body) <= _SHORT_BODY:
            said = b"\n".join([line for line in body.split(b"\n") if line[:2] in _TEXT_LINES])
        else:
            said = b"\n".join([body[start:end] for start, end in text_lines(body)])
            if len(said) > _MAX_TEXT:
                return False
        text = _ALONE.sub(b" 0", said)
        if text in self._plain:
            return True
        if b"\r" in said.replace(b"\r\n", b"").removesuffix(b"\r"):
            # Some end a line there.
            return False
        seen: list[int] = []
        self._body.scan(said, _collect, 0, seen)
        if seen or not self.is_plain(_ORIGIN.sub(rb"\1", text)):
            return False
        if len(text) <= _MAX_PLAIN_TEXT:
            if len(self._plain) >= _MAX_PLAIN:
                self._plain.clear()
            self._plain.add(text)
        return True

    def excepted(self, rule: Rule, part: Part) -> bool:
        """Whether an exception says that the rule does not count in that part."""
        return any(
            fnmatchcase(rule.id, entry.rule) and (not entry.field or fnmatchcase(part.field, entry.field))
            for entry in self.exceptions
        )

    def is_plain(self, value: bytes) -> bool:
        """Whether a value, however long, has none of the shapes and reads in one way only."""
        return self._lacks(self.shapes, value)

    def line_is_plain(self, header: Header) -> bool:
        """Whether no rule can fire in a header field, whatever its parts: what stage one promises of all of them.

        Of From and To it promises that only where they have their usual form.
        """
        if b"\r" in header.value or (header.name in ("from", "to") and not _USUAL.match(header.value + b"\r")):
            return False
        # As stage one sees it: on one line, with its long name.
        return self._lacks(self._lines, b"\n%b: %b\r" % (header.name.encode("ascii", "replace"), header.value))

    def _lacks(self, patterns: hyperscan.Database, value: bytes) -> bool:
        if _STRANGE.search(value):
            return False
        seen: list[int] = []
        for start in range(0, len(value), _CHUNK):
            patterns.scan(value[max(start - _OVERLAP, 0) : start + _CHUNK], _collect, 0, seen)
            if seen:
                return False
        return True

    def match(self, text: bytes) -> list[Rule]:
        """The rules whose pattern is in `text`, whatever their parts; in linear time."""
        if not text:
            return []
        found: list[int] = []
        self._database.scan(text, _collect, 0, found)
        if not found:
            return []
        return [self.rules[index] for index in sorted(set(found))]


def _collect(identity: int, start: int, end: int, flags: int, found: object) -> None:
    found.append(identity)  # type: ignore[attr-defined]


def compile_patterns(patterns: list[tuple[str, str]], flags: int = FLAGS) -> hyperscan.Database:
    """A block-mode database of `(name, pattern)`, ids counted from 0. Raises `RuleError` by name."""
    try:
        return compile_set([Pattern(number, pattern, flags) for number, (_, pattern) in enumerate(patterns)])
    except hyperscan.error:
        for name, pattern in patterns:
            try:
                compile_set([Pattern(0, pattern, flags)])
            except hyperscan.error as error:
                raise RuleError(f"{name}: pattern: {error}") from error
        raise


def load_file(path: Path) -> list[Rule]:
    """Reads one rule file. Raises `RuleError`."""
    try:
        decoded = msgspec.toml.decode(path.read_bytes(), type=_File)
    except OSError as error:
        raise RuleError(f"{path}: cannot be read: {error.strerror}") from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise RuleError(f"{path}: {error}") from error
    return [
        Rule(
            raw.id,
            decoded.family,
            raw.pattern,
            raw.score,
            raw.reason,
            raw.hits,
            raw.misses,
            frozenset(raw.parts),
            frozenset(raw.headers),
            raw.prefilter or ("" if decoded.covered else raw.pattern),
            max(raw.score, 5) if raw.tight is None else raw.tight,
            raw.paranoia,
            raw.confidence,
            raw.as_sent,
        )
        for raw in decoded.rule
    ]


def load_exceptions(path: Path) -> list[Exempt]:
    """Reads one file of exceptions. Raises `RuleError`."""
    try:
        return list(msgspec.toml.decode(path.read_bytes(), type=_Exceptions).exception)
    except OSError as error:
        raise RuleError(f"{path}: cannot be read: {error.strerror}") from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise RuleError(f"{path}: {error}") from error


def load(folder: Path = RULES_FOLDER, own: Iterable[str] = (), exceptions: Iterable[str] = ()) -> Ruleset:
    """All rule files of a folder in the order of their names, then an operator's own files and exceptions.

    Raises `RuleError` with the file, the rule's id and the reason.
    """
    rules: list[Rule] = []
    owner: dict[str, Path] = {}
    built_in = sorted(folder.glob("*.toml"))
    for path in (*built_in, *map(Path, own)):
        for rule in load_file(path):
            if path not in built_in:
                if not rule.prefilter:
                    raise RuleError(f"{path}: {rule.id}: covered: only the built-in rules are; leave it out")
                for fault in lint_rule(rule):
                    raise RuleError(f"{path}: {fault}")
            if rule.id in owner:
                raise RuleError(f"{path}: {rule.id}: this id is already used in {owner[rule.id]}")
            owner[rule.id] = path
            rules.append(rule)
    exempt: list[Exempt] = []
    for path in (*((EXCEPTIONS,) if folder == RULES_FOLDER else ()), *map(Path, exceptions)):
        for entry in load_exceptions(path):
            if not any(fnmatchcase(rule_id, entry.rule) for rule_id in owner):
                raise RuleError(f"{path}: {entry.rule}: no rule has this id")
            exempt.append(entry)
    return Ruleset(rules, exempt)
