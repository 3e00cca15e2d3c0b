"""Draws a report on a terminal."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..operate.harmless import harmless
from ..report import Actor, Report
from . import words

_STYLES: Final = {"immediate": "bold white on red", "high": "bold red", "medium": "yellow", "low": "dim"}

#: Low actors shown without --all, and how many get their details.
_LOW: Final = 8
_DETAILS: Final = 6

#: Reviews of what is unusual that are shown.
_UNUSUAL: Final = 10

#: Columns from which on there is room for the last column.
_WIDE: Final = 110


def draw(report: Report, console: Console, everything: bool = False) -> None:
    """Prints the report: headline, ranking, what to do, details of the gravest, what can't be seen."""
    console.print()
    console.print(Text(words.headline(report), style="bold"))
    kinds = ", ".join(f"{words.count(number, 'record')} from a {kind}" for kind, number in report.records.items())
    console.print(
        Text(
            f"{words.span(report.first_us, report.last_us)} UTC, {words.count(report.messages, 'message')}; {kinds}",
            style="dim",
        )
    )
    grave = [actor for actor in report.actors if actor.rank.tier != "low"]
    shown = report.actors if everything else [*grave[:20], *[a for a in report.actors if a.rank.tier == "low"][:_LOW]]
    if shown:
        console.print()
        console.print(_ranking(shown, console.width >= _WIDE))
    if (hidden := len(report.actors) - len(shown)) > 0:
        console.print(Text(f"{hidden:,} more further down; --all shows them", style="dim"))
    if steps := words.steps(report):
        _heading("What to do, in this order", console)
        for number, (action, actors) in enumerate(steps, 1):
            who = ", ".join(harmless(words.name(actor), 60) for actor in actors[:4])
            _item(Text.assemble((f"{number}. ", "bold"), action, (f"  ({who})", "dim")), console)
    for actor in [actor for actor in shown if actor.rank.tier in ("immediate", "high")][:_DETAILS]:
        _details(actor, console)
    if named := [sighting for sighting in report.indicators if sighting.indicator.kind != "source"][:10]:
        _heading("Indicators", console)
        for sighting in named:
            _item(Text(f"{sighting.indicator.kind:<10} {harmless(sighting.indicator.defanged, 100)}"), console)
    if report.unusual:
        _heading("Unusual here, and known to no rule (for a person to look at)", console)
        for review in report.unusual[:_UNUSUAL]:
            _item(Text(harmless(words.unusual(review), 600)), console)
    if limits := words.limits(report):
        _heading("What this can't show", console)
        for text in limits:
            _item(Text(harmless(text), style="dim"), console)
    console.print(Text(f"{words.count(report.quiet_sources, 'other source')} with nothing against it.", style="dim"))


def _heading(text: str, console: Console) -> None:
    console.print()
    console.print(Text(text, style="bold"))


def _item(text: Text, console: Console) -> None:
    console.print(Padding(text, (0, 0, 0, 2)))


def _ranking(actors: list[Actor], wide: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", show_edge=False)
    for column in ("tier", "score", "who", "wants", "how", "from (UTC)", "to")[: 7 if wide else 6]:
        table.add_column(
            column,
            justify="right" if column == "score" else "left",
            no_wrap=column not in ("wants", "how"),
            ratio=1 if column in ("wants", "how") else None,
        )
    for actor in actors:
        who = Text(harmless(words.name(actor), 40))
        if actor.spoofed:
            who.append(" (forged)", style="italic dim")
        row: list[str | Text] = [
            Text(f" {actor.rank.tier} ", style=_STYLES[actor.rank.tier]),
            str(actor.rank.score),
            who,
            words.wants(actor),
            words.kinds(actor) or Text(harmless(actor.note, 48), style="dim"),
            words.moment(actor.first_us)[5:],
            words.moment(actor.last_us)[5:],
        ]
        table.add_row(*row[: 7 if wide else 6])
    return table


def _details(actor: Actor, console: Console) -> None:
    console.print()
    title = ((f" {actor.rank.tier} ", _STYLES[actor.rank.tier]), " ", (harmless(words.name(actor), 60), "bold"))
    console.print(Text.assemble(*title, f"  {words.wants(actor)}"))
    rows = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 2))
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column(overflow="fold")
    parts = " + ".join(f"{words.PARTS.get(name, name)} {value}" for name, value in actor.rank.parts.items() if value)
    rows.add_row("score", f"{actor.rank.score} = {parts}")
    rows.add_row("ATT&CK", words.techniques(actor))
    if len(actor.addresses) > 1:
        rows.add_row("addresses", Text(harmless(", ".join(actor.addresses[:12]), 400)))
    if actor.homes:
        rows.add_row("at home in", Text(harmless("; ".join(actor.homes), 400)))
    if actor.links:
        rows.add_row(
            "joined by",
            Text("; ".join(f"{k}: {harmless(v, 60)}" if v else k for k, v in list(actor.links.items())[:4])),
        )
    methods = ", ".join(f"{harmless(method, 16)} {number:,}" for method, number in actor.methods.items())
    rows.add_row(
        "volume",
        Text(
            f"{words.count(actor.messages, 'message')} over {words.count(actor.port_count, 'source port')}: {methods}"
        ),
    )
    if actor.tools:
        rows.add_row("tools", Text(harmless(", ".join(actor.tools[:5]), 160)))
    for item in actor.evidence[:6]:
        text = Text(item.text if item.kind == "campaign" else f"{harmless(item.text, 80)}, {item.messages:,} times")
        if item.excerpt:
            text.append(f"  {harmless(item.excerpt, 120)}", style="cyan")
        if item.received:
            text.append(f"  reached the backend {item.received:,} times", style="red")
        rows.add_row("evidence", text)
    if actor.note:
        rows.add_row("note", Text(harmless(actor.note, 200)))
    console.print(rows)
