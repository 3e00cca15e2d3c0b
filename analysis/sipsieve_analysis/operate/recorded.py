"""Finds one decision in the log and says what was recorded of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from sipsieve import _core
from sipsieve.decision.explain import chains
from sipsieve.detection.ruleset import Ruleset

from .decisions import Reader, Record, findings_of, is_observed, ours_of, text_at
from .frames import NoMessage, Taken
from .harmless import harmless, harmless_bytes
from .pointers import defang, pointers_of

_KEPT: Final = re.compile(r"\\x([0-9a-f]{2})")


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


def as_kept(text: str) -> bytes:
    """The bytes of a message of a recording to be replayed, in which each `\\x` begins an escape."""
    if "\\x" not in text:
        return text.encode("utf-8", "backslashreplace")
    parts = _KEPT.split(text)
    return b"".join(
        bytes.fromhex(part) if place % 2 else part.encode("utf-8", "backslashreplace")
        for place, part in enumerate(parts)
    )


def message_of(record: Record) -> Taken | None:
    """The message itself, where the record has the whole of it. With `log.raw_bytes` bytes that are not UTF-8 stand in it as
    they were written, `\\xNN`; with `log.record = "replay"` they are themselves."""
    ours, source = ours_of(record), record.get("source")
    if not isinstance(source, dict):
        return None
    text = ours.get("raw")
    kept = ours.get("kept")
    if not isinstance(text, str) or not text or (kept == "cut" if kept else text.endswith("…")):
        return None
    network = record.get("network")
    transport = str(network.get("transport", "udp")) if isinstance(network, dict) else "udp"
    port = source.get("port")
    raw = as_kept(text) if kept else text.encode("utf-8", "backslashreplace")
    return Taken(raw, str(source.get("ip", "")), port if isinstance(port, int) else 5060, transport)


def _forms(excerpt: str) -> list[str]:
    """How an excerpt reads when it is decoded, with the transforms that do it."""
    value = excerpt.encode("utf-8", "backslashreplace")
    forms = _core.forms(value, "quoted")[1:]
    names = chains(value, forms)
    return [f"{' > '.join(names[form])}: {harmless_bytes(form, 100)}" for form in forms if names.get(form)]


def text_of_record(record: Record, rules: Ruleset) -> list[str]:
    """The record as lines: what was decided, by what, and whether today's rules say the same."""
    event, policy, sip = record["event"], record.get("policy", {}), record.get("sip", {})
    ours = ours_of(record)
    shown = str(ours.get("excerpt", ""))
    answer = sip.get("code") or ours.get("answer")
    source = record.get("source", {})
    known = {rule.id: rule for rule in rules.rules}
    observed = " (observed only: the message passed)" if is_observed(record) else ""
    status = f" {answer}" if answer else ""
    lines = [
        f"{record['@timestamp']}  {harmless(str(source.get('ip')), 45)}:{source.get('port')}",
        f"{harmless(str(sip.get('method')), 32)} {harmless(text_at(sip, 'uri', 'original'), 100)}",
        f"  From {harmless(text_at(sip, 'from', 'uri', 'original'), 80)}  To {harmless(text_at(sip, 'to', 'uri', 'original'), 80)}",
        "",
        "Findings",
    ]
    found = findings_of(record)
    for entry in found:
        name = str(entry.get("rule"))
        lines.append(f"  + {entry.get('score')}  {harmless(name, 64)}  {harmless(str(entry.get('field')), 40)}")
        lines.append(f"        {harmless(defang(str(entry.get('excerpt', shown)), record), 120)}")
        lines += [f"        {form}" for form in _forms(str(entry.get("excerpt", shown)))]
        rule = known.get(name)
        if rule is not None and str(rule.score) != str(entry.get("score")):
            lines.append(f"        (with today's rules it adds {rule.score})")
    if not found:
        lines.append("  none")
    scores = {str(entry.get("rule")): int(entry.get("score") or 0) for entry in found}
    lines.append(f"  = {sum(scores.values())}")
    if named := pointers_of(record):
        lines += ["", "Points at", *(f"  {harmless(i.kind, 16)}: {harmless(i.defanged, 120)}" for i in named)]
    lines += [
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
