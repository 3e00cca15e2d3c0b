"""Writes an audit as SARIF 2.1.0, which code hosts and editors show beside the lines."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import sipsieve

from .audit import Report
from .findings import Finding
from .source import Place

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS: Final = {"high": "error", "medium": "warning", "low": "note", "note": "none"}


def document(reports: Iterable[Report]) -> dict[str, Any]:
    """One run with all findings."""
    reports = list(reports)
    found = [finding for report in reports for finding in report.findings]
    rules = {finding.rule: finding for finding in reversed(found)}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "sipsieve audit",
                        "version": sipsieve.__version__,
                        "rules": [_rule(rules[name]) for name in sorted(rules)],
                    }
                },
                "results": [_result(finding) for finding in found],
                "invocations": [
                    {
                        "executionSuccessful": True,
                        "toolExecutionNotifications": [
                            {
                                "level": "warning",
                                "message": {"text": f"not read: {what}"},
                                "locations": [_location(place)],
                            }
                            for report in reports
                            for place, what in report.unread
                        ],
                    }
                ],
            }
        ],
    }


def _rule(finding: Finding) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "id": finding.rule,
        "shortDescription": {"text": finding.what},
        "defaultConfiguration": {"level": _LEVELS[finding.severity]},
    }
    if finding.cwe:
        rule["properties"] = {"tags": ["security", f"external/cwe/cwe-{finding.cwe:03}"]}
    return rule


def _result(finding: Finding) -> dict[str, Any]:
    text = f"{finding.what}: {finding.why}."
    if finding.variable:
        text += f" {finding.variable} ({finding.source}) reaches {finding.function}."
    if finding.corrected:
        text += f" Write: {finding.corrected}"
    elif finding.advice:
        text += f" {finding.advice[0].upper()}{finding.advice[1:]}."
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "level": _LEVELS[finding.severity],
        "message": {"text": text},
        "locations": [_location(finding.place)],
    }
    if finding.steps:
        steps = [{"location": _location(step.place) | {"message": {"text": step.text}}} for step in finding.steps]
        result["codeFlows"] = [{"threadFlows": [{"locations": steps}]}]
    return result


def _location(place: Place) -> dict[str, Any]:
    uri = Path(place.file).as_posix()
    where = {"uri": uri if not uri.startswith("/") else f"file://{uri}"}
    return {"physicalLocation": {"artifactLocation": where, "region": {"startLine": max(place.line, 1)}}}
