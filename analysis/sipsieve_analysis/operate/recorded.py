"""Finds one decision in the log and says what was recorded of it."""

from __future__ import annotations

from pathlib import Path

from sipsieve.ruleset import Ruleset

from .decisions import Reader, Record, findings_of
from .frames import NoMessage
from .harmless import harmless


def find(reader: Reader, path: Path, identity: str) -> Record:
    """The record with that `event.id`, in the log or what was rotated out of it. Raises `NoMessage`."""
    paths = [path, *sorted(path.parent.glob(f"{path.name}.*"), key=lambda p: p.name)]
    readable = [p for p in paths if p.is_file() and p.suffix not in (".ledger", ".bans")]
    if not readable:
        raise NoMessage(f"{path}: there is no such file; name the decision log with --log")
    try:
        for record in reader.read(readable):
            if record["event"].get("id") == identity:
                return record
    except (OSError, EOFError) as error:
        raise NoMessage(f"{path}: cannot be read: {error}") from error
    raise NoMessage(f"{identity}: no decision of this id in {', '.join(str(p) for p in readable)}")


def text_of_record(record: Record, rules: Ruleset) -> list[str]:
    """The record as lines: what was decided, by what, and whether today's rules say the same."""
    event, policy, sip = record["event"], record.get("policy", {}), record.get("sip", {})
    source = record.get("source", {})
    known = {rule.id: rule for rule in rules.rules}
    observed = "" if policy.get("enforced", True) else " (observed only: the message passed)"
    status = f" {sip['status']}" if sip.get("status") else ""
    lines = [
        f"{record['@timestamp']}  {harmless(str(source.get('ip')), 45)}:{source.get('port')}",
        f"{harmless(str(sip.get('method')), 32)} {harmless(str(sip.get('uri', '')), 100)}",
        f"  From {harmless(str(sip.get('from', '')), 80)}  To {harmless(str(sip.get('to', '')), 80)}",
        "",
        "Findings",
    ]
    found = findings_of(record)
    for entry in found:
        name = str(entry.get("rule"))
        lines.append(f"  + {entry.get('score')}  {harmless(name, 64)}  {harmless(str(entry.get('field')), 40)}")
        lines.append(f"        {harmless(str(entry.get('excerpt', '')), 120)}")
        rule = known.get(name)
        if rule is not None and str(rule.score) != str(entry.get("score")):
            lines.append(f"        (with today's rules it adds {rule.score})")
    if not found:
        lines.append("  none")
    scores = {str(entry.get("rule")): int(entry.get("score") or 0) for entry in found}
    lines += [
        f"  = {sum(scores.values())}",
        "",
        f"Verdict: {harmless(str(event.get('action')), 16)}{status}{observed}: {harmless(str(event.get('reason', '')), 160)}",
    ]
    counters = ", ".join(f"{harmless(str(name), 32)} {count}" for name, count in record.get("counters", {}).items())
    if counters:
        lines.append(f"Counted: {counters}")
    now = "the same as" if record.get("rule", {}).get("version") == rules.version else "other than"
    lines.append(
        f"Policy {harmless(str(policy.get('version')), 16)}, rules {harmless(str(record.get('rule', {}).get('version')), 16)}"
        f" ({now} today's)"
    )
    return lines
