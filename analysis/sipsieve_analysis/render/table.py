"""Writes the indicators, and the appendix of everything else, as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

from ..operate.harmless import harmless
from ..report import Report, when

#: A cell that begins so is a formula to some spreadsheet, in full-width form too.
_FORMULA: Final = ("=", "+", "-", "@", "|", "%", "\uff1d", "\uff0b", "\uff0d", "\uff20")

_HEADER: Final = ("type", "value", "defanged", "actors", "first_seen", "last_seen", "messages", "how")


def cell(value: object) -> str:
    """A value that a spreadsheet shows and does not run."""
    plain = harmless(str(value), 1024)
    return f"'{plain}" if plain.lstrip().startswith(_FORMULA) or plain.startswith("\\x") else plain


def write(report: Report) -> str:
    """One row an indicator, every cell quoted."""
    return _rows(
        _HEADER,
        (
            (s.indicator.kind, s.indicator.value, s.indicator.defanged, " ".join(s.actors), when(s.first_us), when(s.last_us), s.messages, s.how)
            for s in report.indicators
        ),
    )  # fmt: skip


def appendix(report: Report) -> dict[str, str]:
    """Files by name: every actor (the noise too), address, campaign, piece of evidence and indicator."""
    return {
        "actors.csv": _rows(
            ("actor", "number", "tier", "score", "intents", "campaigns", "addresses", "spoofed", "succeeded", "first_seen", "last_seen",
             "messages", "received", "with_guard", "cleaned", "accepted", "action", "note"),
            (
                (a.id, f"A{number}", a.rank.tier, a.rank.score, " ".join(str(m.intent) for m in a.motives), " ".join(str(c.type) for c in a.campaigns),
                 len(a.addresses), a.spoofed, a.succeeded, when(a.first_us), when(a.last_us), a.messages, a.effect.received, a.effect.guarded,
                 a.effect.cleaned, a.accepted, a.rank.action, a.note)
                for number, a in enumerate(report.actors, 1)
            ),
        ),
        "addresses.csv": _rows(
            ("actor", "address", "role", "first_seen", "last_seen", "messages"),
            (
                (a.id, ip, role, when(first), when(last), count)
                for a in report.actors
                for role, ips in (("forged" if a.spoofed else "source", a.addresses), ("victim", a.victims))
                for ip in ips
                for first, last, count in (a.spans.get(ip, (a.first_us, a.last_us, 0)),)
            ),
        ),
        "campaigns.csv": _rows(
            ("actor", "type", "start", "end", "messages", "sources", "ports", "methods", "targets", "succeeded", "why"),
            (
                (c.actor, c.type, when(c.first_us), when(c.last_us), c.messages, len(c.sources), c.port_count, " ".join(c.methods), c.target_count,
                 c.succeeded, c.why)
                for c in report.campaigns
            ),
        ),
        "evidence.csv": _rows(
            ("actor", "kind", "text", "field", "rules", "excerpt", "messages", "received"),
            ((a.id, e.kind, e.text, e.field, e.rule, e.excerpt, e.messages, e.received) for a in report.actors for e in a.evidence),
        ),
        "indicators.csv": write(report),
    }  # fmt: skip


def _rows(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows([cell(value) for value in row] for row in rows)
    return out.getvalue()
