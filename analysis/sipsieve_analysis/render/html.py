"""Writes a report as one HTML file that loads and runs nothing."""

from __future__ import annotations

import base64
import hashlib
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

import sipsieve

from ..attack import ATTACK_VERSION
from ..operate.harmless import harmless
from ..ranking import Tier
from ..report import Report
from . import charts, narrated, words

#: Attackers, events and indicators shown; the appendix and the JSON report have them all.
_ROWS: Final = 200
_EVENTS: Final = 60
_ACTORS: Final = 100


def write(report: Report) -> str:
    """The whole page."""
    environment = Environment(
        loader=PackageLoader("sipsieve_analysis", "render"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["harmless"] = lambda text, cells=0: harmless(str(text), cells)
    environment.filters["moment"] = words.moment
    style = environment.get_template("report.css.j2").render()
    grave = [actor for actor in report.actors if actor.rank.tier is not Tier.LOW]
    # The one style sheet is allowed by its hash: no other, and no style attribute, has any effect.
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return environment.get_template("report.html.j2").render(
        report=report,
        words=words,
        narrated=narrated,
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
        # The style sheet is ours, whole.
        style=Markup(style),
        colours=charts.COLOURS,
        timeline=charts.both(charts.timeline, report),
        comparison=charts.both(charts.comparison, report),
        heats=[pair for draw in (charts.ports, charts.targets) if (pair := charts.both(draw, report))],
        version=sipsieve.__version__,
        attack_version=ATTACK_VERSION,
        grave=grave[:_ACTORS],
        more=max(0, len(grave) - _ACTORS),
        chronicle=report.chronicle[:_EVENTS],
        indicators=report.indicators[:_ROWS],
    )
