"""Puts the harness on the path of all tests, and keeps compiled rules from one to the next."""

import os
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from sipsieve import compiled
from sipsieve.patterns import collecting, ready

sys.path.insert(0, str(Path(__file__).parent))
CACHE = Path(__file__).parent.parent / "build" / "patterns"
os.environ.setdefault("SIPSIEVE_CACHE", str(CACHE))

KEPT = f"{CACHE}-tests"
_session = ExitStack()
_sets: dict[str, bytes] = {}


def pytest_sessionstart(session: pytest.Session) -> None:
    """The rules are compiled once for the tests in this process too: a set takes five seconds, and many modules need it."""
    global _sets
    CACHE.parent.mkdir(exist_ok=True)
    known = compiled.read(KEPT)
    _sets = _session.enter_context(collecting())
    _session.enter_context(ready(known))
    _session.enter_context(ready(_sets))


def pytest_collection_finish(session: pytest.Session) -> None:
    """By now most are compiled: they are written, for a test that runs others in a process of its own and for the next run."""
    if _sets.keys() - (known := compiled.read(KEPT)).keys():
        compiled.write(KEPT, {**known, **_sets})


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    _session.close()
