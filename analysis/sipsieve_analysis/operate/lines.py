"""A record as one readable line."""

from __future__ import annotations

from typing import Any, Final

from rich.text import Text

from .decisions import Record, action_of, findings_of, is_observed, ours_of
from .harmless import harmless
from .pointers import defang, pointers_of

#: Columns of a sender's own text on one line: the part that tells what it is.
_EXCERPT: Final = 60

#: Columns of what a payload points at: two addresses with ports, or a URL.
_NAMED: Final = 80

_STYLES: Final = {
    "allow": "green",
    "scrub": "yellow",
    "reject": "red",
    "drop": "magenta",
    "banned": "magenta",
    "error": "bold red",
}


def line_of(record: Record) -> Text:
    """One line: time, decision, who, what, why. Everything in it is harmless to a terminal."""
    action = action_of(record)
    event, sip, ours = record["event"], _table(record, "sip"), ours_of(record)
    line = Text(no_wrap=True)
    line.append(harmless(str(record["@timestamp"])[:23]) + " ", style="dim")
    if event.get("kind") == "state":
        plain = {key: value for key, value in event.items() if key not in ("kind", "action", "old", "new")}
        old, new = _table(event, "old"), _table(event, "new")
        plain |= {key: f"{old.get(key)} -> {new[key]}" for key in new if old.get(key) != new[key]}
        detail = "  ".join(f"{key}={value}" for key, value in plain.items())
        return line.append(f"{harmless(action, 16)}  ", style="bold cyan").append(harmless(detail, 160))
    line.append(f"{harmless(action, 8):<7}", style=_STYLES.get(action, ""))
    if is_observed(record) and action != "allow":
        line.append("(observed) ", style="dim")
    source = _table(record, "source")
    port = f":{source['port']}" if "port" in source else ""
    line.append(f"{harmless(str(source.get('ip', '-')), 45)}{harmless(port, 8)} ", style="bold")
    operator = _table(source, "as")
    country = str(_table(source, "geo").get("country_iso_code", ""))
    asn = f"AS{operator['number']}" if "number" in operator else ""
    if country or asn:
        line.append(f"{harmless(' '.join(part for part in (country, asn) if part), 16)} ", style="dim")
    if event.get("kind") == "metric":
        return line.append(f"{harmless(str(sip.get('method', '')), 20)} x {harmless(str(event.get('count', '?')), 20)}")
    what = " ".join(str(told) for told in (sip.get("method"), sip.get("code") or ours.get("answer")) if told)
    line.append(f"{harmless(what, 24)} ")
    found = findings_of(record)
    if found:
        line.append(harmless(",".join(dict.fromkeys(str(f.get("rule", "")) for f in found)), 80), style="cyan")
        line.append(f" {harmless(str(ours.get('field', '')), 40)}")
        if ours.get("excerpt"):
            excerpt = defang(str(ours["excerpt"]), record)
            line.append(f" “{harmless(excerpt, _EXCERPT)}”", style="dim")
        if named := pointers_of(record):
            line.append(f" -> {harmless(', '.join(item.defanged for item in named), _NAMED)}", style="yellow")
    elif event.get("reason"):
        line.append(harmless(str(event["reason"]), _EXCERPT))
    return line


def _table(record: Record, key: str) -> dict[str, Any]:
    value = record.get(key)
    return value if isinstance(value, dict) else {}
