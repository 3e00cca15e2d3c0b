"""An explanation of a message as data, and as text for a person."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from sipsieve.decision.explain import Explanation
from sipsieve.detection.indicators import Indicator, of_texts, payloads
from sipsieve.model import Decision, Finding

from .differences import differences
from .effective import home
from .harmless import harmless, harmless_bytes

#: Columns of one part's value.
_VALUE: Final = 100

Facts = dict[str, Any]


def facts_of(explanation: Explanation, levels: Mapping[int, Decision]) -> Facts:
    """The explanation as JSON can hold it; `levels` are the decisions at each paranoia level."""
    decision = explanation.decision
    facts: Facts = {
        "source": explanation.source._asdict(),
        "bytes": len(explanation.raw),
        "parts": [
            {
                "field": reading.part.field,
                "kind": str(reading.part.kind),
                "value": _text(reading.part.value),
                "forms": [
                    {"value": _text(form.value), "transforms": list(form.transforms)} for form in reading.forms[1:]
                ],
                "rules": [_finding(finding, explanation.counted) for finding in reading.findings],
            }
            for reading in explanation.readings
        ],
        "findings": [_finding(finding, explanation.counted) for finding in decision.findings],
        "indicators": [
            {"type": item.kind, "value": item.value} for item in of_texts(map(_text, payloads(decision.findings)))
        ],
        "score": explanation.score,
        "decision": _decision(decision),
        "levels": {str(level): _decision(at) for level, at in levels.items()},
    }
    if decision.replacement is not None:
        facts["scrubbed"] = differences(explanation.raw, decision.replacement)
    return facts


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")


def _finding(finding: Finding, counted: Collection[Finding]) -> Facts:
    return {
        "rule": finding.rule,
        "added": finding.score if finding in counted else 0,
        "family": finding.family,
        "score": finding.score,
        "field": finding.field,
        "reason": finding.reason,
    }


def _decision(decision: Decision) -> Facts:
    return {
        "verdict": str(decision.verdict),
        "status": decision.status,
        "enforced": decision.enforced,
        "reason": decision.reason,
    }


def text_of(facts: Facts, every_part: bool) -> list[str]:
    """The facts as lines; `every_part` shows also the parts in which nothing was decoded or found."""
    source = facts["source"]
    trust = ", trusted" if source["trusted"] else ""
    at_home = home(source["country"], source["asn"], source["organization"])
    lines = [
        f"{facts['bytes']} bytes from {source['ip']}:{source['port']} over {source['transport']}{trust}"
        f"{f', at home in {at_home}' if at_home else ''}",
        "",
        "Parts",
    ]
    left_out = 0
    for part in facts["parts"]:
        if not (every_part or part["forms"] or part["rules"]):
            left_out += 1
            continue
        lines.append(f"  {harmless(part['field'], 40)} ({part['kind']}): {harmless(part['value'], _VALUE)}")
        for form in part["forms"]:
            by = " > ".join(form["transforms"]) or "decoded"
            lines.append(f"      {by}: {harmless(form['value'], _VALUE)}")
        lines += [f"      + {rule['added']}  {rule['rule']}  {rule['reason']}" for rule in part["rules"]]
    if left_out:
        lines.append(f"  {left_out} more parts in which nothing was decoded or found (--all shows them)")
    lines += ["", "Findings"]
    lines += [
        f"  + {f['added']}  {harmless(f['rule'], 64)} ({f['family']})  {harmless(f['field'], 40)}: {harmless(f['reason'], _VALUE)}"
        for f in facts["findings"]
    ] or ["  none"]
    lines.append(f"  = {facts['score']}")
    if facts.get("let_pass"):
        lines += ["", "Let pass by a product's pack (detection.products)"]
        lines += [
            f"  {one['pack']}: {harmless(one['rule'], 64)} in {harmless(one['field'], 40)}: {one['reason']}"
            for one in facts["let_pass"]
        ]
    named = [Indicator(item["type"], item["value"]) for item in facts["indicators"]]
    if named:
        lines += ["", "Points at", *(f"  {item.kind}: {harmless(item.defanged, _VALUE)}" for item in named)]
    lines += ["", f"Verdict: {_verdict(facts['decision'])}"]
    lines += [f"  at paranoia level {level}: {_verdict(at)}" for level, at in facts["levels"].items()]
    if facts.get("scrubbed"):
        lines += ["", "After scrubbing", *(f"  {line}" for line in facts["scrubbed"])]
    return lines


def _verdict(decision: Facts) -> str:
    status = f" {decision['status']}" if decision["status"] else ""
    observed = "" if decision["enforced"] else " (observed only: the message passes)"
    reason = f": {harmless(decision['reason'], _VALUE)}" if decision["reason"] else ""
    return f"{decision['verdict']}{status}{observed}{reason}"


def excerpt(value: bytes) -> str:
    """A value from the wire, cut for a line."""
    return harmless_bytes(value, _VALUE)
