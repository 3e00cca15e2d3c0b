"""Lays the report's charts out as plain shapes, for the template to write as SVG."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from ..census import HOUR_US
from ..operate.harmless import harmless
from ..report import Actor, Report
from . import words

#: Units of the drawing; it scales with the page.
WIDTH: Final = 960
_HEIGHT: Final = 190
_LEFT: Final = 52

#: Bars of the timeline at most: a week in hours would be too fine for a phone.
_BARS: Final = 84

#: Rows and columns of the heat map: what fits beside readable labels.
_ROWS: Final = 8
_COLUMNS: Final = 10


@dataclass(slots=True)
class Box:
    """A rectangle with the class that colours it and the text that a reader of the page hears or hovers."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    title: str = ""
    opacity: float = 1.0


@dataclass(slots=True)
class Label:
    """A text at a place."""

    x: float
    y: float
    text: str
    anchor: str = "start"
    kind: str = "axis"


@dataclass(slots=True)
class Chart:
    """A drawing."""

    title: str
    height: float
    boxes: list[Box] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    lines: list[tuple[float, float, float, float]] = field(default_factory=list)
    legend: list[tuple[str, str]] = field(default_factory=list)


def timeline(report: Report) -> Chart:
    """Messages over time, stacked by the gravest intent of their actor, on a square-root scale."""
    chart = Chart("Messages over time, by intent", _HEIGHT + 26)
    actors = [actor for actor in report.actors if actor.hours and actor.motives]
    if not actors or report.last_us <= report.first_us:
        return chart
    begin = report.first_us // HOUR_US * HOUR_US
    hours = (report.last_us - begin) // HOUR_US + 1
    step = max(1, math.ceil(hours / _BARS))
    bars = math.ceil(hours / step)
    stacks: list[Counter[str]] = [Counter() for _ in range(bars)]
    for actor in actors:
        kind = str(actor.motives[0].intent)
        for start, number in actor.hours.items():
            stacks[min(bars - 1, max(0, (start - begin) // HOUR_US // step))][kind] += number
    most = max(sum(stack.values()) for stack in stacks) or 1
    wide = (WIDTH - _LEFT) / bars
    for number in sorted(
        {0, most, *(value for value in (10, 100, 1000, 10_000, 100_000, 1_000_000) if value < most * 0.8)}
    ):
        y = 10 + (_HEIGHT - 20) * (1 - math.sqrt(number / most))
        chart.lines.append((_LEFT, y, WIDTH, y))
        chart.labels.append(Label(_LEFT - 6, y + 4, _short(number), "end"))
    for position, stack in enumerate(stacks):
        total = sum(stack.values())
        if not total:
            continue
        tall = (_HEIGHT - 20) * math.sqrt(total / most)
        top = 10 + (_HEIGHT - 20) - tall
        when = words.moment(begin + position * step * HOUR_US)
        for kind in words.INTENTS:
            if part := stack[kind]:
                share = max(1.5, tall * part / total)
                text = f"{when} UTC: {part:,} messages, {words.INTENTS[kind]}"
                chart.boxes.append(
                    Box(
                        round(_LEFT + position * wide + 0.5, 1),
                        round(top, 1),
                        round(max(1.5, wide - 1), 1),
                        round(share, 1),
                        kind,
                        text,
                    )
                )
                top += share
    days = max(1, round(bars * step / 24 / 8))
    for position in range(bars):
        when_us = begin + position * step * HOUR_US
        moment = datetime.fromtimestamp(when_us / 1e6, UTC)
        if moment.hour < step and moment.timetuple().tm_yday % days == 0 and position < bars - 2:
            chart.labels.append(Label(round(_LEFT + position * wide, 1), _HEIGHT + 8, moment.strftime("%a %d %b")))
    if not any(label.anchor == "start" for label in chart.labels):
        chart.labels.append(Label(_LEFT, _HEIGHT + 8, words.moment(begin)))
    seen = {kind for stack in stacks for kind in stack}
    chart.legend = [(kind, text) for kind, text in words.INTENTS.items() if kind in seen]
    return chart


def ranking(report: Report) -> Chart:
    """Actors by score, with the lines between the tiers."""
    actors = report.actors[:12]
    chart = Chart("Actors by score", 26 + 24 * len(actors))
    left, full = 250, WIDTH - 250 - 60
    for score, text in ((25, "medium"), (50, "high"), (75, "immediate")):
        x = left + full * score / 100
        chart.lines.append((x, 4, x, chart.height - 20))
        chart.labels.append(Label(x, chart.height - 6, f"{text} {score}", "middle"))
    for row, actor in enumerate(actors):
        y = 6 + row * 24
        who = harmless(words.name(actor), 30)
        chart.labels.append(Label(left - 8, y + 13, who, "end", "row"))
        width = max(2.0, full * actor.rank.score / 100)
        title = f"{who}: {actor.rank.score}, {actor.rank.tier}"
        chart.boxes.append(Box(left, y, round(width, 1), 17, f"tier-{actor.rank.tier}", title))
        chart.labels.append(Label(round(left + width + 6, 1), y + 13, str(actor.rank.score), "start", "row"))
    return chart


def heat(report: Report, what: str) -> Chart:
    """Actors against the source `ports` they used or the `targets` they asked for; darker is more."""
    grave = [actor for actor in report.actors if actor.rank.tier != "low"]
    actors = [actor for actor in grave or report.actors if _cells(actor, what)][:_ROWS]
    totals: Counter[str] = Counter()
    for actor in actors:
        # Each actor counts alike, so that a flood does not hide the rest.
        whole = sum(number for _, number in _cells(actor, what))
        for name, number in _cells(actor, what):
            totals[name] += 1000 * number // whole + 1
    columns = [name for name, _ in totals.most_common(_COLUMNS)]
    if what == "ports":
        columns.sort(key=int)
    chart = Chart("Source ports" if what == "ports" else "Users and numbers asked for", 40 + 26 * len(actors))
    left = 190
    wide = (WIDTH - left) / max(1, len(columns))
    for number, name in enumerate(columns):
        chart.labels.append(
            Label(round(left + (number + 0.5) * wide, 1), 14 + 14 * (number % 2), harmless(name, 15), "middle")
        )
    for row, actor in enumerate(actors):
        y = 36 + row * 26
        chart.labels.append(Label(left - 8, y + 16, harmless(words.name(actor), 24), "end", "row"))
        counts = dict(_cells(actor, what))
        for number, name in enumerate(columns):
            seen = counts.get(name, 0)
            strength = 0.12 + 0.88 * min(1.0, math.log10(seen + 1) / 3) if seen else 0.0
            text = f"{harmless(words.name(actor), 40)}, {harmless(name, 40)}: {seen:,}"
            chart.boxes.append(
                Box(
                    round(left + number * wide + 1, 1),
                    y,
                    round(wide - 2, 1),
                    22,
                    "heat" if seen else "cold",
                    text,
                    round(strength, 2) or 1.0,
                )
            )
    return chart


def _cells(actor: Actor, what: str) -> list[tuple[str, int]]:
    if what == "ports":
        return [(str(port), number) for port, number in actor.port_messages]
    return actor.target_messages


def _short(number: int) -> str:
    if number >= 1_000_000:
        return f"{number / 1e6:.1f}M"
    return f"{number / 1000:.0f}k" if number >= 10_000 else f"{number:,}"
