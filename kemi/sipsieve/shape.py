"""Recognises messages that differ from one found clean only in their identifiers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, Protocol

import hyperscan

from . import dialog, lane, native, necessity, structure
from .detect import detect
from .known import KnownShapes
from .message import parse
from .model import Kind, Message, Part
from .normalize import variants
from .parts import parts
from .patterns import Pattern, compile_set, derived
from .ruleset import FLAGS, Ruleset
from .sieve import METHODS

#: Shapes kept by one worker, about 1.5 KB each.
MAX_SHAPES: Final = 4096

#: Layouts tried on a message of one length; the oldest makes room.
MAX_LAYOUTS: Final = 8

#: Bytes of a header section that is learned from; calls have 400 to 4,000.
MAX_HEAD: Final = 8192

#: Learning costs some 300 µs, so a worker learns this many shapes a second (1.5 % of its time), and
#: more only after it learned less. A sender of ever new shapes gets the usual look, and no more.
LEARN_RATE: Final = 50
LEARN_BURST: Final = 500

#: Identifiers and names that change from message to message, by the last word of their field.
_VARIABLE: Final = frozenset(
    {
        "branch",
        "tag",
        "userinfo",
        "display_name",
        "nonce",
        "response",
        "cnonce",
        "nc",
        "rinstance",
        "call-id",
        "username",
        "ftag",
    }
)

#: Where a client is. Phones of one make then have one shape, wherever they stand.
_WHERE: Final = re.compile(r"(?:via|contact)(?:\[\d+\])?\.(?:host|port|received|rport)")

#: What a value with holes is made of: no space, quote, bracket, backslash, slash, equals or percent sign,
#: nothing that opens, closes or joins something in SIP or in a language that a rule knows. The narrower
#: the alphabet, the fewer rules can match.
_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_@+"

#: CSeq has a space between number and method (RFC 3261 20.16), and its method is constant in a shape.
_CSEQ_ALPHABETS: Final = tuple(b"0123456789 " + method.encode() for method in METHODS)

_CSEQ_ENDS: Final = frozenset(b" " + method.encode() for method in METHODS)

#: Words in which `normalize.variants` sees an encoding, though they are made of letters and digits.
_ENCODINGS: Final = ("0x", "b64", "base64")

_CREDENTIALS: Final = frozenset({"authorization", "proxy-authorization"})

#: A byte of a word, escaped or not, or what is asked of its surroundings.
_PIECE: Final = re.compile(r"\\b|\\[^A-Za-z0-9]|[$^]|[A-Za-z0-9 @_:/<>=;,!#%&'\"~-]")
_SURROUNDINGS: Final = frozenset({"\\b", "$", "^"})

#: Beginnings of words that the native module keeps.
_MAX_WORDS: Final = 500

_RUN: Final = re.compile(rb"[A-Za-z0-9]+")
_NUMBER: Final = re.compile(rb"[0-9]{1,9}")

#: Holes of one message; one with more is looked at the usual way.
_MAX_HOLES: Final = 48


#: Start and end in a message's bytes.
Span = tuple[int, int]


class Shape(NamedTuple):
    """What is the same in all messages of a shape."""

    kind: Kind
    method: str
    #: A status code; 0 in a request.
    status: int
    #: Bytes of first line and header section, the empty line included.
    head_end: int
    #: Whether both tags are there: the message claims to belong to a dialog.
    tagged: bool
    #: Whether it has an Authorization or Proxy-Authorization header field.
    credentials: bool


class Outline(NamedTuple):
    """Where a message is constant, and where not; all spans are (start, end) in its bytes."""

    constants: list[Span]
    #: The CSeq number first.
    holes: list[Span]
    #: The values that have holes, whole.
    values: list[Span]
    #: Whether a value with holes has a `+`, which a backend may read as a space.
    plus: bool


class Table(Protocol):
    """Keeps shapes: `known.KnownShapes`, or the compiled one of the native module."""

    def learn(
        self,
        raw: bytes,
        constants: list[Span],
        holes: list[Span],
        values: list[Span],
        plus: bool,
        shape: Shape,
        lane: object,
        /,
    ) -> None:
        """Keeps the shape of a message. `lane`: what `fastpath` needs to pass the like of it, or None."""
        ...

    def find(self, raw: bytes, /) -> Shape | None:
        """The shape of a message; None for one that has to be looked at."""
        ...

    def forget(self) -> None:
        """Begins anew, with no shape known."""
        ...


def _texts(ruleset: Ruleset) -> set[str]:
    """What a hole must not hold: encodings, the words without which no rule matches, rules that have no such word."""
    texts = set(map(re.escape, _ENCODINGS))
    for rule in ruleset.rules:
        needed = [necessity.words(rule.pattern, alphabet) for alphabet in (_ALPHABET, *_CSEQ_ALPHABETS)]
        # Words cost next to nothing to look for; a message that holds one gets the usual look.
        texts.update([rule.pattern] if None in needed else [word for some in needed for word in some or ()])
    return texts


class Shapes:
    """The shapes of messages in which the full inspection found nothing.

    A message has a known shape when everything but its holes is the same byte for byte, and the
    holes hold letters and digits only. Then its structure is that of the message that was inspected,
    and so are all values without holes; the values with holes are matched against every rule that
    can match their alphabet at all. So a known shape is as good as an inspection.
    """

    def __init__(self, ruleset: Ruleset) -> None:
        # Values are joined by line ends: MULTILINE lets ^ and $ match at theirs.
        flags = FLAGS | hyperscan.HS_FLAG_MULTILINE
        # Seconds of work, so it is done once for all processes.
        texts = derived("shape", [rule.pattern for rule in ruleset.rules], lambda: _texts(ruleset))
        self._database = compile_set([Pattern(number, text, flags) for number, text in enumerate(texts)])
        # \A and \z don't match at a joint, so a rule with one can't be asked this way.
        self._usable = not any("\\A" in text or "\\z" in text or "\\Z" in text for text in texts)
        self._ruleset = ruleset
        # For values that read differently with a space: then no word is needed that can be told beforehand.
        self._whole = compile_set([Pattern(number, rule.pattern, flags) for number, rule in enumerate(ruleset.rules)])
        self.table: Table = _table(self._database.scan, self._whole.scan, texts)
        self.forget()

    def forget(self) -> None:
        """Begins anew, with no shape known."""
        self.table.forget()
        self._credit = float(LEARN_BURST)
        self._asked = 0.0

    def find(self, raw: bytes) -> Shape | None:
        """The shape of a message; None for one that has to be looked at."""
        return self.table.find(raw)

    def learn(self, raw: bytes, now: float) -> None:
        """Remembers the shape of a message, if a full inspection finds nothing in it. `now` never steps."""
        self._credit = min(self._credit + max(now - self._asked, 0.0) * LEARN_RATE, LEARN_BURST)
        self._asked = now
        if self._credit < 1 or not self._usable:
            return
        head_end = raw.find(b"\r\n\r\n") + 4
        if head_end > MAX_HEAD:
            return
        self._credit -= 1
        message = parse(raw)
        structure.check(message, len(raw))
        outline = _outline(message, head_end)
        if head_end < 4 or message.body_start != head_end or outline is None:
            return
        # The sieve's word is not taken for it: what is learned was inspected in full.
        if message.defects or detect(message, self._ruleset):
            return
        shape = Shape(
            message.kind,
            message.method,
            message.status,
            head_end,
            bool(dialog.key(raw[:head_end])),
            any(header.name in _CREDENTIALS for header in message.headers),
        )
        self.table.learn(raw, *outline, shape, lane.of(message, shape, outline.holes))


def _table(scan: Callable[..., object], whole: Callable[..., object], texts: Iterable[str]) -> Table:
    if native.module is not None:
        table: Table = native.module.KnownShapes(scan, whole, *_literals(texts), native.SECRET, MAX_SHAPES, MAX_LAYOUTS)
        return table
    return KnownShapes(scan, whole, MAX_SHAPES, MAX_LAYOUTS)


class Words(NamedTuple):
    """The words that texts are made of: where none of them is, no text matches."""

    anywhere: list[bytes]
    #: Of two letters, that only count by themselves.
    alone: list[bytes]
    #: That only count at a value's end.
    endings: list[bytes]


def _literals(texts: Iterable[str]) -> Words:
    """The words of `texts`; none where a text is more than a word, and has to be looked for in its own way."""
    words: tuple[set[bytes], set[bytes], set[bytes]] = (set(), set(), set())
    for text in texts:
        pieces = _PIECE.findall(text)
        word = "".join(piece[-1] for piece in pieces if piece not in _SURROUNDINGS).lower()
        if sum(map(len, pieces)) != len(text) or len(word) < 2:
            return Words([], [], [])
        alone = len(word) == 2 and word.isalnum() and pieces[0] == pieces[-1] == "\\b"
        words[2 if pieces[-1] == "$" else alone].add(word.encode("ascii"))
    # More would be looked for in vain too often.
    return Words(*map(sorted, words)) if len(words[0]) <= _MAX_WORDS else Words([], [], [])


def _outline(message: Message, head_end: int) -> Outline | None:
    """Holes are the letters and digits of identifiers, names and addresses, and the CSeq number."""
    # Where a message went through many hands, what stays is told from what does not by fewer holes.
    return _outlined(message, head_end, True) or _outlined(message, head_end, False)


def _outlined(message: Message, head_end: int, places: bool) -> Outline | None:
    raw = message.raw
    holes: list[Span] = []
    values: list[Span] = []
    others: list[Part] = []
    number: Span | None = None
    for part in parts(message):
        name = part.field.rpartition(".")[2]
        if part.field == "cseq":
            match = _NUMBER.match(raw, part.start, part.end)
            if match is not None and raw[match.end() : part.end] in _CSEQ_ENDS:
                number = match.span()
                values.append((part.start, part.end))
        elif (name in _VARIABLE or (places and _WHERE.fullmatch(part.field))) and _is_plain(part):
            runs = [match.span() for match in _RUN.finditer(raw, part.start, part.end)]
            if runs:
                holes += runs
                values.append((part.start, part.end))
        else:
            others.append(part)
    values.sort()
    if number is None or len(holes) >= _MAX_HOLES or _overlap(values):
        return None
    # What is read in more ways than one is matched in all of them: such a message is looked at each time.
    if any(part.start < high and low < part.end for part in others for low, high in (number, *holes)):
        return None
    constants = []
    position = 0
    for low, high in sorted([number, *holes]):
        constants.append((position, low))
        position = high
    constants.append((position, head_end))
    return Outline(constants, [number, *holes], values, any(b"+" in raw[low:high] for low, high in values))


def _is_plain(part: Part) -> bool:
    """Whether a value is matched as it stands (and with `+` as a space), whatever letters and digits it holds."""
    value = part.value
    # A + elsewhere than in front of a number separates words, for a backend that reads it as a space.
    if value.translate(None, _ALPHABET) or part.end - part.start != len(value) or b"+" in value[1:]:
        return False
    return variants(part) in ([value], [value, value.replace(b"+", b" ")])


def _overlap(spans: Iterable[Span]) -> bool:
    position = 0
    for low, high in spans:
        if low < position:
            return True
        position = high
    return False
