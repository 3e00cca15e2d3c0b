"""What the audit finds in the lab's vulnerable configuration happens there, not behind the guard, nor with the corrected line."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import ROOT
from replayer.audited import audited
from sipsieve_analysis.audit.audit import audit


def test_the_lab_shows_what_the_audit_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = audit(ROOT / "lab/audited/kamailio.cfg")
    assert [(f.place.line, f.severity, f.variable) for f in report.findings] == [
        (29, "high", "$fn"),
        (29, "high", "$rU"),
    ]
    assert audited(tmp_path / "audited")
    said = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["29:", "$fn", "as", "it", "is", "200", "0,", "100"] in said
    assert ["29:", "$rU", "guard", "in", "front", "403", "nothing"] in said
    assert sum("corrected" in line for line in said) == 2
