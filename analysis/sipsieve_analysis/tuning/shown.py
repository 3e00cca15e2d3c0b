"""Writes a backtest for the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..operate.harmless import harmless
from .backtest import CHANGES, Backtest, Example, Row
from .thin import Note
from .trials import ALLOW, BANNED, BLOCK, SCRUB


def when(time: float) -> str:
    """A time of day in UTC, to the second; "-" for none."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%S") if time else "-"


def draw(backtest: Backtest, thin: Iterable[Note], console: Console, top: int) -> None:
    """The whole report."""
    console.print(Text(f"{backtest.messages:,} messages, {when(backtest.first)} to {when(backtest.last)}"))
    table = Table("", "passed", "scrubbed", "blocked", "dropped while banned", "bans", box=None, pad_edge=False)
    for side in (backtest.before, backtest.after):
        numbers = (*(side.effects[effect] for effect in (ALLOW, SCRUB, BLOCK, BANNED)), side.bans)
        table.add_row(side.name, *(f"{number:,}" for number in numbers))
    console.print(table)
    rows = backtest.changed()
    if not rows:
        console.print(Text("nothing changes"))
    else:
        _sources(rows, console, top)
        _examples(rows, console)
        for what, counts in (("rule", backtest.rules), ("field", backtest.fields)):
            _counts(what, counts, console, top)
        _networks(backtest.networks(), console, top)
        _bans(rows, console, top)
    _thin(thin, console)


def _sources(rows: list[Row], console: Console, top: int) -> None:
    console.print()
    table = Table(
        "source", "standing", "newly blocked", "newly scrubbed", "newly allowed", "rules", box=None, pad_edge=False
    )  # fmt: skip
    for row in rows[:top]:
        standing = ", ".join(filter(None, ("trusted" if row.trusted else "", row.standing.why)))
        changes = (row.changes[change] for change in CHANGES[:3])
        table.add_row(
            Text(harmless(row.ip, 45)), standing or "-", *(f"{number:,}" for number in changes), Text(_some(row.rules))
        )
    console.print(table)
    if len(rows) > top:
        console.print(Text(f"and {len(rows) - top:,} more sources"))


def _examples(rows: list[Row], console: Console) -> None:
    """Of the sources that matter most, one message each."""
    shown = [row for row in rows if row.examples][:5]
    if shown:
        console.print()
        console.print(Text("for example"))
    for row in shown:
        console.print(Text(f"  {_example(row.ip, row.examples[0])}"), soft_wrap=True)


def _example(ip: str, one: Example) -> str:
    rules = ", ".join(harmless(rule, 40) for rule in one.rules if rule)
    place = f" in {harmless(one.field, 40)}" if one.field else ""
    explained = f"  (sipsieve explain --decision {harmless(one.id, 48)})" if one.id else ""
    return (
        f"{when(one.time)} {harmless(ip, 45)} {harmless(one.method, 16)} {one.change.replace('_', ' ')}: "
        f"{rules}{place}{explained}"
    )


def _counts(what: str, counts: dict[str, Counter[str]], console: Console, top: int) -> None:
    names: Counter[str] = Counter()
    for counter in counts.values():
        names.update(counter)
    names.pop("", None)
    if not names:
        return
    console.print()
    table = Table(what, *(change.replace("_", " ") for change in CHANGES[:3]), box=None, pad_edge=False)
    for name, _ in names.most_common(top):
        table.add_row(Text(harmless(name, 64)), *(f"{counts[change][name]:,}" for change in CHANGES[:3]))
    console.print(table)


def _networks(networks: list[tuple[str, Counter[str]]], console: Console, top: int) -> None:
    console.print()
    table = Table("network", *(change.replace("_", " ") for change in CHANGES[:3]), box=None, pad_edge=False)
    for name, changes in networks[:top]:
        table.add_row(Text(harmless(name, 48)), *(f"{changes[change]:,}" for change in CHANGES[:3]))
    console.print(table)


def _bans(rows: list[Row], console: Console, top: int) -> None:
    changed = [row for row in rows if row.banned_before or row.banned_after]
    changed = [row for row in changed if abs(row.banned_after - row.banned_before) > 1]
    if not changed:
        return
    console.print()
    table = Table("source", "first banned before", "first banned now", "", box=None, pad_edge=False)
    for row in changed[:top]:
        if not row.banned_after:
            what = "banned no more"
        elif not row.banned_before:
            what = "newly banned"
        else:
            seconds = row.banned_after - row.banned_before
            what = f"{abs(seconds):,.0f} s {'later' if seconds > 0 else 'sooner'}"
        table.add_row(Text(harmless(row.ip, 45)), when(row.banned_before), when(row.banned_after), what)
    console.print(table)


def _thin(thin: Iterable[Note], console: Console) -> None:
    for place, note in enumerate(thin):
        if place == 0:
            console.print()
            console.print(Text("what this recording can't tell"))
        number = f"{note.messages:,} messages " if note.messages else ""
        advice = f" (next time: {note.advice})" if note.advice else ""
        console.print(Text(f"  {number}{note.text}{advice}"), soft_wrap=True)


def _some(counts: Counter[str]) -> str:
    first = [harmless(name, 40) for name, _ in counts.most_common(2) if name]
    return ", ".join(first) + (f" +{len(counts) - 2}" if len(counts) > 2 else "")
