"""Virtual patches: what is known to crash or deceive the software behind, by version, as data for the core."""

from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

from msgspec import Meta, Struct

from . import toml_file
from .ruleset import RuleError

PATCHES_FOLDER: Final = Path(__file__).with_name("patches")

#: The family of their findings, as `[actions]` names it.
FAMILY: Final = "patch"

#: Software that patches are known for.
PRODUCTS: Final = ("asterisk", "freeswitch", "kamailio", "opensips", "pjsip", "sofia-sip")

_NUMBER: Final = re.compile(r"(?:\d+:)?(?:certified[-/ ]?)?(\d+(?:\.\d+){0,4})(?:[-~+.]?cert-?(\d+))?", re.I)


class Release(NamedTuple):
    """A version: its numbers, and of Certified Asterisk the number behind `cert`, else 0."""

    numbers: tuple[int, ...]
    certified: int = 0

    def __str__(self) -> str:
        return ".".join(map(str, self.numbers)) + (f"-cert{self.certified}" if self.certified else "")


class Software(NamedTuple):
    """A program and its version."""

    name: str
    release: Release

    def __str__(self) -> str:
        return f"{self.name} {self.release}"


def software_of(text: str) -> Software:
    """`asterisk 20.5` or `asterisk 1:16.28.0~dfsg-0+deb11u4` taken apart. Raises `RuleError` with what is allowed."""
    name, _, version = text.strip().partition(" ")
    found = _NUMBER.match(version.strip())
    if name.lower() not in PRODUCTS or not found:
        raise RuleError(f"{text!r} is no program with its version; allowed: {', '.join(PRODUCTS)}, as in asterisk 20.5")
    numbers = tuple(int(number) for number in found[1].split("."))
    return Software(name.lower(), Release(numbers, int(found[2] or 0)))


class Range(NamedTuple):
    """Versions from `first` up to, not including, the one in which it is fixed."""

    name: str
    first: Release
    fixed: Release

    def relation(self, software: Software) -> Literal["concerned", "fixed", "other"]:
        """Whether a version is in it, is of its branch and fixed, or neither."""
        release = software.release
        if software.name != self.name:
            return "other"
        if self.fixed.certified:
            same = release.certified > 0 and release.numbers == self.fixed.numbers
            return "other" if not same else "concerned" if release < self.fixed else "fixed"
        if release.numbers < self.first.numbers:
            return "other"
        if release.numbers < self.fixed.numbers:
            return "concerned"
        return "fixed"


_PLACE = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]*$")]


class _Test(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One question to one place: `where` is a header field, `request_uri`, `line` (a header field as sent) or `body`."""

    where: _PLACE
    has: str | None = None
    lacks: str | None = None
    longer: Annotated[int, Meta(ge=0, le=65535)] | None = None
    more: Annotated[int, Meta(ge=0, le=1000)] | None = None
    absent: Literal[True] | None = None

    @property
    def spec(self) -> tuple[str, str, str]:
        """For the core: where, question, pattern or number."""
        asked = [(ask, getattr(self, ask)) for ask in ("has", "lacks", "longer", "more", "absent")]
        given = [(ask, str(value)) for ask, value in asked if value is not None]
        if len(given) != 1:
            raise RuleError(f"{self.where}: a test asks one of has, lacks, longer, more, absent")
        return (self.where, *given[0])


class _Patch(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    id: Annotated[str, Meta(pattern=r"^patch(-[a-z0-9]+)+$", max_length=64)]
    reason: Annotated[str, Meta(min_length=3, max_length=200)]
    #: CVE and advisory numbers.
    numbers: Annotated[tuple[str, ...], Meta(min_length=1)]
    #: `kamailio 5.1 < 5.1.4`: a program, the first version concerned (none: all before), the one that is fixed.
    versions: Annotated[tuple[str, ...], Meta(min_length=1)]
    #: The day by which a fixed version was there.
    fixed_by: datetime.date
    methods: tuple[str, ...] = ()
    #: It holds where all tests of one case do.
    cases: Annotated[tuple[tuple[_Test, ...], ...], Meta(min_length=1)]
    #: What it looks for is everyday elsewhere, even with this software: it is recorded, not refused.
    watched: bool = False
    #: A message that it is for, and the nearest one that is in order; see `rendered`.
    trigger: str
    twin: str


class _File(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    patch: tuple[_Patch, ...]


class Patch(NamedTuple):
    """One virtual patch. `trigger` and `twin` are whole messages: one that it is for, and its nearest legal neighbour."""

    id: str
    reason: str
    numbers: tuple[str, ...]
    versions: tuple[Range, ...]
    fixed_by: datetime.date
    methods: tuple[str, ...]
    cases: tuple[tuple[tuple[str, str, str], ...], ...]
    watched: bool
    trigger: bytes
    twin: bytes

    @property
    def spec(self) -> tuple[str, str, int, tuple[str, ...], tuple[tuple[tuple[str, str, str], ...], ...]]:
        """What the core is told of it."""
        return self.id, f"{self.reason} ({', '.join(self.numbers)})", 0 if self.watched else 5, self.methods, self.cases

    def relation(self, software: Software) -> Literal["concerned", "fixed", "other"]:
        """Whether a version of some software needs it, has it fixed, or has never had the fault, as far as is known."""
        found = {one.relation(software) for one in self.versions}
        certified = [one for one in self.versions if one.fixed.certified and one.relation(software) != "other"]
        if certified:
            return certified[0].relation(software)
        return "concerned" if "concerned" in found else "fixed" if "fixed" in found else "other"

    def fixed_in(self, software: Software) -> str:
        """The first fixed version for who runs that one, or all of them."""
        own = [one for one in self.versions if one.relation(software) == "concerned"]
        return ", ".join(str(one.fixed) for one in own or self.versions if one.name == software.name)


def _range(text: str) -> Range:
    found = re.fullmatch(r"([a-z-]+)(?: (\S+))? < (\S+)", text)
    if not found:
        raise RuleError(f"versions: {text!r} is not of the form `kamailio 5.1 < 5.1.4`")
    fixed = software_of(f"{found[1]} {found[3]}").release
    first = software_of(f"{found[1]} {found[2]}").release if found[2] else Release((0,))
    return Range(found[1], first, fixed)


_REPEATED: Final = re.compile(r"\{(.)\*(\d{1,4})\}")
_MANDATORY: Final = (
    ("via", "Via: SIP/2.0/UDP 192.0.2.4:5060;branch=z9hG4bK74bf9;rport"),
    ("max-forwards", "Max-Forwards: 70"),
    ("from", 'From: "Alice" <sip:alice@example.com>;tag=9fxced76sl'),
    ("to", "To: <sip:bob@example.com>"),
    ("call-id", "Call-ID: 3848276298220188511@192.0.2.4"),
    ("cseq", "CSeq: 1 {method}"),
    ("contact", "Contact: <sip:alice@192.0.2.4:5060>"),
)


def rendered(text: str) -> bytes:
    """A message of its short form, as the files of patches write it.

    The first line is a method, with or without a Request-URI; header fields follow, and behind an empty line the body. What a
    request must have is added, but for fields that are named as `-Contact`. `{x*300}` stands for 300 of a character, `33* ` at a
    line's head for so many lines, `{end}` at the very end for a body without a last line end.
    """
    head, _, body = text.strip("\n").partition("\n\n")
    text = _REPEATED.sub(lambda found: found[1] * int(found[2]), head)
    first, *lines = text.split("\n")
    method, _, uri = first.partition(" ")
    fields: list[str] = []
    for line in lines:
        times = re.match(r"(\d+)\* ", line)
        fields += [line[times.end() :]] * int(times[1]) if times else [line]
    given = {re.split(r"[ \t]*:", line.removeprefix("-"))[0].lower() for line in fields}
    made = [line.replace("{method}", method) for name, line in _MANDATORY if name not in given]
    content = body.replace("\n", "\r\n")
    content = content.removesuffix("{end}") if content.endswith("{end}") else content + "\r\n" if content else ""
    if content.startswith("v=") and "content-type" not in given:
        made.append("Content-Type: application/sdp")
    if "content-length" not in given:
        made.append(f"Content-Length: {len(content.encode('latin-1'))}")
    kept = [line for line in fields if not line.startswith("-")]
    start = f"{method} {uri or 'sip:bob@example.com'} SIP/2.0"
    return "\r\n".join([start, *made, *kept, "", content]).encode("latin-1")


def load_file(path: Path) -> list[Patch]:
    """Reads one file of patches. Raises `RuleError` with the file, the patch's id and the reason."""
    decoded = toml_file.read(path, _File)
    return [_made(path, raw) for raw in decoded.patch]


def _made(path: Path, raw: _Patch) -> Patch:
    try:
        versions = tuple(map(_range, raw.versions))
        cases = tuple(tuple(test.spec for test in case) for case in raw.cases)
        return Patch(
            raw.id, raw.reason, raw.numbers, versions, raw.fixed_by, raw.methods, cases, raw.watched,
            rendered(raw.trigger), rendered(raw.twin),
        )  # fmt: skip
    except RuleError as error:
        raise RuleError(f"{path}: {raw.id}: {error}") from None


@functools.cache
def load(folder: Path = PATCHES_FOLDER) -> tuple[Patch, ...]:
    """All patches of a folder, in the order of its files. Read once: workers have them from before they were forked."""
    found = [patch for path in sorted(folder.glob("*.toml")) for patch in load_file(path)]
    ids = [patch.id for patch in found]
    for twice in {name for name in ids if ids.count(name) > 1}:
        raise RuleError(f"{folder}: {twice}: this id is used twice")
    return tuple(found)


def active(software: Iterable[str], fixed: Iterable[str] = ()) -> list[Patch]:
    """The patches that such software needs, without those whose id or number `fixed` has. Raises `RuleError`."""
    try:
        behind = [software_of(text) for text in software]
    except RuleError as error:
        raise RuleError(f"backend.software: {error}") from None
    if not behind:
        return []
    done = set(fixed)
    known = {name for patch in load() for name in (patch.id, *patch.numbers)}
    for name in sorted(done - known):
        raise RuleError(f"backend.fixed: {name!r} is no patch; allowed: an id or a number of docs/patches.md")
    return [
        patch
        for patch in load()
        if not done & {patch.id, *patch.numbers} and any(patch.relation(one) == "concerned" for one in behind)
    ]
