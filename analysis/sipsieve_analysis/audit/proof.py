"""Proves findings: fires their messages at a scratch Kamailio that runs the very configuration, in a namespace of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from . import inside
from .findings import Finding, message_for
from .source import AuditError, Text, read

#: Seconds for one configuration: starting, and each message with its database errors.
LIMIT: Final = 120

#: Values that show at a reader that it took them for code; none does more than leave a mark or an error.
_SQL: Final = ("x'||json('{{')||'", "json('{{')", "x\"||json('{{')||\"")
_SHELL: Final = (
    "x;touch${{IFS}}{mark};", "x';touch${{IFS}}{mark};'", 'x";touch${{IFS}}{mark};"', "$(touch${{IFS}}{mark})",
)  # fmt: skip

#: Modules that need what a scratch server has not, and databases for which SQLite stands in.
_LEFT_OUT: Final = re.compile(
    r"\b(?:loadmodule|modparam)x?[ \t(]+[\"'](?:[\w./-]*/)?(?:tls|db_sqlite|db_mysql|db_postgres|db_unixodbc|db_oracle|db_cluster|systemdops)"
    r"(?:\.so)?[\"']"
)
_DATABASE: Final = re.compile(r"\b(?:mysql|postgres|unixodbc|oracle|sqlite)://[^\"'\s]*")
_LEFT_SETTINGS: Final = re.compile(
    r"^[ \t]*(?:listen|port|alias|user|group|uid|gid|workdir|wdir|enable_tls|log_stderror|log_facility|children|advertised_\w+|fork)[ \t]*="
)


def prove(path: Path, findings: Iterable[Finding], language: str = "kamailio") -> list[Finding]:
    """The findings with `proof`: "confirmed", or why not. Raises `AuditError` where this machine can't make a scratch server."""
    findings = list(findings)
    if os.geteuid() != 0:
        raise AuditError("--prove needs root: it makes a namespace without a network for the scratch server")
    if shutil.which("kamailio") is None or shutil.which("unshare") is None:
        raise AuditError("--prove needs kamailio and unshare (util-linux): install them")
    tried = {number: finding for number, finding in enumerate(findings) if _can(finding, path, language)}
    shots = [shot for number, finding in tried.items() for shot in _shots(number, finding)]
    said: dict[str, str] = _run(path, shots) if shots else {}
    proven = []
    for number, finding in enumerate(findings):
        if number in tried:
            came = said.get(str(number)) or said.get("trouble", "nothing was fired")
            word = came if came == "confirmed" else f"not confirmed: {came}"
        elif not finding.kind:
            word = ""
        else:
            word = f"not tried: {_why_not(finding, path, language)}"
        proven.append(replace(finding, proof=word))
    return proven


def _can(finding: Finding, path: Path, language: str) -> bool:
    return (
        language == "kamailio"
        and path.suffix != ".py"
        and finding.kind in {"sql", "shell"}
        and not finding.variant
        and finding.taint is not None
    )


def _why_not(finding: Finding, path: Path, language: str) -> str:
    if language != "kamailio":
        return "a configuration of OpenSIPS"
    if path.suffix == ".py":
        return "a script"
    return "in a variant of the configuration" if finding.variant else f"no proof is known for {finding.kind}"


def _shots(number: int, finding: Finding) -> list[dict[str, Any]]:
    """The messages that are fired for a finding, one for each way in which a value may be quoted."""
    mark = f"{inside.ROOM}/mark-{number}"
    values = _SQL if finding.kind == "sql" else _SHELL
    assert finding.taint is not None
    return [
        {
            "finding": number,
            "kind": finding.kind,
            "mark": mark,
            "message": message_for(finding.taint, value.format(mark=mark)),
        }
        for value in values
    ]


def scratch(text: Text) -> str:
    """A configuration as the scratch server runs it: all includes in it, SQLite for its database, no address of its own."""
    lines = [
        "" if _LEFT_OUT.search(line) or _LEFT_SETTINGS.match(line) else _DATABASE.sub(inside.DATABASE, line)
        for line in text.lines
    ]
    return "\n".join(["#!KAMAILIO", "log_stderror=yes", "children=1", 'loadmodule "db_sqlite.so"', *lines, ""])


def _run(path: Path, shots: list[dict[str, Any]]) -> dict[str, str]:
    """What came of the shots: finding → "confirmed" or how far it came; "trouble" where the server did not start."""
    with tempfile.TemporaryDirectory(prefix="sipsieve-audit-") as folder:
        job = Path(folder, "job.json")
        job.write_text(json.dumps({"config": scratch(read(path)), "shots": shots}))
        done = subprocess.run(
            ["unshare", "--net", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc",
             sys.executable, str(Path(inside.__file__)), str(job)],
            capture_output=True, text=True, timeout=LIMIT, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            said = json.loads(done.stdout.splitlines()[-1])
        except (IndexError, ValueError):
            raise AuditError(f"--prove: no scratch server could be made: {done.stderr.strip()[-300:]}") from None
        return {str(key): str(value) for key, value in said.items()}
