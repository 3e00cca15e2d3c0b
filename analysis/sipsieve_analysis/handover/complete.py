"""Puts everything that a client reads into the report, once the findings are there."""

from __future__ import annotations

from ..report import Report
from .advice import advice
from .chronicle import chronicle
from .noise import noise
from .summary import summary


def complete(report: Report) -> Report:
    """Fills in noise, chronicle, advice and summary, from the findings alone, and gives the report back."""
    report.noise = noise(report)
    report.chronicle = chronicle(report)
    report.advice = advice(report)
    report.summary = summary(report)
    return report
