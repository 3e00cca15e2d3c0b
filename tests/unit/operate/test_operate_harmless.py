"""What a stranger wrote does nothing to a terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from sipsieve_analysis.operate.harmless import harmless


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("O'Brien & Söhne", "O'Brien & Söhne"),
        ("\x1b]0;owned\x07", "\\x1b]0;owned\\x07"),
        ("a\r\nFAKE LINE", "a\\x0d\\x0aFAKE LINE"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("\x9b31m", "\\x9b31m"),
        ("\ud800", "\\ud800"),
        ("z\u0301\u0301\u0301\u0301", "z\u0301\u0301\\u0301\\u0301"),
        ("\U000e0041", "\\U000e0041"),
        ("田中", "田中"),
    ],
)
def test_only_what_prints_is_printed(text: str, shown: str) -> None:
    assert harmless(text) == shown


@given(st.text(max_size=300), st.integers(2, 80))
def test_any_text_stays_on_its_line_and_in_its_columns(text: str, cells: int) -> None:
    shown = harmless(text, cells)
    assert cell_len(shown) <= cells
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in shown)
