"""The lab's scenarios without the guard: an attack that does nothing there would show nothing.

With the guard, test_demo.py replays the same ones; with a back office behind, `make lab` does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import ROOT
from replayer.loopback import Loopback
from replayer.replay import replay
from replayer.scenario import load_all

SCENARIOS = {loaded.name: loaded for loaded in load_all(ROOT / "lab" / "scenarios")}

#: What the lab is to show at least.
WANTED = {
    "eaglesip-sqli", "reverse-shell", "invite-flood-10-ports", "content-length-zero", "extension-scan",
    "register-bruteforce", "header-smuggling-tcp", "log-injection", "xss-callerid", "jndi-useragent",
    "dialplan-injection", "malformed-fuzz", "toll-fraud-dialing", "wangiri-callback", "stolen-credential-friday-night",
    "prefix-hunting", "pbx-through-dial", "calls-around-the-world", "ban-poisoning", "legit-day",
}  # fmt: skip


def test_none_is_missing() -> None:
    assert set(SCENARIOS) >= WANTED


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    with Loopback(tmp_path_factory.mktemp("plain"), ("edge-plain",)) as running:
        yield running


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_without_the_guard(stage: Loopback, name: str) -> None:
    report = replay(SCENARIOS[name], stage, "edge-plain")
    assert report.held, report.broken
    assert not stage.alive(), "a server ended"


def _replay(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "VENV": str(Path(sys.executable).parent.parent)}
    return subprocess.run(
        [ROOT / "lab" / "replay", *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_replay_at_somebody_elses_address_is_refused() -> None:
    done = _replay("eaglesip-sqli", "--target", "192.0.2.77:5060")
    assert done.returncode == 2
    assert "--foreign-target 192.0.2.77 --owner-consents" in done.stderr
    assert done.stdout == ""


def test_a_replay_at_an_address_on_loopback_says_what_was_answered(stage: Loopback) -> None:
    host, port = stage.target("edge-plain")
    done = _replay("eaglesip-sqli", "--target", f"{host}:{port}")
    assert done.returncode == 0, done.stderr
    assert "404, 404" in done.stdout


@pytest.mark.parametrize("where", ["nowhere", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:x"])
def test_a_target_that_is_none_is_explained(where: str) -> None:
    done = _replay("eaglesip-sqli", "--target", where)
    assert done.returncode == 2
    assert "ADDRESS:PORT" in done.stderr
