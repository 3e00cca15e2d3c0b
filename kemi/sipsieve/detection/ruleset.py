"""Loads detection rules from TOML, refuses broken ones, and hands them to the core, which compiles them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct, structs

from .. import _core
from ..model import PartKind
from . import opinion, toml_file
from .lint import lint_rule
from .rule import Rule, RuleError

__all__ = [
    "PRODUCTS_FOLDER",
    "RULES_FOLDER",
    "Exempt",
    "Rule",
    "RuleError",
    "Ruleset",
    "load",
    "load_file",
    "pack_files",
    "products",
]

RULES_FOLDER: Final = Path(__file__).with_name("rules")
#: What products send that rules would take for an attack: one file of exceptions each, named like the product.
PRODUCTS_FOLDER: Final = Path(__file__).with_name("products")
#: Where the rules of the rules' folder do not count.
EXCEPTIONS: Final = Path(__file__).with_name("exceptions.toml")
#: The release of the built-in rules, apart from the engine's: it changes with them.
RELEASE: Final[str] = msgspec.toml.decode(Path(__file__).with_name("release.toml").read_bytes())["release"]


_Cwe = Annotated[str, Meta(pattern=r"^CWE-[1-9][0-9]{0,4}$")]
_Capec = Annotated[str, Meta(pattern=r"^CAPEC-[1-9][0-9]{0,4}$")]
_Cve = Annotated[str, Meta(pattern=r"^CVE-[0-9]{4}-[0-9]{4,7}$")]


class _Rule(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    id: Annotated[str, Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)+$", max_length=64)]
    pattern: str
    score: Annotated[int, Meta(ge=0, le=10)]
    reason: Annotated[str, Meta(min_length=3, max_length=200)]
    hits: Annotated[tuple[str, ...], Meta(min_length=1)]
    misses: Annotated[tuple[str, ...], Meta(min_length=1)]
    parts: tuple[PartKind, ...] = ()
    headers: tuple[str, ...] = ()
    #: Taken, since files may have it, and not needed: what to look for is derived from the pattern.
    prefilter: str = ""
    tight: Annotated[int, Meta(ge=0, le=10)] | None = None
    paranoia: Annotated[int, Meta(ge=1, le=3)] = 1
    confidence: Literal["high", "medium", "low"] = "high"
    as_sent: bool = False
    #: None: the file's.
    apart: bool | None = None
    made: Annotated[int, Meta(ge=0, le=10)] | None = None
    #: Empty: the file's.
    cwe: tuple[_Cwe, ...] = ()
    capec: tuple[_Capec, ...] = ()
    cve: tuple[_Cve, ...] = ()
    backends: tuple[str, ...] = ()


class _File(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    family: str
    rule: tuple[_Rule, ...]
    cwe: tuple[_Cwe, ...] = ()
    capec: tuple[_Capec, ...] = ()
    backends: tuple[str, ...] = ()
    apart: bool = False


class Exempt(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One exception: which rule does not count, where, and why. `*` stands for any text."""

    rule: Annotated[str, Meta(min_length=1, max_length=64)]
    reason: Annotated[str, Meta(min_length=3, max_length=200)]
    #: As in the log: `from.display_name`, `x-customer`; empty for every field.
    field: Annotated[str, Meta(max_length=128)] = ""
    #: The product of whose pack it is; empty for the others.
    pack: Annotated[str, Meta(pattern=r"^([a-z0-9][a-z0-9-]{0,31})?$")] = ""


class _Exceptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    exception: tuple[Exempt, ...]
    #: A pack's: the name for which a policy asks, and what it is for.
    product: Annotated[str, Meta(pattern=r"^([a-z0-9][a-z0-9-]{0,31})?$")] = ""
    about: Annotated[str, Meta(max_length=200)] = ""


class Ruleset:
    """Rules and their exceptions, compiled by the core. Immutable; built once, before Kamailio forks.

    Raises `RuleError` for a pattern that can't be compiled.
    """

    def __init__(self, rules: Iterable[Rule], exceptions: Iterable[Exempt] = ()) -> None:
        self.rules: tuple[Rule, ...] = tuple(rules)
        if not self.rules:
            raise RuleError("no rules")
        self.exceptions: tuple[Exempt, ...] = tuple(exceptions)
        # Ordered, since a set has another order in each process and the version must be the same.
        content = msgspec.json.encode((self.rules, self.exceptions, _weights()), order="deterministic")
        #: Of rules, exceptions and the second opinion's weights: what records carry.
        self.version: str = hashlib.sha256(content).hexdigest()[:12]
        try:
            self.core = _core.Ruleset(
                [rule.spec for rule in self.rules],
                [(entry.rule, entry.field) for entry in self.exceptions],
            )
        except ValueError as error:
            raise RuleError(str(error)) from None

    def match(self, text: bytes) -> list[Rule]:
        """The rules whose pattern is in `text`, whatever their parts; in linear time."""
        return [self.rules[index] for index in self.core.match(text)]


def _weights() -> str:
    # A guard that asks for no second opinion runs without the file.
    try:
        return opinion.version()
    except OSError:
        return ""


def load_file(path: Path) -> list[Rule]:
    """Reads one rule file. Raises `RuleError`."""
    decoded = toml_file.read(path, _File)
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
            max(raw.score, 5) if raw.tight is None else raw.tight,
            raw.paranoia,
            raw.confidence,
            raw.as_sent,
            decoded.apart if raw.apart is None else raw.apart,
            raw.made,
            raw.cwe or decoded.cwe,
            raw.capec or decoded.capec,
            raw.cve,
            raw.backends or decoded.backends,
        )
        for raw in decoded.rule
    ]


def load_exceptions(path: Path) -> list[Exempt]:
    """Reads one file of exceptions. Raises `RuleError`."""
    decoded = toml_file.read(path, _Exceptions)
    return [structs.replace(entry, pack=decoded.product) if decoded.product else entry for entry in decoded.exception]


def products() -> dict[str, str]:
    """The products that have a pack, each with what its pack is for."""
    return {
        path.stem: msgspec.toml.decode(path.read_bytes(), type=_Exceptions).about
        for path in sorted(PRODUCTS_FOLDER.glob("*.toml"))
    }


def pack_files(named: Iterable[str]) -> list[Path]:
    """The files of these products' packs. Raises `RuleError` for a product that has none."""
    found = []
    for product in dict.fromkeys(named):
        path = PRODUCTS_FOLDER / f"{product}.toml"
        if path.parent != PRODUCTS_FOLDER or not path.is_file():
            known = ", ".join(sorted(path.stem for path in PRODUCTS_FOLDER.glob("*.toml")))
            raise RuleError(f"detection.products: there is no pack for {product!r}; there are: {known}")
        found.append(path)
    return found


def load(
    folder: Path = RULES_FOLDER,
    own: Iterable[str] = (),
    exceptions: Iterable[str] = (),
    products: Iterable[str] = (),
) -> Ruleset:
    """All rule files of a folder in the order of their names, then an operator's own files and exceptions, and the packs of
    `products`.

    Raises `RuleError` with the file, the rule's id and the reason.
    """
    rules: list[Rule] = []
    owner: dict[str, Path] = {}
    built_in = sorted(folder.glob("*.toml"))
    for path in (*built_in, *map(Path, own)):
        for rule in load_file(path):
            if path not in built_in:
                for fault in lint_rule(rule):
                    raise RuleError(f"{path}: {fault}")
            if rule.id in owner:
                raise RuleError(f"{path}: {rule.id}: this id is already used in {owner[rule.id]}")
            owner[rule.id] = path
            rules.append(rule)
    exempt: list[Exempt] = []
    for path in (*((EXCEPTIONS,) if folder == RULES_FOLDER else ()), *pack_files(products), *map(Path, exceptions)):
        for entry in load_exceptions(path):
            if not any(fnmatchcase(rule_id, entry.rule) for rule_id in owner):
                raise RuleError(f"{path}: {entry.rule}: no rule has this id")
            exempt.append(entry)
    return Ruleset(rules, exempt)
