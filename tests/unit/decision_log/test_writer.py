"""The decision log's file: never blocks, never raises, never tears a line into the next."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path

import pytest

from sipsieve._core import Words
from sipsieve.decision_log.writer import Journal


def test_lines_are_appended(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("before\n")
    journal = Journal(str(path))
    assert journal.append(b"one\n", 1.0)
    assert journal.append(b"two\n", 1.1)
    assert path.read_text() == "before\none\ntwo\n"
    assert path.stat().st_mode & 0o777 == 0o644 or path.stat().st_mode & 0o007 == 0


def test_a_new_log_is_not_for_everybody(tmp_path: Path) -> None:
    Journal(str(tmp_path / "log")).append(b"x\n", 1.0)
    assert (tmp_path / "log").stat().st_mode & 0o007 == 0


def test_a_file_that_was_moved_away_is_opened_anew_within_a_second(tmp_path: Path) -> None:
    path = tmp_path / "log"
    journal = Journal(str(path))
    journal.append(b"one\n", 1.0)
    path.rename(tmp_path / "log.1")
    assert journal.append(b"two\n", 1.5)
    assert journal.append(b"three\n", 2.1)
    assert (tmp_path / "log.1").read_text() == "one\ntwo\n"
    assert path.read_text() == "three\n"


def test_what_cannot_be_written_is_counted(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path / "no" / "log"))
    assert not journal.append(b"one\n", 1.0)
    assert journal.lost == 1
    (tmp_path / "no").mkdir()
    assert journal.append(b"two\n", 3.0)
    assert journal.written == 1


def test_a_short_write_leaves_its_half_on_a_line_of_its_own(tmp_path: Path) -> None:
    """A file that may have three bytes, in a process of its own; then another worker ends the line."""
    path = tmp_path / "log"
    end = Words(2)
    worker = os.fork()
    if worker == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3, 3))
        os._exit(Journal(str(path), end).append(b'{"half":1}\n', 1.0))
    assert os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) == 0
    assert end[0] == 1
    assert Journal(str(path), end).append(b"whole\n", 1.0)
    assert path.read_text() == '{"h\nwhole\n'


def test_a_full_disk_is_counted_and_not_raised() -> None:
    journal = Journal("/dev/full")
    assert not journal.append(b"two\n", 1.0)
    assert (journal.written, journal.lost) == (0, 1)


@pytest.mark.parametrize(("there", "first"), [(b"", b"x\n"), (b"whole\n", b"whole\nx\n"), (b"half", b"half\nx\n")])
def test_mending_ends_a_torn_line(tmp_path: Path, there: bytes, first: bytes) -> None:
    path = tmp_path / "log"
    path.write_bytes(there)
    journal = Journal(str(path))
    journal.mend()
    journal.append(b"x\n", 1.0)
    assert path.read_bytes() == first


def test_a_pipe_that_nobody_reads_blocks_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")
    journal = Journal(str(tmp_path / "log"))
    journal.mend()
    assert not journal.append(b"x\n", 1.0)
