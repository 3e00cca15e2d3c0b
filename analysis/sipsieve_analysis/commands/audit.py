"""`sipsieve audit`: says where SIP data reaches a database, a shell or another reader unescaped, and what to write instead."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import click

from ..audit.audit import AuditError, Report, audit
from ..audit.catalogue import SEVERITIES
from ..audit.findings import Finding
from ..audit.proof import prove
from ..audit.sarif import document
from ..operate.harmless import harmless

_EXAMPLES = """\b
Examples:
  sipsieve audit /etc/kamailio/kamailio.cfg
  sipsieve audit kamailio.cfg kamailio.py --fail-on medium
  sipsieve audit kamailio.cfg --sarif audit.sarif

Exit codes: 0 nothing at or above --fail-on, 1 something, 2 a file can't be read or the call was wrong.
"""


@click.command("audit", epilog=_EXAMPLES)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option(
    "--fail-on", type=click.Choice(SEVERITIES), default="high", show_default=True,
    help="The least severity for exit code 1.",
)  # fmt: skip
@click.option("--all", "everything", is_flag=True, help="Show notes too: text of senders in the log, in header fields.")
@click.option("--kamailio-version", "version", metavar="X.Y.Z", help="For known faults. Default: the installed one's.")
@click.option(
    "--prove", "proven", is_flag=True,
    help="Fire each SQL or shell finding's message at a scratch Kamailio that runs the configuration, cut off from the "
    "network and with nothing to write to. Needs root, and kamailio-sqlite-modules.",
)  # fmt: skip
@click.option("--sarif", type=click.Path(dir_okay=False, path_type=Path), metavar="OUT", help="Also write SARIF 2.1.0.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def command(
    files: tuple[Path, ...],
    fail_on: str,
    everything: bool,
    version: str | None,
    proven: bool,
    sarif: Path | None,
    as_json: bool,
) -> None:
    """Audit Kamailio and OpenSIPS configurations and KEMI scripts for SIP data that reaches code.

    Follows what a sender writes (From, User-Agent, any header field, the body) through variables, routes and functions into
    SQL, shells, URLs, JSON, Redis, LDAP and scripts. Each finding has the way with file and line, the message that exploits
    it and the corrected line. Includes are read, and every #!ifdef both ways. Nothing is run but with --prove.
    """
    installed = version if version is not None else _installed()
    reports: list[Report] = []
    for file in files:
        try:
            reports.append(audit(file, installed))
        except AuditError as error:
            raise click.UsageError(str(error)) from None
    if not everything:
        for report in reports:
            report.findings = [finding for finding in report.findings if finding.severity != "note"]
    if proven:
        for report in reports:
            try:
                report.findings = prove(Path(report.file), report.findings, report.language)
            except AuditError as error:
                raise click.UsageError(str(error)) from None
    if sarif is not None:
        try:
            sarif.write_text(json.dumps(document(reports), indent=1) + "\n")
        except OSError as error:
            raise click.UsageError(f"{sarif}: {error.strerror}: name a file that can be written") from None
    if as_json:
        click.echo(json.dumps(_data(reports, installed), ensure_ascii=True))
    else:
        for report in reports:
            _show(report)
    worst = [SEVERITIES.index(finding.severity) for report in reports for finding in report.findings]
    raise SystemExit(1 if worst and min(worst) <= SEVERITIES.index(fail_on) else 0)


def _installed() -> str:
    """The version of the Kamailio of this machine; "" where there is none."""
    program = shutil.which("kamailio")
    if program is None:
        return ""
    said = subprocess.run([program, "-v"], capture_output=True, text=True, timeout=10, check=False).stdout
    found = re.search(r"kamailio (\d+\.\d+\.\d+)", said)
    return found[1] if found else ""


def _data(reports: list[Report], version: str) -> dict[str, Any]:
    return {
        "kamailio": version,
        "files": [
            {
                "file": report.file,
                "routes": report.routes,
                "variants": report.variants,
                "findings": [_facts(finding) for finding in report.findings],
                "unread": [{"file": p.file, "line": p.line, "what": what} for p, what in report.unread],
            }
            for report in reports
        ],
    }


def _facts(finding: Finding) -> dict[str, Any]:
    facts = dataclasses.asdict(finding)
    del facts["kind"], facts["place"], facts["taint"]
    return facts | {
        "file": finding.place.file,
        "line": finding.place.line,
        "steps": [{"file": s.place.file, "line": s.place.line, "what": s.text} for s in finding.steps],
    }


def _show(report: Report) -> None:
    for finding in report.findings:
        variant = f" ({finding.variant})" if finding.variant else ""
        click.echo(harmless(f"{finding.place}: {finding.severity}: {finding.what} [{finding.rule}]{variant}"))
        if finding.variable:
            click.echo(harmless(f"    {finding.variable}, {finding.source}, reaches {finding.function}: {finding.why}"))
        else:
            click.echo(harmless(f"    {finding.why}"))
        for step in finding.steps:
            click.echo(harmless(f"      {step.place}: {step.text}"))
        if finding.message:
            click.echo("    a message that shows it:")
            for line in finding.message.rstrip("\r\n").split("\r\n"):
                click.echo(harmless(f"      | {line}"))
        if finding.corrected:
            click.echo(harmless(f"    write: {finding.corrected}"))
        if finding.advice:
            click.echo(harmless(f"    {'or ' if finding.corrected else ''}{finding.advice}"))
        if finding.proof:
            click.echo(harmless(f"    proof: {finding.proof}"))
        click.echo("")
    for place, what in report.unread:
        click.echo(harmless(f"{place}: not read: {what}"), err=True)
    counts = {severity: sum(f.severity == severity for f in report.findings) for severity in SEVERITIES}
    said = ", ".join(f"{count} {severity}" for severity, count in counts.items() if count) or "nothing found"
    click.echo(f"{report.file}: {report.routes} routes, {len(report.variants)} variants: {said}")
