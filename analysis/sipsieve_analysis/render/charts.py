"""Lays the report's charts out as plain shapes, for the template to write as SVG.

Each chart is laid out for a width in CSS pixels, at which its texts have their true size: once for paper and
screens, once for a phone. Nothing is scaled until it can't be read, and nothing has to be scrolled.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from ..census import HOUR_US
from ..operate.harmless import harmless
from ..ranking import Tier
from ..report import Actor, Report
from . import words

#: Widths that charts are drawn for: a page of paper or a screen, and a phone of 390 pixels without its margins.
WIDE: Final = 700
NARROW: Final = 334

#: Colours for paper, and for whoever applies no style sheet to drawings; the style sheet has the same names.
COLOURS: Final = {
    "remote_code_execution": "#b3161f", "credential_theft": "#6d4bb8", "data_tampering": "#b23a84", "toll_fraud": "#c2510c",
    "denial_of_service": "#1f6fb2", "reconnaissance": "#6f8a3a", "before": "#8a8f98", "after": "#1f6fb2", "heat": "#1f6fb2",
    "cold": "#eceae5",
}  # fmt: skip

#: A letter's width at the 11 pixels of an axis: the widest common sans serif, so that nothing overlaps in others.
_LETTER: Final = 6.4

#: Rows and columns of a heat map, and actors of the comparison.
_ROWS: Final = 8
_COLUMNS: Final = 6
_ACTORS: Final = 8


@dataclass(slots=True)
class Box:
    """A rectangle with the name of its colour and the text that a reader of the page hovers."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    title: str = ""
    opacity: float = 1.0


@dataclass(slots=True)
class Label:
    """A text at a place. `anchor` as SVG has it; `kind` is axis (soft) or row (ink)."""

    x: float
    y: float
    text: str
    anchor: str = "start"
    kind: str = "axis"


@dataclass(slots=True)
class Chart:
    """A drawing of `width` by `height` pixels. `told` says in words what it shows."""

    title: str
    width: int
    height: float
    told: str = ""
    boxes: list[Box] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    lines: list[tuple[float, float, float, float]] = field(default_factory=list)
    legend: list[tuple[str, str]] = field(default_factory=list)


def both(draw: Callable[[Report, int], Chart], report: Report) -> list[tuple[str, Chart]]:
    """A chart for wide and for narrow pages, with the name of the class that shows it; none where it is empty."""
    wide = draw(report, WIDE)
    return [("wide", wide), ("narrow", draw(report, NARROW))] if wide.boxes else []


def timeline(report: Report, width: int) -> Chart:
    """Messages over time, stacked by the gravest intent of their actor, on a square-root scale."""
    high, bottom, left = 150, 20, 40
    chart = Chart("Messages over time, by intent", width, high + bottom)
    actors = [actor for actor in report.actors if actor.hours and actor.motives]
    if not actors or report.last_us <= report.first_us:
        return chart
    begin = report.first_us // HOUR_US * HOUR_US
    hours = (report.last_us - begin) // HOUR_US + 1
    step = max(1, math.ceil(hours / (width // 8)))
    bars = math.ceil(hours / step)
    stacks: list[Counter[str]] = [Counter() for _ in range(bars)]
    for actor in actors:
        kind = str(actor.motives[0].intent)
        for start, number in actor.hours.items():
            stacks[min(bars - 1, max(0, (start - begin) // HOUR_US // step))][kind] += number
    most = max(sum(stack.values()) for stack in stacks) or 1
    _scale(chart, most, left, high)
    wide = (width - left) / bars
    for position, stack in enumerate(stacks):
        total = sum(stack.values())
        tall = (high - 16) * math.sqrt(total / most)
        top = high - tall
        when = words.moment(begin + position * step * HOUR_US)
        for kind in words.INTENTS:
            if part := stack[kind]:
                share = max(1.5, tall * part / total)
                text = f"{when} UTC: {words.count(part, 'message')}, {words.INTENTS[kind]}"
                x = round(left + position * wide + 0.5, 1)
                chart.boxes.append(Box(x, round(top, 1), round(max(1.5, wide - 1), 1), round(share, 1), kind, text))
                top += share
    _days(chart, begin, step, bars, left, high)
    seen = {kind for stack in stacks for kind in stack}
    chart.legend = [(kind, text) for kind, text in words.INTENTS.items() if kind in seen]
    busiest = max(range(bars), key=lambda position: sum(stacks[position].values()))
    chart.told = (
        f"{words.count(bars, 'bar')} of {words.count(step, 'hour')}; the tallest, with {words.count(most, 'message')}, begins at "
        f"{words.moment(begin + busiest * step * HOUR_US)} UTC. The scale is a square root."
    )
    return chart


def _scale(chart: Chart, most: int, left: int, high: int) -> None:
    """Lines at round numbers, the highest bar's first, none nearer to another than a line of text."""
    taken: list[float] = []
    for number in (most, 0, *(10**power for power in range(7, 0, -1))):
        y = high - (high - 16) * math.sqrt(number / most)
        if number <= most and all(abs(y - other) >= 15 for other in taken):
            taken.append(y)
            chart.lines.append((left, round(y, 1), chart.width, round(y, 1)))
            chart.labels.append(Label(left - 6, round(y + 4, 1), _short(number), "end"))


def _days(chart: Chart, begin: int, step: int, bars: int, left: int, high: int) -> None:
    """A label at the first bar of each day that has room for it."""
    free, before = 0.0, ""
    wide = (chart.width - left) / bars
    for position in range(bars):
        moment = datetime.fromtimestamp((begin + position * step * HOUR_US) / 1e6, UTC)
        text = moment.strftime("%d %b")
        x = left + position * wide
        if text != before and x >= free and x + len(text) * _LETTER <= chart.width:
            chart.labels.append(Label(round(x, 1), high + 15, text))
            chart.lines.append((round(x, 1), high, round(x, 1), high + 5))
            free = x + len(text) * _LETTER + 10
        before = text


def comparison(report: Report, width: int) -> Chart:
    """Of each attacker's messages, and of the lawful ones, the share that the guard lets through."""
    rows = [
        (
            f"{words.tag(report, actor)} {words.name(actor)}",
            actor.effect.messages,
            actor.effect.messages - actor.effect.guarded,
        )
        for actor in report.actors
        if actor.rank.tier is not Tier.LOW and actor.effect.messages
    ][:_ACTORS]
    chart = Chart("Messages sent, and let through by the guard", width, 0)
    if not rows:
        return chart
    if report.lawful.messages:
        rows.append(("nothing against them", report.lawful.messages, report.lawful.refused))
    narrow = width < 500
    left, tall = (0, 56) if narrow else (180, 38)
    full = width - left - 70
    for row, (name, messages, refused) in enumerate(rows):
        y = row * tall + (16 if narrow else 0)
        if narrow:
            chart.labels.append(Label(0, y - 3, harmless(name, 44), "start", "row"))
        else:
            chart.labels.append(Label(left - 10, y + 18, harmless(name, 26), "end", "row"))
        for line, (kind, number) in enumerate((("before", messages), ("after", messages - refused))):
            long = round(max(2.0, full * number / messages), 1)
            said = "sent" if kind == "before" else "with the guard enforcing"
            chart.boxes.append(Box(left, y + line * 15, long, 13, kind, f"{harmless(name, 40)}, {said}: {number:,}"))
            chart.labels.append(Label(left + long + 6, y + line * 15 + 11, f"{number:,}", "start", "row"))
    chart.height = len(rows) * tall + (4 if narrow else 0)
    chart.legend = [("before", "sent"), ("after", "with the guard enforcing")]
    chart.told = "Each bar is a share of what its sender sent; the table has the numbers, and what reached the server."
    return chart


def ports(report: Report, width: int) -> Chart:
    """Source ports by actor."""
    return _heat(report, width, "Source ports", lambda actor: [(str(p), n) for p, n in actor.port_messages])


def targets(report: Report, width: int) -> Chart:
    """Users and numbers asked for, by actor."""
    return _heat(report, width, "Users and numbers asked for", lambda actor: actor.target_messages)


def _heat(report: Report, width: int, title: str, cells: Callable[[Actor], list[tuple[str, int]]]) -> Chart:
    """A row for each of the most frequent, a column for each actor; what is forged says nothing and is left out."""
    actors = [a for a in report.actors if a.rank.tier is not Tier.LOW and not a.spoofed and cells(a)][:_COLUMNS]
    totals: Counter[str] = Counter()
    for actor in actors:
        # Each actor counts alike, so that a flood does not hide the rest.
        whole = sum(number for _, number in cells(actor))
        for name, number in cells(actor):
            totals[name] += 1000 * number // whole + 1
    names = [name for name, _ in totals.most_common(_ROWS)]
    if title == "Source ports":
        names.sort(key=int)
    left, tall, top = 128, 22, 20
    chart = Chart(title, width, top + tall * len(names))
    wide = (width - left) / max(1, len(actors))
    for column, actor in enumerate(actors):
        x = left + column * wide
        chart.labels.append(Label(round(x + wide / 2, 1), 13, words.tag(report, actor), "middle", "row"))
        counts = dict(cells(actor))
        for row, name in enumerate(names):
            seen = counts.get(name, 0)
            y = top + row * tall
            text = f"{words.tag(report, actor)}, {harmless(name, 40)}: {seen:,}"
            # The number stands on it, so the darkest stays light enough to read ink on.
            strength = 0.1 + 0.35 * min(1.0, math.log10(seen + 1) / 3) if seen else 1.0
            kind = "heat" if seen else "cold"
            chart.boxes.append(
                Box(round(x + 1, 1), y + 1, round(wide - 2, 1), tall - 2, kind, text, round(strength, 2))
            )
            if seen:
                chart.labels.append(Label(round(x + wide / 2, 1), y + 15, _short(seen), "middle", "row"))
    for row, name in enumerate(names):
        chart.labels.append(Label(left - 8, top + row * tall + 15, harmless(name, 18), "end", "row"))
    chart.told = f"Messages by {title.lower()} and attacker; {words.count(len(names), 'row')}, the most frequent."
    return chart


def _short(number: int) -> str:
    if number >= 1_000_000:
        return f"{number / 1e6:.1f}M"
    return f"{number / 1000:.0f}k" if number >= 10_000 else f"{number:,}"
