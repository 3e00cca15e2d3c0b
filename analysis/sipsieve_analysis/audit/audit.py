"""Audits files: Kamailio configurations in all their variants, and KEMI scripts."""

from __future__ import annotations

import linecache
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import checks, flows, scripts
from .findings import Collector, Finding, ranked
from .source import AuditError, Place, variants
from .tokens import take_apart

__all__ = ["AuditError", "Report", "audit"]


@dataclass
class Report:
    """What was found in one file, and what of it was not read."""

    file: str
    findings: list[Finding] = field(default_factory=list)
    #: Places that were not understood: nothing is said about what stands there.
    unread: list[tuple[Place, str]] = field(default_factory=list)
    routes: int = 0
    #: Whose configuration it is, `kamailio` or `opensips`.
    language: str = "kamailio"
    #: The combinations of defines that were read, "" for the file as it is.
    variants: list[str] = field(default_factory=list)


def audit(path: Path, version: str = "") -> Report:
    """One file; `version` is Kamailio's, for known faults. Raises `AuditError` if it can't be read."""
    # The files may have changed since an audit before.
    linecache.clearcache()
    collector = Collector(_line)
    report = Report(str(path))
    if path.suffix == ".py":
        report.unread = scripts.walk(path, collector)
        report.variants = [""]
    else:
        _configuration(path, version, collector, report)
    report.findings = ranked(collector.found)
    report.unread = list(dict.fromkeys(report.unread))
    return report


def _configuration(path: Path, version: str, collector: Collector, report: Report) -> None:
    advisories = tomllib.loads(Path(__file__).with_name("catalogue.toml").read_text())["advisory"]
    for word, text in variants(path):
        parts = take_apart(text)
        collector.variant, collector.language = word, parts.dialect
        report.language = parts.dialect
        # What is known of faults is known of Kamailio.
        faults = advisories if parts.dialect == "kamailio" else []
        report.variants.append(word)
        walker = flows.Walker(text, parts, collector)
        walker.walk()
        first = Place(str(path), 1)
        for finding in (*checks.checks(parts, text, path), *checks.advisories(parts, version, faults, first)):
            collector.add(replace(finding, variant=word))
        report.unread += [*walker.unread, *flows.unread(parts.routes, text)]
        report.unread += [(place, f"{name} is included, and not there") for place, name in text.missing]
        if walker.cut:
            report.unread.append(
                (first, f"more than {flows.MAX_STATEMENTS:,} statements on all ways: the rest was not walked")
            )
        report.routes = max(report.routes, len(parts.routes))
    if not report.routes:
        report.unread.append((Place(str(path), 1), "no route in it: is this a Kamailio configuration?"))


def _line(place: Place) -> str:
    return linecache.getline(place.file, place.line)
