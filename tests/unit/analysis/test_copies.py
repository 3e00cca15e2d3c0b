"""A file that is given under two names counts once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from harness import ROOT
from sipsieve_analysis.cli import main

_LOG = ROOT / "tests/fixtures/case/kamailio.log.gz"
_COPIES = "copies of files that were read already (read once)"


def report(*paths: Path) -> Any:
    ran = CliRunner().invoke(main, ["analyze", "--json", "-q", *map(str, paths)])
    assert ran.exit_code in (0, 1), ran.output
    return json.loads(ran.stdout)


def test_a_copy_under_another_name_is_read_once_and_a_changed_one_twice(tmp_path: Path) -> None:
    copy, changed = tmp_path / "copy.log.gz", tmp_path / "changed.log.gz"
    shutil.copy(_LOG, copy)
    content = bytearray(_LOG.read_bytes())
    # The time in gzip's header: as long, and the text within is the same.
    content[4] ^= 1
    changed.write_bytes(content)
    alone = report(_LOG)
    twice = report(_LOG, copy)
    assert twice["inputs"]["skipped"].pop(_COPIES) == 1
    assert twice == alone
    other = report(_LOG, changed)
    assert _COPIES not in other["inputs"]["skipped"]
    assert other["inputs"]["records"] != alone["inputs"]["records"]


def test_empty_files_are_no_copies_of_each_other(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"")
    assert _COPIES not in report(tmp_path / "a", tmp_path / "b", _LOG)["inputs"]["skipped"]
