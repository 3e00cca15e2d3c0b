"""Writes a report as Markdown."""

from __future__ import annotations

import re
from typing import Final

from ..operate.harmless import harmless
from ..report import Report
from . import words

#: What Markdown would act on.
_ACTIVE: Final = re.compile(r"([\\`*_{}\[\]()#+!|~-])")


def text(value: object, limit: int = 200) -> str:
    """Foreign text as plain Markdown text."""
    plain = harmless(str(value), limit).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # Viewers make links of addresses by themselves; entities keep them from it.
    return _ACTIVE.sub(r"\\\1", plain).replace("@", "&commat;").replace(":", "&colon;")


def write(report: Report) -> str:
    """The whole report."""
    lines = ["# SIP analysis", "", f"**{words.headline(report)}**", ""]
    lines += [f"{words.span(report.first_us, report.last_us)} UTC, {words.count(report.messages, 'message')}.", ""]
    if steps := words.steps(report):
        lines += ["## What to do, in this order", ""]
        for number, (action, actors) in enumerate(steps, 1):
            lines.append(f"{number}. {action} ({', '.join(text(words.name(actor)) for actor in actors[:6])})")
        lines.append("")
    lines += ["## Actors", "", "| tier | score | who | wants | campaigns | seen (UTC) | messages |"]
    lines.append("|---|---|---|---|---|---|---|")
    for actor in report.actors:
        who = text(words.name(actor)) + (" (forged)" if actor.spoofed else "")
        seen = words.span(actor.first_us, actor.last_us)
        lines.append(
            f"| {actor.rank.tier} | {actor.rank.score} | {who} | {words.wants(actor)} | {words.kinds(actor)} | {seen} | {actor.messages} |"
        )
    for actor in report.actors:
        if actor.rank.tier == "low":
            continue
        lines += ["", f"### {text(words.name(actor))}, {words.wants(actor)}", ""]
        lines.append(f"- addresses: {text(', '.join(actor.addresses), 2000)}")
        lines.append(f"- ATT&amp;CK: {words.techniques(actor)}")
        for item in actor.evidence:
            excerpt = f": {text(item.excerpt)}" if item.excerpt else ""
            lines.append(f"- {text(item.text)}, {words.count(item.messages, 'message')}{excerpt}")
    if report.indicators:
        lines += ["", "## Indicators", "", "| type | value | messages |", "|---|---|---|"]
        lines += [
            f"| {text(s.indicator.kind)} | {text(s.indicator.defanged)} | {s.messages} |" for s in report.indicators
        ]
    if limits := words.limits(report):
        lines += ["", "## What this can't show", "", *(f"- {text(item, 400)}" for item in limits)]
    return "\n".join(lines) + "\n"
