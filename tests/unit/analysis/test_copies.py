"""What several files hold counts once: a copy under another name, compressed or not, and a record of two decision logs."""

from __future__ import annotations

import bz2
import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from harness import ROOT
from sipsieve_analysis.cli import main

_LOG = ROOT / "tests/fixtures/case/kamailio.log.gz"
_DECISIONS = ROOT / "tests/fixtures/case/decisions.jsonl.bz2"
_COPIES = "copies of files that were read already (read once)"
_AGAIN = "records that another decision log has, too (counted once)"


def report(*paths: Path) -> Any:
    ran = CliRunner().invoke(main, ["analyze", "--json", "-q", *map(str, paths)])
    assert ran.exit_code in (0, 1), ran.output
    assert "nothing in it could be read" not in ran.stderr or any(not path.stat().st_size for path in paths)
    return json.loads(ran.stdout)


def test_a_copy_under_another_name_is_read_once_and_a_changed_one_twice(tmp_path: Path) -> None:
    copy, again, plain, changed = (
        tmp_path / name for name in ("copy.log.gz", "again.log.gz", "kamailio.log", "changed.log")
    )
    shutil.copy(_LOG, copy)
    packed = bytearray(_LOG.read_bytes())
    # The time in gzip's header: other bytes, and the text within is the same.
    packed[4] ^= 1
    again.write_bytes(packed)
    text = gzip.decompress(_LOG.read_bytes())
    plain.write_bytes(text)
    alone = report(_LOG)
    many = report(_LOG, copy, again, plain)
    assert many["inputs"]["skipped"].pop(_COPIES) == 3
    assert many == alone
    # As long, and another within the last line.
    changed.write_bytes(text[:-2] + bytes([text[-2] ^ 1]) + text[-1:])
    other = report(_LOG, changed)
    assert _COPIES not in other["inputs"]["skipped"]
    assert other["inputs"]["records"] != alone["inputs"]["records"]


def test_empty_files_are_no_copies_of_each_other(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"")
    assert _COPIES not in report(tmp_path / "a", tmp_path / "b", _LOG)["inputs"]["skipped"]


@pytest.fixture(scope="module")
def decisions(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Any]:
    """A decision log, and the report of it alone."""
    path = tmp_path_factory.mktemp("alone") / "decisions.jsonl"
    path.write_bytes(bz2.decompress(_DECISIONS.read_bytes()))
    return path.read_bytes(), report(path)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_a_decision_log_beside_its_compressed_copy_is_read_once(
    tmp_path: Path, decisions: tuple[bytes, Any], pack: Any
) -> None:
    text, alone = decisions
    (tmp_path / "decisions.jsonl").write_bytes(text)
    (tmp_path / "decisions.jsonl.1").write_bytes(pack(text))
    both = report(tmp_path)
    assert both["inputs"].pop("skipped") == {_COPIES: 1}
    told = {**alone, "inputs": {**alone["inputs"], "files": both["inputs"]["files"]}}
    del told["inputs"]["skipped"]
    assert both == told


def test_records_that_several_decision_logs_have_count_once(tmp_path: Path, decisions: tuple[bytes, Any]) -> None:
    text, alone = decisions
    lines = text.splitlines(keepends=True)
    third = len(lines) // 3
    # Collected twice: the second file begins within the first; and an archive of all that is cut.
    (tmp_path / "a.jsonl").write_bytes(b"".join(lines[: 2 * third]))
    (tmp_path / "b.jsonl").write_bytes(b"".join(lines[third:]))
    # Nothing in it is new, and it is no file that could not be read.
    (tmp_path / "aa.jsonl").write_bytes(b"".join(lines[10:third]))
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress(text)[:-4096])
    both = report(tmp_path)
    skipped = both["inputs"]["skipped"]
    assert skipped[_AGAIN] > third
    assert len(both["inputs"]["files"]) == 4
    assert both["inputs"]["records"] == alone["inputs"]["records"]
    assert (both["actors"], both["campaigns"]) == (alone["actors"], alone["campaigns"])


def test_what_one_decision_log_says_twice_stays_and_other_servers_logs_add_up(
    tmp_path: Path, decisions: tuple[bytes, Any]
) -> None:
    text, alone = decisions
    # Another edge in the same time: its records have other sources.
    (tmp_path / "one.jsonl").write_bytes(text)
    (tmp_path / "two.jsonl").write_bytes(text.replace(b'"ip":"203.0.113.', b'"ip":"198.18.113.'))
    both = report(tmp_path)
    other = text.count(b'"ip":"203.0.113.')
    assert other > 100
    assert both["inputs"]["records"]["decision log"] >= alone["inputs"]["records"]["decision log"] + other // 2
