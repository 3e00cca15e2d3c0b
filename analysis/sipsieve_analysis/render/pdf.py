"""Writes a report as PDF: the same page as the HTML report, laid out for paper."""

from __future__ import annotations

import sys
from typing import Any

from ..report import Report
from . import html


class PdfError(Exception):
    """No PDF can be made here: says what to install."""


def _engine() -> Any:
    try:
        import weasyprint
    except ImportError as error:
        raise PdfError(
            f"WeasyPrint can't be loaded ({error}); install it with: {sys.executable} -m pip install 'weasyprint>=63'"
        ) from error
    except OSError as error:
        raise PdfError(
            "WeasyPrint does not find Pango, which draws the text; on Debian: apt install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
        ) from error
    return weasyprint


def check() -> None:
    """Raises `PdfError` where no PDF can be made, before the work is done."""
    _engine()


def write(report: Report) -> bytes:
    """The whole document. Nothing is fetched, whatever the page should name. Raises `PdfError`."""
    engine = _engine()

    def refuse(address: str, *_: object, **__: object) -> Any:
        raise ValueError(f"a report loads nothing: {address[:80]}")

    made: bytes = engine.HTML(string=html.write(report), url_fetcher=refuse).write_pdf()
    return made
