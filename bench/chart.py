"""Draws the bench's figures as an SVG chart: bars with their values, readable on light and dark pages."""

from __future__ import annotations

from html import escape
from typing import Final, NamedTuple

_ROW: Final = 26
_LEFT: Final = 190
_WIDTH: Final = 720
_BAR: Final = _WIDTH - _LEFT - 150

#: Colours by set-up, told apart in print and by colour-blind readers too (Okabe and Ito's palette).
_COLOURS: Final = {"bare": "#999999", "native": "#0072b2", "summary": "#009e73", "each": "#e69f00"}


class Bar(NamedTuple):
    """One bar: its label, the set-up that colours it, the value and half its spread, and a note behind it."""

    label: str
    setup: str
    value: float
    spread: float
    note: str = ""


def draw(title: str, groups: list[tuple[str, list[Bar]]], unit: str) -> str:
    """An SVG document: groups of horizontal bars on one scale that begins at 0."""
    longest = max((bar.value + bar.spread for _, bars in groups for bar in bars), default=1.0)
    rows: list[str] = []
    y = 52
    for name, bars in groups:
        rows.append(f'<text x="16" y="{y + 17}" class="group">{escape(name)}</text>')
        y += _ROW
        for bar in bars:
            width = bar.value / longest * _BAR
            spread = bar.spread / longest * _BAR
            middle = y + 11
            rows.append(
                f'<text x="{_LEFT - 8}" y="{y + 16}" text-anchor="end">{escape(bar.label)}</text>'
                f'<rect x="{_LEFT}" y="{y + 2}" width="{width:.1f}" height="18" fill="{_COLOURS[bar.setup]}"/>'
                f'<path d="M{_LEFT + width - spread:.1f} {middle}H{_LEFT + width + spread:.1f}" class="spread"/>'
                f'<text x="{_LEFT + width + spread + 6:.1f}" y="{y + 16}">{bar.value:.2f} {escape(unit)}'
                f"{escape(' · ' + bar.note) if bar.note else ''}</text>"
            )
            y += _ROW
        y += 10
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" role="img" aria-label="{escape(title)}">'
        "<style>text{font:13px sans-serif;fill:#222}.title{font-size:16px;font-weight:bold}.group{font-weight:bold}"
        ".spread{stroke:#222;stroke-width:2}"
        "@media(prefers-color-scheme:dark){text{fill:#ddd}.spread{stroke:#ddd}}</style>"
        f'<text x="16" y="28" class="title">{escape(title)}</text>' + "\n".join(rows) + "</svg>\n"
    )
