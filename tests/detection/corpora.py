"""Reads the texts that detection is measured on, and parts them by source: what rules may be made on, what they may not."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import tomllib
import urllib.parse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

CASES = Path(__file__).with_name("cases")

Part = Literal["develop", "held-back", "all"]
PARTS: Final[tuple[Part, ...]] = ("develop", "held-back", "all")

#: Whose attack texts no rule is made on, and nobody who writes rules looks at. An author's files share their texts, so
#: that the part is chosen by author; these were chosen so that nearly every family has texts in both parts.
HELD_BACK_AUTHORS: Final = frozenset(
    {
        "0dayCTF/reverse-shell-generator",
        "cr0hn/nosqlinjection_wordlists",
        "fuzzdb-project/fuzzdb",
        "nemesida-waf/waf-bypass",
        "payloadbox/command-injection-payload-list",
        "sqlmapproject/sqlmap",
        "wallarm/gotestwaf",
        "web",
    }
)


#: Messages that the corpora call valid since one parser was expected to accept them, and why RFC 3261 says that they are not.
NOT_VALID: Final = {
    "jsip_torture/014.sip": "no empty line ends the header section, a blank one goes on with the line before (7.3.1): v=0 is no header field",
    "jsip_torture/333.sip": "RFC 4475 3.1.1.8 without the empty line between its two messages: a request line is no header field (7.3)",
    "jsip_torture/338.sip": "RFC 4475 3.1.1.13 with `<hex>20</hex>` written out where a space is meant: no status line (7.2)",
    "jsip_torture/366.sip": "two each of From, To, Call-ID, CSeq and Max-Forwards (7.3.1); RFC 4475 3.3.8 itself calls it invalid",
}


class Attack(NamedTuple):
    family: str
    text: bytes
    source: str = ""


class Benign(NamedTuple):
    kind: str
    text: bytes
    source: str = ""


def author(source: str) -> str:
    """Who made a source: the repository of a file, without the file."""
    return source.split(":", 1)[0]


def shape(text: bytes) -> bytes:
    """What two texts share that were copied from each other: without case, escapes, numbers and spaces."""
    for _ in range(3):
        text = urllib.parse.unquote_to_bytes(text)
    return re.sub(rb"\s+", b"", re.sub(rb"\d+", b"0", text.lower()))


def _is_held_back_benign(source: str) -> bool:
    return hashlib.sha256(source.encode()).digest()[0] < 77


def attacks(folder: Path, part: Part) -> list[Attack]:
    """The strong attack texts of a part, each shape once per source. A held-back text whose shape stands in a developed
    source as well was seen, and is in neither part but `all`."""
    rows = [json.loads(line) for line in (folder / "attacks.jsonl").open()]
    every = [
        Attack(row["family"], row["payload"].encode("utf-8", "surrogatepass"), row["source"])
        for row in rows
        if row["strength"] == "strong"
        and row["scope"] == "core"
        and (row.get("crs_pl") is None or int(row["crs_pl"]) <= 2)
    ]
    if part == "all":
        return every
    developed = [attack for attack in every if author(attack.source) not in HELD_BACK_AUTHORS]
    if part == "develop":
        return developed
    seen = {shape(attack.text) for attack in developed}
    return [a for a in every if author(a.source) in HELD_BACK_AUTHORS and shape(a.text) not in seen]


def benign(folder: Path, part: Part) -> list[Benign]:
    """The harmless texts of a part, those that nobody could label left out."""
    every = []
    for line in (folder / "benign.jsonl").open():
        row = json.loads(line)
        if not (row.get("ambiguous") or row.get("unlabelled") or row.get("tier") == "unlabelled"):
            every.append(Benign(row["kind"], row["text"].encode("utf-8", "surrogatepass"), row["source"]))
    if part == "all":
        return every
    developed = [text for text in every if not _is_held_back_benign(text.source)]
    if part == "develop":
        return developed
    seen = {text.text for text in developed}
    return [text for text in every if _is_held_back_benign(text.source) and text.text not in seen]


def messages(folder: Path) -> Iterator[tuple[str, Any, bytes]]:
    """Name, whether it is valid ("True", "False", "None"), and the bytes of each whole message."""
    for line in (folder / "sip_messages.jsonl").open():
        row = json.loads(line)
        valid = "False" if row["file"] in NOT_VALID else str(row["valid"])
        yield f"{row['file']} {row.get('rfc_section') or ''}", valid, base64.b64decode(row["raw_b64"])


def _own(pattern: str) -> Iterator[tuple[str, bytes]]:
    for path in sorted(CASES.glob(pattern)):
        for name, texts in tomllib.loads(path.read_text()).items():
            for text in texts:
                yield name, text.encode()


def own_attacks() -> Iterator[Attack]:
    """The project's own attack texts."""
    return (Attack(family, text) for family, text in _own("attacks*.toml"))


def own_benign() -> Iterator[Benign]:
    """The project's own harmless texts."""
    return (Benign(kind, text) for kind, text in _own("benign*.toml"))


def authors(texts: Iterable[Attack | Benign]) -> int:
    """How many authors a set of texts has."""
    return len({author(text.source) for text in texts})
