"""Puts the harness on the path of all tests, and keeps compiled rules from one to the next."""

import os
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from sipsieve.compiled import kept
from sipsieve.patterns import collecting, ready

sys.path.insert(0, str(Path(__file__).parent))
CACHE = Path(__file__).parent.parent / "build" / "patterns"
os.environ.setdefault("SIPSIEVE_CACHE", str(CACHE))

_session, _file = ExitStack(), ExitStack()


def pytest_sessionstart(session: pytest.Session) -> None:
    """The rules are compiled once for the tests in this process too: a set takes five seconds, and many modules need it."""
    CACHE.parent.mkdir(exist_ok=True)
    _session.enter_context(ready(_session.enter_context(collecting())))
    _file.enter_context(kept(f"{CACHE}-tests"))


def pytest_collection_finish(session: pytest.Session) -> None:
    """By now most are compiled: they are written, for the processes that tests start and for the next run."""
    _file.close()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    _file.close()
    _session.close()
