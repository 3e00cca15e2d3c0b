"""An alert in words, for mail and chat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ..operate.harmless import harmless

#: Alerts in one message, addresses in one line, and columns of a sentence.
MOST: Final = 20
_NAMED: Final = 5
_LONG: Final = 300

_KINDS: Final = {
    "actor": "a new attacker",
    "campaign": "an attacker does something else",
    "rank": "an attacker has become graver",
    "address": "an attacker has a new address",
    "unusual": "unusual here, no rule stands behind it",
    "test": "a test; nobody attacks",
}


def message(told: Sequence[dict[str, Any]]) -> tuple[str, str]:
    """Title and text of a message that tells these alerts (or reports), at least one. No line is anything but ours:
    what comes from a log is on one line, and nothing in it is a link or a mention."""
    parts = [_report(alert) if alert["kind"] == "report" else _alert(alert) for alert in told]
    if len(parts) == 1:
        return parts[0]
    gravest = max((alert["tier"] for alert in told), key=("review", "low", "medium", "high", "immediate").index)
    body = "\n\n".join(f"{title}\n{text}" for title, text in parts)
    return f"sipsieve: {len(told)} alerts, the gravest {gravest}", body


def _alert(alert: dict[str, Any]) -> tuple[str, str]:
    who = _who(alert)
    intents = ", ".join(alert["intents"]).replace("_", " ") or "no intent known"
    title = f"sipsieve: {alert['tier']}: {_KINDS[alert['kind']]}: {who}"
    lines = [f"What: {_text(intents)}", *(f"Why: {_text(why)}" for why in alert["why"][:_NAMED])]
    if alert.get("homes"):
        lines.append(f"Where from: {_list(alert['homes'])}")
    if alert["new_addresses"]:
        lines.append(f"New addresses: {_list(alert['new_addresses'])}")
    if alert["spoofed"]:
        lines.append("The address may be forged.")
    if alert["action"]:
        lines.append(f"To do: {_text(alert['action'])}")
    lines.append(f"From {alert['first_seen']} to {alert['last_seen']}; alert {alert['id']}")
    return title, "\n".join(lines)


def _report(report: dict[str, Any]) -> tuple[str, str]:
    """What is new since the last report stands first."""
    new, known = report["new"], report["known"]
    lines = [f"New since the last {report['span']} report: {report['new_count'] or 'nobody'}"]
    lines += [f"- {_actor(actor)}" for actor in new[:MOST]]
    if report["new_count"] > MOST:
        lines.append(f"- and {report['new_count'] - MOST} more")
    lines.append(f"Seen before: {report['known_count'] or 'nobody'}")
    lines += [f"- {_actor(actor)}" for actor in known[:_NAMED]]
    if report["known_count"] > _NAMED:
        lines.append(f"- and {report['known_count'] - _NAMED} more")
    lines.append(f"Messages: {report['messages']:,}. The report: {_text(report['page'])}")
    return (
        f"sipsieve: report {report['name']}: {report['new_count']} new, {report['known_count']} seen before",
        "\n".join(lines),
    )


def _actor(actor: dict[str, Any]) -> str:
    return _text(f"{actor['tier']}: {_who(actor)}: {', '.join(actor['intents']).replace('_', ' ')}")


def _who(alert: dict[str, Any]) -> str:
    if not alert["addresses"]:
        return "no address in the log"
    more = alert["address_count"] - 1
    return _text(alert["addresses"][0]) + (f" and {more} more" if more else "")


def _list(addresses: Sequence[str]) -> str:
    return ", ".join(_text(ip) for ip in addresses[:_NAMED]) + (" and more" if len(addresses) > _NAMED else "")


def _text(text: str) -> str:
    """Nothing that a chat program would make a link or a mention of, whoever wrote it."""
    shown = harmless(text, _LONG)
    return shown.replace("://", "[:]//").replace("@", "(at)").replace("<", "‹").replace(">", "›")
