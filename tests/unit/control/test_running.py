"""What a process of Kamailio's holds of the guard, with Kamailio made of plain functions."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sipsieve import _core, model
from sipsieve.abuse import ban_table, earned_standing, own_addresses
from sipsieve.control import timer
from sipsieve.control.running import Kamailio, Running
from sipsieve_analysis import agents


class Made:
    """A process of the guard; `said` is what it wrote to syslog, `guards` what decides since when."""

    def __init__(self, folder: Path) -> None:
        self.said: list[str] = []
        self.guards: list[_core.Guard] = []
        nothing: Callable[..., Any] = lambda *_: None  # noqa: E731
        kamailio = Kamailio(
            calls=lambda: dict.fromkeys(
                ("get", "broken", "in_transaction", "pending", "answerable", "answer", "replace"), nothing
            ),
            armed=self.guards.append,
            tables=timer.Tables(lambda name: {}, nothing, nothing, nothing),
            increment=lambda table, key: 1,
            expire=nothing,
            bans=ban_table.Access(dict, nothing, nothing),
            standing=earned_standing.Access(dict, nothing, nothing, nothing, nothing, nothing),
            cluster=None,
            own=own_addresses.OwnAddresses((), lambda address: address == "192.0.2.10", ()),
            is_off=lambda: False,
            turned_by=lambda: "",
            passed=lambda: 0,
            prometheus=nothing,
            crit=self.said.append,
            err=self.said.append,
            warn=self.said.append,
        )
        self.running = Running(kamailio, str(folder / "installed.toml"))


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Made]]:
    """Makes a process by a policy, which stands where the installed one does."""
    monkeypatch.delenv("SIPSIEVE_POLICY", raising=False)
    monkeypatch.setenv("SIPSIEVE_LOG", str(tmp_path / "decisions.jsonl"))
    monkeypatch.setenv("SIPSIEVE_LAST_GOOD", str(tmp_path / "last-good"))

    def make(policy: str) -> Made:
        (tmp_path / "installed.toml").write_text(policy)
        return Made(tmp_path)

    yield make
    _core.remove_ledger(str(tmp_path / "decisions.jsonl.ledger"))


def test_a_start_is_on_record_and_a_worker_is_armed_after_the_fork(made: Callable[[str], Made], tmp_path: Path) -> None:
    one = made('mode = "observe"\n')
    assert one.running.policy.mode == "observe" and one.guards == []
    one.running.born(1)
    assert one.guards == [one.running.guard]
    [start] = map(json.loads, (tmp_path / "decisions.jsonl").read_text().splitlines())
    assert start["event"]["action"] == "start"


def test_what_becomes_of_a_message_that_the_guard_failed_on_is_the_policy_s_to_say(made: Callable[[str], Made]) -> None:
    one = made('[failure]\nstrangers = "closed"\ntrusted = "open"\n[[network]]\ncidr = "192.0.2.5"\ntrusted = true\n')
    for address, verdict in (("198.51.100.1", model.Verdict.REJECT), ("192.0.2.5", model.Verdict.ALLOW)):
        assert one.running.judged(ValueError(), b"INVITE sip:a SIP/2.0", f"udp|{address}|5060").verdict is verdict


def test_the_server_s_own_address_is_never_banned(made: Callable[[str], Made]) -> None:
    running = made("").running
    assert running.never_banned("192.0.2.10") and not running.never_banned("192.0.2.11")


def test_an_error_that_repeats_is_said_once(made: Callable[[str], Made]) -> None:
    one = made("")
    before = len(one.said)
    for _ in range(20):
        one.running.failed(ValueError("x"))
    assert len(one.said) == before + 1 and "ValueError" in one.said[-1]


def test_machines_that_start_together_name_no_two_decisions_alike(
    made: Callable[[str], Made], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As in containers: the same moment, and processes of the same number.
    monkeypatch.setattr("sipsieve.control.running.time.time", lambda: 1_800_000_000.0)
    begun = []
    for _ in range(2):
        process = made("").running
        process.born(1)
        begun.append(process._accounting.prefix)
    assert begun[0] != begun[1]
    assert all(one.startswith(f"6b49d200-{os.getpid():x}") for one in begun)
    # As `explain` and agents take it.
    assert all(agents.decision(f"{one}-ffffffff") for one in begun)
