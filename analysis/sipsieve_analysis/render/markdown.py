"""Writes a report as Markdown."""

from __future__ import annotations

import re
from typing import Final

from ..narrate.narration import Narration
from ..operate.harmless import harmless
from ..ranking import Tier
from ..report import Actor, Report
from . import narrated, words

#: What Markdown would act on.
_ACTIVE: Final = re.compile(r"([\\`*_{}\[\]()#+!|~-])")


def text(value: object, limit: int = 200) -> str:
    """Foreign text as plain Markdown text."""
    plain = harmless(str(value), limit).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # Viewers make links of addresses by themselves; entities keep them from it.
    return _ACTIVE.sub(r"\\\1", plain).replace("@", "&commat;").replace(":", "&colon;")


def code(lines: str) -> list[str]:
    """Our own lines to paste, as a block that holds nothing of a sender's."""
    return ["", *(f"    {line}" for line in lines.splitlines()), ""]


def write(report: Report) -> str:
    """The whole report, in the order of the HTML page."""
    grave = [actor for actor in report.actors if actor.rank.tier is not Tier.LOW]
    tags = {actor.id: f"A{number}" for number, actor in enumerate(report.actors, 1)}
    lines = [
        *_cover(report),
        f"**{words.headline(report)}**",
        "",
        *(f"- {text(one, 400)}" for one in report.summary),
        "",
    ]
    if report.narration is not None:
        lines += _narration(report, report.narration)
    if report.unusual:
        lines += [
            "## Unusual here, and known to no rule",
            "",
            "For a person to look at; nothing follows of it by itself.",
            "",
        ]
        lines += [f"- {text(words.unusual(review), 800)}" for review in report.unusual[: words.UNUSUAL]]
        lines.append("")
    if report.advice:
        lines += ["## Recommendations, in this order", ""]
        for number, one in enumerate(report.advice, 1):
            lines += [
                f"### {number}. {text(one.title)}",
                "",
                f"{text(one.why, 600)} Because of {', '.join(tags[a] for a in one.actors[:8])}.",
                "",
            ]
            for paste in one.pastes:
                lines += [text(f"{paste.place}: {paste.note}" if paste.note else paste.place), *code(paste.lines)]
    if report.indicators:
        lines += ["## Indicators", "", "| type | value | how it was found | messages |", "|---|---|---|---|"]
        lines += [
            f"| {text(s.indicator.kind)} | {text(s.indicator.defanged)} | {text(s.how)} | {s.messages} |"
            for s in report.indicators
        ]
        lines.append("")
    if report.chronicle:
        lines += ["## Timeline", "", "| when (UTC) | who | what | messages |", "|---|---|---|---|"]
        for m in report.chronicle:
            what = "; ".join(f"{kind.replace('_', ' ')}: {why}" for kind, why in zip(m.campaigns, m.why, strict=True))
            inside = "got in. " if m.succeeded else ""
            lines.append(
                f"| {words.span(m.first_us, m.last_us)} | {tags[m.actor]} | {inside}{text(what, 400)} | {m.messages} |"
            )
        lines.append("")
    if grave:
        lines += [
            "## Before and after",
            "",
            "| sender | sent | reached the server | with the guard enforcing | of these cleaned |",
            "|---|---|---|---|---|",
        ]
        for actor in grave:
            e = actor.effect
            lines.append(
                f"| {tags[actor.id]} {text(words.name(actor))} | {e.messages} | {e.received} | {e.guarded} | {e.cleaned} |"
            )
        if report.lawful.messages:
            through = report.lawful.messages - report.lawful.refused
            lines.append(f"| nothing against them | {report.lawful.messages} | | {through} | |")
        lines.append("")
    lines += _actors(grave, tags)
    if report.noise.actors:
        kinds = "; ".join(f"{actors} x {what}" for what, actors, _ in report.noise.kinds)
        stayed = f"{words.count(report.noise.actors, 'sender')} that stayed low, with {words.count(report.noise.messages, 'message')}"
        lines += ["## Noise", "", f"{stayed}: {text(kinds, 1000)}.", ""]
    lines += ["## Method and limits", "", *(f"- {text(item, 800)}" for item in words.method(report))]
    if limits := words.limits(report):
        lines += ["", "### What this can't show", "", *(f"- {text(item, 400)}" for item in limits)]
    return "\n".join(lines) + "\n"


def _cover(report: Report) -> list[str]:
    scope = report.scope
    lines = [f"# {text(scope.title or 'SIP analysis')}", ""]
    rows = [
        ("Classification", scope.classification), ("For", scope.client), ("By", scope.author), ("Date", scope.date), ("Purpose", scope.purpose),
        ("Systems", "; ".join(scope.systems)), ("Not covered", "; ".join(scope.excluded)),
    ]  # fmt: skip
    lines += [f"- {name}: {text(value, 2000)}" for name, value in rows if value]
    return [
        *lines,
        f"- Period: {words.span(report.first_us, report.last_us)} UTC, {words.count(report.messages, 'message')}",
        "",
    ]


def _actors(actors: list[Actor], tags: dict[str, str]) -> list[str]:
    lines = ["## Attackers", ""]
    if not actors:
        return [*lines, "None above low.", ""]
    for actor in actors:
        inside = ", got in" if actor.succeeded else ""
        lines += [f"### {tags[actor.id]}: {text(words.name(actor))}{' (forged)' if actor.spoofed else ''}", ""]
        lines.append(
            f"- {actor.rank.tier}, score {actor.rank.score}{inside}; wants {words.wants(actor)}; {words.kinds(actor)}"
        )
        lines.append(f"- ATT&amp;CK: {words.techniques(actor)}")
        lines.append(f"- where from: {text(', '.join(actor.addresses) or 'no address in the log', 2000)}")
        if actor.homes:
            lines.append(f"- at home in: {text('; '.join(actor.homes), 2000)}")
        lines.append(
            f"- when: {words.span(actor.first_us, actor.last_us)} UTC, {words.count(actor.messages, 'message')}"
        )
        if actor.note:
            lines.append(f"- note: {text(actor.note, 400)}")
        for item in actor.evidence:
            excerpt = f": {text(item.excerpt)}" if item.excerpt else ""
            lines.append(f"- {text(item.text)}, {words.count(item.messages, 'message')}{excerpt}")
        lines += [f"- reached: {words.becomes(actor)}", f"- do: {text(actor.rank.action, 400)}", ""]
    return lines


def _narration(report: Report, narration: Narration) -> list[str]:
    lines = ["## In words (by a language model)", "", f"> {text(narrated.origin(narration), 600)}", ""]
    for title, sentences in narrated.parts(report, narration):
        told = []
        for sentence in sentences:
            said = "".join(
                f"\u201c{text(piece, 80)}\u201d" if foreign else text(piece, 500)
                for foreign, piece in narration.pieces(sentence)
            )
            told.append(f"{said} ({text(', '.join(sentence.evidence))})")
        lines += [f"**{text(title)}**", "", " ".join(told), ""]
    if narration.facts:
        lines += [
            "Evidence that is cited:",
            "",
            *(f"- {key}: {text(fact, 600)}" for key, fact in narration.facts.items()),
            "",
        ]
    if narration.checked.removed:
        lines += ["Removed, because the evidence does not prove it:", ""]
        lines += [
            f"- ~~{text(one.text, 300)}~~ ({text(one.part)}: {text(one.why)})" for one in narration.checked.removed
        ]
        lines.append("")
    return lines
