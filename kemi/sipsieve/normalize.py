"""Named transforms that undo what hides a payload from a pattern."""

from __future__ import annotations

import base64
import functools
import html
import re
import unicodedata
from collections.abc import Callable
from typing import Final

from .model import Part, PartKind

#: Rounds of decoding. `%25252e` needs three; what is packed deeper no backend unpacks.
MAX_ROUNDS: Final = 4

_DIGITS: Final = "0123456789abcdefABCDEF"
_PERCENT: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_PERCENT_U: Final = re.compile(rb"%u([0-9A-Fa-f]{4})", re.I)
#: Stands for a backslash while others are removed.
_BACKSLASH: Final = b"\x00\xfe\x00"
_ESCAPE: Final = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|u\{([0-9A-Fa-f]{1,6})\}|([0-3][0-7]{2}))")
# Before a letter that may be a digit too ("0x2fetc"), but not at the head of a longer number, as identifiers are.
_HEX_BYTE: Final = re.compile(rb"0x(2[0-9a-f]|5c|3[a-f])(?![0-9a-f])|0x(2e|2f|5c(?!0(?!x)))(?![0-9a-f]{4})", re.I)
_NO_SPACE: Final = bytes(byte for byte in range(256) if byte not in b"\t\r\n\x0b\x0c\xa0")
_SPACES: Final = re.compile(rb"[ \t\r\n\x0b\x0c\xa0]+")
_COMMENT_MARK: Final = re.compile(rb"/\*!\d*|/\*|\*/")
_OTHER_MARK: Final = re.compile(rb"/\*!\d*|\*/")
_ENTITY: Final = re.compile(rb"&(?:#x?[0-9a-f]{1,8};?|[a-z]{2,24};|(?:lt|gt|amp|quot)\b)", re.I)
_OVERLONG: Final = re.compile(
    rb"[\xc0\xc1][\x00-\xff]|\xe0[\x80-\x9f][\x80-\xbf]|\xf0\x80[\x80-\xbf][\x80-\xbf]"
    rb"|\xf8\x80\x80[\x80-\xbf][\x80-\xbf]|\xfc\x80\x80\x80[\x80-\xbf][\x80-\xbf]"
)
_SHELL_SPACE: Final = re.compile(rb"\$\{?IFS\}?(?:\$\d|%%?[^}]{0,4}\})?", re.I)
_SHELL_EMPTY: Final = re.compile(rb"\$\{[0-9@*]\}|\$[0-9@*]")
_SHELL_QUOTES: Final = b"'\"`\\^"
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]{12,}={0,2}")
_BASE64_NAMED: Final = re.compile(rb"base64|b64", re.I)
#: Without one of these a value has no layer of encoding.
_ENCODED: Final = re.compile(rb"[%&\\\x80-\xff]")


def _accents(first: int, end: int) -> str:
    return "".join(chr(code) for code in range(first, end) if unicodedata.combining(chr(code)))


# What nobody sees, and accents. A class with characters beyond the basic plane is many times slower, so those have
# one of their own.
_UNSEEN: Final = re.compile(
    f"[{_accents(0x300, 0x10000)}\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb]"
)
_UNSEEN_BEYOND: Final = re.compile(f"[\U000e0000-\U000e01ef{_accents(0x10000, 0x20000)}]")
_BEYOND: Final = re.compile("[\U00010000-\U0010ffff]")

#: Characters that read like an ASCII one and that NFKC leaves alone.
_LOOKALIKES: Final = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′ʹʻʼʽˈ＇´‵", "'"),
        **dict.fromkeys("“”„‟″«»ʺ˝", '"'),
        **dict.fromkeys("‐‑‒–—―−﹣", "-"),
        **dict.fromkeys("∕⁄⧸╱", "/"),
        **dict.fromkeys("∖⧵﹨╲", "\\"),
        **dict.fromkeys("‹〈⟨˂", "<"),
        **dict.fromkeys("›〉⟩˃", ">"),
        **dict.fromkeys("꞉׃∶", ":"),
        **dict.fromkeys("․‧", "."),
        **dict.fromkeys("ǀ∣│", "|"),
        **dict.fromkeys("аɑα", "a"), **dict.fromkeys("еҽ", "e"), **dict.fromkeys("оοօ", "o"),
        **dict.fromkeys("ср", "c"), "р": "p", "х": "x", "у": "y", "і": "i", "ı": "i", "ѕ": "s", "ԁ": "d",
        "һ": "h", "ո": "n", "ⅼ": "l", "ց": "g", "ʟ": "l", "ʀ": "r", "ᴛ": "t", "ᴜ": "u", "ɴ": "n", "ʙ": "b",
        "А": "A", "В": "B", "Е": "E", "К": "K", "М": "M", "Н": "H", "О": "O", "Р": "P", "С": "C", "Т": "T",
        "Х": "X", "У": "Y", "Ѕ": "S", "І": "I", "Ј": "J", "Α": "A", "Β": "B", "Ε": "E", "Η": "H", "Ι": "I",
        # Ligatures of eight and eighteen Arabic letters, of which nothing else is made.
        "ﷺ": "ص", "ﷻ": "ج",
        "Κ": "K", "Μ": "M", "Ν": "N", "Ο": "O", "Ρ": "P", "Τ": "T", "Υ": "Y", "Χ": "X", "Ζ": "Z", "ſ": "s",
    }
)  # fmt: skip


def percent(value: bytes) -> bytes:
    """`%41` becomes `A` (RFC 3261 19.1.2, escaped = "%" HEXDIG HEXDIG)."""
    return _PERCENT.sub(_byte, value) if b"%" in value else value


#: Two hexadecimal digits → the byte that they mean.
_BYTES: Final = {(a + b).encode(): bytes((int(a + b, 16),)) for a in _DIGITS for b in _DIGITS}


def _byte(match: re.Match[bytes]) -> bytes:
    return _BYTES[match[1]]


def percent_u(value: bytes) -> bytes:
    """`%u0041` becomes `A`, as Microsoft's servers read it."""
    return _PERCENT_U.sub(lambda m: _utf8(int(m[1], 16)), value) if b"%u" in value or b"%U" in value else value


def _utf8(code: int) -> bytes:
    return chr(code).encode("utf-8", "surrogatepass") if code < 0x110000 else b""


def quoted_pair(value: bytes) -> bytes:
    """`\\"` becomes `"` (RFC 3261 25.1, quoted-pair)."""
    if b"\\" not in value:
        return value
    return value.replace(b"\\\\", _BACKSLASH).replace(b"\\", b"").replace(_BACKSLASH, b"\\")


def unfold(value: bytes) -> bytes:
    """A fold, with the space round it, becomes one space (RFC 3261 7.3.1)."""
    if b"\n" not in value:
        return value
    first, *lines = value.split(b"\n")
    pieces = [first]
    for line in lines:
        if line.startswith((b" ", b"\t")):
            pieces[-1] = pieces[-1].removesuffix(b"\r").rstrip(b" \t")
            pieces += (b" ", line.lstrip(b" \t"))
        else:
            pieces += (b"\n", line)
    return b"".join(pieces)


def escapes(value: bytes) -> bytes:
    """`\\x41`, `\\u0041` and `\\101` become `A`, as scripting languages read them."""
    if b"\\" not in value:
        return value

    def decoded(match: re.Match[bytes]) -> bytes:
        if match[1]:
            return _BYTES[match[1]]
        if match[4]:
            return bytes((int(match[4], 8) & 0xFF,))
        return _utf8(int(match[2] or match[3], 16))

    return _ESCAPE.sub(decoded, value)


def hex_bytes(value: bytes) -> bytes:
    """`0x2e` becomes `.`; only for the punctuation that paths and markup are made of."""
    return _HEX_BYTE.sub(lambda m: _BYTES[m[1] or m[2]], value) if b"0x" in value or b"0X" in value else value


def entities(value: bytes) -> bytes:
    """`&lt;` and `&#x3c;` become `<`, as browsers read them."""
    if b"&" not in value:
        return value
    return _ENTITY.sub(lambda m: _entity(m[0]), value)


@functools.lru_cache(maxsize=1024)
def _entity(text: bytes) -> bytes:
    return html.unescape(text.decode("ascii")).encode("utf-8", "surrogatepass")


def overlong(value: bytes) -> bytes:
    """UTF-8 in more bytes than needed becomes the ASCII character that lax decoders make of it."""
    return value if value.isascii() else _OVERLONG.sub(lambda m: _shortened(m[0]), value)


@functools.lru_cache(maxsize=4096)
def _shortened(character: bytes) -> bytes:
    # Six bits of the last byte, one of the byte before it.
    return bytes((((character[-2] & 0x01) << 6) | (character[-1] & 0x3F),))


def plain_unicode(value: bytes) -> bytes:
    """Full-width and compatibility forms, look-alikes and typographic quotes become ASCII; invisible
    characters and accents go. Bytes that are not UTF-8 stay."""
    if value.isascii():
        return value
    text = value.decode("utf-8", "surrogateescape")
    text = unicodedata.normalize("NFKD", text.translate(_LOOKALIKES)).translate(_LOOKALIKES)
    text = _UNSEEN.sub("", text)
    if _BEYOND.search(text):
        text = _UNSEEN_BEYOND.sub("", text)
    return text.encode("utf-8", "surrogateescape")


def comments(value: bytes) -> bytes:
    """An SQL comment becomes one space, as databases read it; MySQL's `/*! … */` leaves what it holds."""
    return _without_comments(value, b" ") if b"*" in value else value


def _without_comments(value: bytes, instead: bytes) -> bytes:
    pieces: list[bytes] = []
    kept = position = 0
    marks = _COMMENT_MARK
    while mark := marks.search(value, position):
        start, position = mark.span()
        if mark[0] == b"/*":
            close = value.find(b"*/", position)
            if close < 0:
                # Where one is not closed none behind it is: looked for once, not from each.
                marks, position = _OTHER_MARK, start + 1
                continue
            position = close + 2
        pieces += (value[kept:start], instead)
        kept = position
    return b"".join((*pieces, value[kept:]))


def spaces(value: bytes) -> bytes:
    """Any run of white space becomes one space."""
    return _SPACES.sub(b" ", value) if b"  " in value or value.translate(None, _NO_SPACE) else value


def plus(value: bytes) -> bytes:
    """`+` becomes a space, as form decoders read it."""
    return value.replace(b"+", b" ")


def shell_noise(value: bytes) -> bytes:
    """Quotes, escapes, carets and `$@` vanish and `${IFS}` is a space, as in a shell."""
    if b"$" in value:
        value = _SHELL_EMPTY.sub(b"", _SHELL_SPACE.sub(b" ", value))
    return value.translate(None, _SHELL_QUOTES)


def no_controls(value: bytes) -> bytes:
    """NUL and other control bytes vanish, as parsers that skip them read it."""
    return value.translate(
        None,
        b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x7f",
    )


def unbase64(value: bytes) -> bytes:
    """The texts that stand in base64 in a value, one to a line; b"" where there is none."""
    found = []
    for match in _BASE64.finditer(value):
        word = match[0].rstrip(b"=")
        try:
            text = base64.b64decode(word + b"=" * (-len(word) % 4))
        except ValueError:
            continue
        if sum(0x20 <= byte < 0x7F for byte in text) >= 0.95 * len(text):
            found.append(text)
    return b"\n".join(found)


#: One round of decoding, outermost layer first.
_DECODERS: Final[tuple[Callable[[bytes], bytes], ...]] = (percent_u, percent, entities, escapes, overlong)


def decode(value: bytes) -> bytes:
    """Undoes layers of encoding until nothing changes, `MAX_ROUNDS` at the most."""
    for _ in range(MAX_ROUNDS):
        before = value
        for decoder in _DECODERS:
            value = decoder(value)
        if value == before:
            break
    return value


#: Bytes that no transform changes by themselves.
_PLAIN: Final = bytes(byte for byte in range(0x20, 0x7F) if byte not in b"\"%&'*+\\^`")
#: And what it takes several of.
_PLAIN_NEEDED: Final = re.compile(rb"\$[{Ii@*0-9]|0[xX]|  ")


def needs_decoding(part: Part) -> bool:
    """Whether a part's value can be read in more than one way."""
    value = part.value
    return part.kind is not PartKind.NAME and (
        value.translate(None, _PLAIN) != b"" or _PLAIN_NEEDED.search(value) is not None
    )


def is_encoded(value: bytes) -> bool:
    """Whether a value may have layers of encoding, each of which costs a round."""
    return _ENCODED.search(value) is not None


def variants(part: Part, *, needed: bool | None = None) -> list[bytes]:
    """The forms of a part's value to match, without repeats: as sent, and as a backend may come to read it.

    `needed` is what `needs_decoding` says, where that is known.
    """
    value = part.value
    if needed is False or (needed is None and not needs_decoding(part)):
        return [value]
    value = unfold(value)
    # A dict keeps the order and drops repeats.
    forms: dict[bytes, None] = {value: None}
    starts: tuple[bytes, ...] = (value,)
    if b"\\" in value:
        unquoted = quoted_pair(value)
        starts = (unquoted, value) if part.quoted or b'"' in value else (value, unquoted)
    for start in starts:
        forms[start] = None
        plain = start
        if _ENCODED.search(start):
            decoded = decode(start)
            if decoded != start:
                # A per cent sign that was an entity or escape may open a directive, which the next round takes apart.
                forms[percent(start)] = forms[escapes(entities(start))] = forms[decoded] = None
            plain = decoded
            if not decoded.isascii():
                plain = plain_unicode(decoded)
                if plain != decoded:
                    # What was folded may be an escape itself.
                    forms[plain] = None
                    plain = decode(plain)
            forms[plain] = None
        forms[no_controls(plain)] = None
        if b"0x" in plain or b"0X" in plain:
            forms[hex_bytes(plain)] = None
        quiet = spaces(comments(plain))
        forms[quiet] = None
        if b"/*" in plain:
            forms[_without_comments(plain, b"")] = None
        if b"+" in quiet:
            forms[plus(quiet)] = None
        forms[shell_noise(quiet)] = None
        if b"64" in plain and _BASE64_NAMED.search(plain):
            forms[unbase64(plain)] = None
    return list(forms)
