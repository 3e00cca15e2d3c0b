"""Proposes a detection rule of unusual values: a pattern of their forms, with what it must hit and what it must miss."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from sipsieve.detection.lint import lint_rule
from sipsieve.detection.rule import Rule
from sipsieve.model import PartKind

from .form import BEGIN, END, form
from .learner import MADE_UP, OTHERS_TAG
from .model import ROLES, Model
from .reviews import Review

#: Symbols of a form that a pattern is made of, repeats that it takes, and texts that it names.
_SHORTEST: Final = 3
_LONGEST: Final = 10
_REPEAT: Final = 60
_HITS: Final = 5
_MISSES: Final = 6

_CLASSES: Final = {0x61: "[a-z\\x80-\\xff]", 0x41: "[a-z]", 0x30: "[0-9]", 0x20: "\\s", 0x01: "[\\x00-\\x1f\\x7f]"}

#: What is written into the rule where nothing else is said: taken out where nobody routes by the value, never refused.
SCORE: Final = 3

FAMILY: Final = "site"


#: Keys of a rule that is proposed, in the order of its file.
_KEYS: Final = ("id", "pattern", "score", "tight", "confidence", "reason", "parts", "headers", "hits", "misses")


class Proposal(Struct, frozen=True):
    """A rule that a person may accept. `review`: whose values it is made of; `caught`: how many of them it hits."""

    rule: Rule
    review: str
    caught: int
    values: int

    def toml(self) -> str:
        """The rule as a file of rules has it."""
        return _toml({name: getattr(self.rule, name) for name in _KEYS})

    def as_json(self) -> dict[str, Any]:
        """The proposal as `docs/learn.schema.json` describes it."""
        rule = self.rule
        return {
            "id": rule.id, "review": self.review, "pattern": rule.pattern, "score": rule.score, "tight": rule.tight, "reason": rule.reason,
            "parts": sorted(rule.parts), "headers": sorted(rule.headers), "hits": list(rule.hits), "misses": list(rule.misses),
            "caught": self.caught, "values": self.values,
        }  # fmt: skip


def document(proposals: Sequence[Proposal]) -> str:
    """A file of rules with these proposals."""
    return f'family = "{FAMILY}"\n\n' + "\n".join(one.toml() for one in proposals)


def propose(review: Review, model: Model, normal: Iterable[str]) -> Proposal | None:
    """A rule for the values of a review; None where none tells them from what is normal.

    `normal`: ordinary values of the same traffic, of which those that come closest become misses. No value that the model keeps
    a form of, and none of these, is hit.
    """
    by_field: dict[tuple[str, str, str], list[bytes]] = {}
    for field, header, part, text in review.values:
        if field not in MADE_UP and field != OTHERS_TAG and part in set(PartKind):
            by_field.setdefault((field, header, part), []).append(text)
    if not by_field:
        return None
    (field, header, part), texts = max(by_field.items(), key=lambda entry: (len(entry[1]), entry[0]))
    ordinary = [text for text in dict.fromkeys(normal) if text]
    forms = [form(text.encode("utf-8", "surrogateescape")) for text in ordinary]
    forms += [text for role in ROLES for text in _examples(model, role, field)]
    window = _window([form(text) for text in texts], forms)
    if window is None:
        return None
    pattern = pattern_of(window)
    hits = [text for text in (_shown(text) for text in texts) if text and _holds(pattern, text)]
    misses = [text for text in _nearest(ordinary, window) if not _holds(pattern, text)][:_MISSES]
    misses = misses or [_spoken(text) for text in forms if not _holds(pattern, _spoken(text))][:_MISSES]
    if not hits or not misses:
        return None
    name = re.sub(r"[^a-z0-9]+", "-", field.lower()).strip("-")[:30] or "value"
    identity = f"{FAMILY}-{name}-{hashlib.sha256(pattern.encode()).hexdigest()[:6]}"
    rule = Rule(
        identity, FAMILY, pattern, SCORE, f"a form that no accepted value of {field} had here", tuple(hits[:_HITS]), tuple(misses),
        frozenset({PartKind(part)}), frozenset({header}), SCORE, 1, "medium",
    )  # fmt: skip
    if next(lint_rule(rule), None) is not None:
        return None
    return Proposal(rule, review.id, len(hits), len(texts))


def _examples(model: Model, role: str, field: str) -> list[bytes]:
    values = model.fields.get(f"{role} {field}")
    return values.examples if values is not None else []


def _window(hostile: Sequence[bytes], normal: Sequence[bytes]) -> bytes | None:
    """The shortest run of symbols that no normal form has and most of the hostile ones have."""
    best: tuple[int, int, bytes] | None = None
    for length in range(_SHORTEST, _LONGEST + 1):
        counts: dict[bytes, int] = {}
        for text in hostile:
            whole = BEGIN + text + END
            for run in {whole[place : place + length] for place in range(len(whole) - length + 1)}:
                counts[run] = counts.get(run, 0) + 1
        for run, count in counts.items():
            marks = sum(byte not in b"aA0 \x02\x03" for byte in run)
            if marks == 0 or (best is not None and (count, marks) <= best[:2]):
                continue
            if not any(_folded(run) in _folded(BEGIN + text + END) for text in normal):
                best = count, marks, run
        if best is not None and best[0] * 2 >= len(hostile):
            break
    return best[2] if best else None


def _folded(text: bytes) -> bytes:
    # Patterns match in any case, so capitals and small letters are one run.
    return re.sub(rb"[aA]+", b"a", text)


def pattern_of(window: bytes) -> str:
    """A bounded regular expression of a run of a form's symbols."""
    made = []
    for byte in _folded(window):
        if byte == BEGIN[0]:
            made.append("^")
        elif byte == END[0]:
            made.append("$")
        elif byte in _CLASSES:
            made.append(f"{_CLASSES[byte]}{{1,{_REPEAT}}}")
        else:
            made.append(re.escape(chr(byte)))
    return "".join(made)


def _holds(pattern: str, text: str) -> bool:
    return re.search(pattern.encode(), text.encode("utf-8", "surrogateescape"), re.IGNORECASE) is not None


def _shown(text: bytes) -> str:
    """A value that a file of rules can hold; "" where it can't."""
    try:
        found = text.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    return found if len(found) <= 300 else ""


def _nearest(ordinary: Sequence[str], window: bytes) -> list[str]:
    """Ordinary values by how many of the pattern's marks they have."""
    marks = set(window) - set(b"aA0 \x02\x03")
    ranked = sorted(
        ordinary, key=lambda text: (-len(marks & set(text.encode("utf-8", "surrogateescape"))), len(text), text)
    )
    return ranked[:50]


def _spoken(text: bytes) -> str:
    """A value of a form, where none is at hand: `A'Aa, Aa 0` gives `B'Bb, Bb 1`."""
    return text.decode("latin-1").translate({0x61: "b", 0x41: "B", 0x30: "1", 0x01: " "})


def _toml(rule: Mapping[str, Any]) -> str:
    lines = ["[[rule]]"]
    for key in _KEYS:
        value = rule[key]
        if isinstance(value, int):
            lines.append(f"{key} = {value}")
        elif isinstance(value, str):
            lines.append(f"{key} = {_quoted(value)}")
        else:
            every = sorted(value) if isinstance(value, frozenset) else value
            lines.append(f"{key} = [{', '.join(_quoted(text) for text in every)}]")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A TOML string: literal where it can be, so that patterns stay readable."""
    if "'" not in text and text.isprintable() and text.isascii() and "\\" in text:
        return f"'{text}'"
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


class RuleFileError(ValueError):
    """A file of proposals or rules that can't be used: names it, what is wrong, and what to do."""


def accept(proposals: str, identity: str, rules: str, name: str) -> str:
    """The text of a file of rules with the proposal of that id added. `name`: of the proposals' file, for errors.

    Raises `RuleFileError` where there is no such proposal, or it was accepted before.
    """
    try:
        entries: Any = msgspec.toml.decode(proposals.encode()).get("rule", [])
        known = {entry["id"]: entry for entry in entries}
        missing = [key for entry in entries for key in _KEYS if key not in entry]
    except (msgspec.MsgspecError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise RuleFileError(f"{name}: is no file of proposals: {error}") from error
    if missing:
        raise RuleFileError(f"{name}: a rule has no {missing[0]}: is it what `sipsieve learn judge --propose` wrote?")
    if identity not in known:
        raise RuleFileError(f"{name}: there is no proposal {identity!r}; there are: {', '.join(known) or 'none'}")
    if f'id = "{identity}"' in rules:
        raise RuleFileError(f"{identity} is in these rules already")
    head = rules.rstrip() if rules.strip() else f'family = "{FAMILY}"'
    return f"{head}\n\n{_toml(known[identity])}"
