"""Makes text that a stranger wrote safe to show on a terminal."""

from __future__ import annotations

import unicodedata
from typing import Final

from rich.cells import cell_len, set_cell_size

#: Combining marks that may follow one letter: Vietnamese needs two; stacks of them paint over other lines.
_MARKS: Final = 2

#: Categories that move the cursor, change the direction of reading, or show nothing: controls (escape
#: sequences begin with one), formats (bidi, zero width), surrogates, private use, unassigned, line ends.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})

#: Letters and symbols that Unicode shows as nothing, or that start a cluster that terminals join.
_BLANK: Final = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f")


def harmless(text: str, cells: int = 0) -> str:
    """`text` on one line with everything that does not simply print written as `\\x1b` or `\\u202e`.

    `cells` cuts to that many columns, wide characters counted as two; 0 leaves the length.
    """
    if text.isascii() and text.isprintable():
        shown = text
    else:
        pieces: list[str] = []
        marks = 0
        for character in text:
            category = unicodedata.category(character)
            marks = marks + 1 if category in ("Mn", "Me") else 0
            if category in _UNSEEN or character in _BLANK or marks > _MARKS or (marks and not pieces):
                pieces.append(_escape(character))
            elif category == "Zs":
                # One kind of space, so that no two texts that differ look alike.
                pieces.append(" " if character == " " else _escape(character))
            else:
                pieces.append(character)
        shown = "".join(pieces)
    if cells and cell_len(shown) > cells:
        return set_cell_size(shown, cells - 1).rstrip() + "…"
    return shown


def harmless_bytes(value: bytes, cells: int = 0) -> str:
    """The same for bytes from the wire: UTF-8 where it is, `\\xNN` where it is not."""
    return harmless(value.decode("utf-8", "backslashreplace"), cells)


def _escape(character: str) -> str:
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
