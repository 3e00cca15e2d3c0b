"""Writes a suggestion: for the terminal, as TOML to paste, as JSON, and as a page with charts."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sipsieve.config.policy import Limit

from ..operate.harmless import harmless
from . import money
from .money import Places
from .peaks import percentile
from .shown import when
from .suggest import Exempt, Own, Proposal, Suggestion

_BARS: Final = " ▁▂▃▄▅▆▇█"

#: Of the charts: minutes with 1, 2, 3 to 4, 5 to 8, … of something.
_BUCKETS: Final = 14

#: What every suggestion leaves open.
BLIND: Final = (
    "What looks legitimate is read from answers: a phone that was silent this week is not known. "
    "Watch the proposal in observe mode before it is enforced."
)


def buckets(values: Sequence[int]) -> list[int]:
    """How many sources had 1, 2, up to 4, up to 8, … in their busiest minute."""
    counts = [0] * _BUCKETS
    for value in values:
        if value > 0:
            counts[min(_BUCKETS - 1, math.ceil(math.log2(value)))] += 1
    return counts


def toml(suggestion: Suggestion) -> str:
    """What to paste into the policy; comments where there is nothing."""
    lines = []
    changed = [made for made in suggestion.proposals if made.is_changed]
    if changed:
        lines.append("[limits]")
        lines += [f"{made.limit} = {_limit(made.proposed)}" for made in changed]
    if suggestion.networks and suggestion.short_form:
        lines += ["", "# these take the place of [network]"]
        lines += [
            line for cidr in suggestion.short_form for line in ("[[network]]", f'cidr = "{cidr}"', "trusted = true")
        ]
    for own in suggestion.networks:
        lines += ["", *([f"# to be confirmed first: {own.confirm}"] if own.confirm else [])]
        lines += ["[[network]]", f'cidr = "{own.cidr}"   # {harmless(own.reason)}']
        inner = ", ".join(f"{name} = {_limit(limit)}" for name, limit in own.limits.items())
        lines.append(f"limits = {{ {inner} }}")
    lines += money.lines(suggestion.money)
    return "\n".join(lines).lstrip("\n") or "# nothing is proposed: what is in force stays"


def exceptions_toml(exceptions: Sequence[Exempt]) -> str:
    """Exceptions for what rules found in messages of legitimate-looking sources, for a file of `detection.exceptions`."""
    lines = []
    for one in exceptions:
        said = f"{one.sources} legitimate-looking sources, {one.messages} messages; {one.others} other sources"
        # Only names that the guard itself made can stand in a file that is pasted.
        if not all(character.isalnum() or character in "-_.[]" for character in one.rule + one.field):
            continue
        lines += [
            f"# {said}: look at them first",
            "[[exception]]",
            f'rule = "{one.rule}"',
            f'field = "{one.field}"',
            'reason = "found in messages of sources whose calls are accepted"',
            "",
        ]
    return "\n".join(lines).rstrip("\n")


def _limit(limit: Limit) -> str:
    return f"{{ per_minute = {limit.per_minute}, burst = {limit.burst} }}"


def draw(suggestion: Suggestion, console: Console) -> None:
    """The suggestion on a terminal."""
    peaks = suggestion.peaks
    console.print(Text(f"{peaks.messages:,} messages, {when(peaks.first)} to {when(peaks.last)}"))
    console.print(Text(f"confidence: {suggestion.confidence} ({suggestion.why})"), soft_wrap=True)
    console.print()
    console.print(Text("what sources had in their busiest minute: half, 95 and 99 in a hundred, and the most of them"))
    table = Table(
        "limit", "legitimate-looking", "", "others", "", "in force", "proposed", "refuses", box=None, pad_edge=False
    )  # fmt: skip
    for made in suggestion.proposals:
        refuses = f"{made.legitimate_blocked[0]:,} | {made.others_blocked[0]:,}"
        table.add_row(
            made.limit,
            _spread(made.legitimate),
            _bars(made.legitimate),
            _spread(made.others),
            _bars(made.others),
            f"{made.current.per_minute} + {made.current.burst}",
            f"{made.proposed.per_minute} + {made.proposed.burst}" if made.is_changed else "-",
            refuses,
        )
    console.print(table)
    console.print(
        Text("bars: 1, 2, 3-4, 5-8, 9-16 … a minute; refuses: legitimate-looking | other sources, by the backtest")
    )
    console.print()
    for name, figures in (("in force", suggestion.before), ("proposed", suggestion.after)):
        console.print(
            Text(
                f"{name}: blocks {figures['blocked']:,} messages, {figures['bans']:,} bans, "
                f"{figures['legitimate_sources_blocked']:,} legitimate-looking sources"
            )
        )
    _already(suggestion, console)
    console.print(Text(f"destinations: {suggestion.money.why}"), soft_wrap=True)
    for one in suggestion.money.entries:
        console.print(
            Text(
                f"  {one.entry.name}: enforced, it refuses {one.legitimate[1]:,} calls of {one.legitimate[0]:,} legitimate-looking "
                f"sources, {one.others[1]:,} of {one.others[0]:,} others"
            ),
            soft_wrap=True,
        )
    console.print()
    console.print(Text(toml(suggestion)), soft_wrap=True)
    if suggestion.exceptions:
        console.print()
        console.print(
            Text("rules found something in messages of legitimate-looking sources; as exceptions (docs/rules.md):")
        )
        console.print(Text(exceptions_toml(suggestion.exceptions)), soft_wrap=True)
    console.print()
    console.print(Text(BLIND), soft_wrap=True)


def _already(suggestion: Suggestion, console: Console) -> None:
    for ip, rules in suggestion.already:
        why = ", ".join(rules) or "what rules found"
        console.print(
            Text(
                f"  {harmless(ip, 45)} looks legitimate, and what is in force blocks some of it ({why}): look who is behind it"
            ),
            soft_wrap=True,
        )


def _spread(values: list[int]) -> str:
    if not values:
        return "-"
    return " ".join(str(percentile(values, part)) for part in (0.5, 0.95, 0.99, 1.0))


def _bars(values: list[int]) -> str:
    counts = buckets(values)
    most = max(counts) or 1
    return "".join(_BARS[math.ceil(count * 8 / most)] for count in counts)


def data(suggestion: Suggestion) -> dict[str, Any]:
    """The suggestion as JSON can hold it."""
    return {
        "confidence": suggestion.confidence,
        "why": suggestion.why,
        "messages": suggestion.peaks.messages,
        "from": suggestion.peaks.first,
        "to": suggestion.peaks.last,
        "limits": [_limit_data(made) for made in suggestion.proposals],
        "networks": [_own_data(own) for own in suggestion.networks],
        "destinations": {
            "why": suggestion.money.why,
            "entries": [_places_data(one) for one in suggestion.money.entries],
        },
        "exceptions": [dataclasses.asdict(one) for one in suggestion.exceptions],
        "already_blocked": [{"source": ip, "rules": rules} for ip, rules in suggestion.already],
        "in_force": suggestion.before,
        "proposed": suggestion.after,
        "toml": toml(suggestion),
        "exceptions_toml": exceptions_toml(suggestion.exceptions),
    }


def _limit_data(made: Proposal) -> dict[str, Any]:
    def side(values: list[int], blocked: tuple[int, int]) -> dict[str, Any]:
        return {
            "sources": len(values),
            **{f"p{round(100 * part)}": percentile(values, part) for part in (0.5, 0.9, 0.95, 0.99, 1.0)},
            "sources_refused": blocked[0],
            "messages_refused": blocked[1],
        }

    return {
        "limit": made.limit,
        "legitimate": side(made.legitimate, made.legitimate_blocked),
        "others": side(made.others, made.others_blocked),
        "current": {"per_minute": made.current.per_minute, "burst": made.current.burst},
        "proposed": {"per_minute": made.proposed.per_minute, "burst": made.proposed.burst},
        "changed": made.is_changed,
        "why": made.why,
    }


def _places_data(one: Places) -> dict[str, Any]:
    entry = one.entry
    return {
        "name": entry.name,
        "reason": one.reason,
        "networks": list(entry.networks),
        "allowed": list(entry.allowed),
        **{
            name: {"per_minute": rate.per_minute, "per_hour": rate.per_hour}
            for name, rate in (("expensive", entry.expensive), ("abroad", entry.abroad))
        },
        **{name: getattr(entry, name) for name in ("countries_per_hour", "block_per_hour", "spellings_per_hour")},
        "legitimate": {"sources_refused": one.legitimate[0], "messages_refused": one.legitimate[1]},
        "others": {"sources_refused": one.others[0], "messages_refused": one.others[1]},
    }


def _own_data(own: Own) -> dict[str, Any]:
    limits = {name: {"per_minute": limit.per_minute, "burst": limit.burst} for name, limit in own.limits.items()}
    return {"cidr": own.cidr, "limits": limits, "reason": own.reason, "confirm": own.confirm}


def page(suggestion: Suggestion) -> str:
    """The suggestion as one HTML page; nothing in it is fetched or run."""
    import jinja2  # Of the packages for reports: the rest of this command does without.

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sipsieve_analysis", "tuning"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    charts = [(made, _chart(made)) for made in suggestion.proposals]
    text = {"toml": toml(suggestion), "exceptions": exceptions_toml(suggestion.exceptions), "blind": BLIND}
    return environment.get_template("suggest.html.j2").render(
        suggestion=suggestion, charts=charts, text=text, when=when
    )


def _chart(made: Proposal) -> dict[str, Any]:
    """Bars for both sides by bucket, and where the limits stand; in units of the picture."""
    sides = []
    for name, values in (("legitimate", made.legitimate), ("others", made.others)):
        counts = buckets(values)
        most = max(counts) or 1
        bars = [
            (
                40 + place * 40 + (0 if name == "legitimate" else 17),
                round(110 - 90 * count / most),
                round(90 * count / most),
                count,
            )
            for place, count in enumerate(counts)
        ]
        sides.append((name, bars))
    marks = [
        (name, round(40 + 40 * (math.log2(limit.per_minute) + 0.5), 1))
        for name, limit in (("in force", made.current), ("proposed", made.proposed))
        if limit.per_minute > 0 and (name == "in force" or made.is_changed)
    ]
    labels = [(57 + place * 40, f"{2**place:,}") for place in range(_BUCKETS)]
    return {"sides": sides, "marks": [(name, min(at, 598.0)) for name, at in marks], "labels": labels}
