"""What operators are answered, and that each change is on record; addresses of ours; what a failure becomes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import one_rule
from mmdb import written
from sipsieve.abuse import bans, shared_counters
from sipsieve.abuse.earned_standing import STANDING
from sipsieve.abuse.own_addresses import OwnAddresses, local_ipv6
from sipsieve.config import policy
from sipsieve.config.geo import Geo
from sipsieve.control import rpc_table
from sipsieve.control.admin import Administration, Place, Server
from sipsieve.control.feeds import Feeder
from sipsieve.control.geo_files import GeoFiles
from sipsieve.control.reload import Control
from sipsieve.control.scoreboard import Worker
from sipsieve.control.shared_memory import Shared
from sipsieve.decision import fail_mode, revision
from sipsieve.detection import ruleset
from sipsieve.model import Verdict
from sipsieve.posix import process

NOW = 1_000_000.0


class Table(dict[str, str]):
    """The table of requests and answers."""

    def entries(self) -> dict[str, str]:
        return dict(self)

    def put(self, key: str, value: str) -> None:
        self[key] = value

    def remove(self, key: str) -> None:
        del self[key]


class _Counters:
    """Counters that all stand at 3."""

    def get(self, key: str) -> int:
        return 3


class Desk:
    """An administration with a real control."""

    def __init__(self, folder: Path, geo: Geo | None = None) -> None:
        self.policy = folder / "policy.toml"
        self.policy.write_text(f'[geo]\ncountry = "{geo.country}"\n' if geo else "")
        self.full = False
        self.written: list[tuple[str, float, dict[str, Any]]] = []
        self.errors: list[BaseException] = []
        self.adopted: list[int] = []
        self.values: dict[tuple[str, str], object] = {(shared_counters.COUNTS, shared_counters.LIVE_BANS): 4}
        shared = Shared(10)
        shared.broadcast.begin(1)
        live = one_rule.live()
        self.geo = GeoFiles(geo or live.policy.geo)
        if geo:
            self.geo.load(geo, NOW)
            live = revision.build(1, policy.load(str(self.policy)), one_rule.rules(), geo=self.geo.table)
        control = Control(live, self._load, shared.broadcast, lambda: NOW, self.geo)
        worker = Worker(1, 100, 1, NOW, 0, 0, 0)
        server = Server(
            Place(str(self.policy), "/log", NOW - 60),
            shared,
            lambda table, key: self.values.get((table, key)),
            lambda: {key: str(value) for (table, key), value in self.values.items() if table == STANDING},
            lambda: [(worker, 5_000_000)],
            lambda: True,
            lambda: _Counters(),  # type: ignore[arg-type, return-value]
            Feeder(None, self._notice),
            self.geo,
        )
        self.administration = Administration(
            control, server, lambda new, now: self.adopted.append(new.number), self._notice, self.errors.append
        )
        self.table = Table()

    def _load(self) -> tuple[policy.Policy, ruleset.Ruleset]:
        return policy.load(str(self.policy)), one_rule.rules()

    def _notice(self, action: str, now: float, detail: Mapping[str, Any]) -> bool:
        if not self.full:
            self.written.append((action, now, dict(detail)))
        return not self.full

    def ask(self, now: float = NOW, **asked: Any) -> dict[str, Any]:
        """One request through the table, and its answer."""
        self.table["ask:1"] = rpc_table.encode(asked)
        self.administration.round(self.table, lambda: now, lambda: 60.0)
        return rpc_table.decode(self.table.pop("say:1"))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_status_says_what_runs(desk: Desk) -> None:
    said = desk.ask(do="status")
    assert (said["ok"], said["inspection"], said["bans"], said["log"]) == (True, "off", 4, "/log")
    assert (said["started"], said["since"]) == (NOW - 60, NOW - 60)
    assert [(worker["pid"], worker["memory"]) for worker in said["workers"]] == [(100, 5_000_000)]
    assert desk.written == []


def test_the_policy_is_named_by_its_own_path_as_it_is_now(desk: Desk, tmp_path: Path) -> None:
    assert desk.ask(do="status")["policy_file"] == str(desk.policy.resolve())
    desk.policy.unlink()
    desk.policy.symlink_to(tmp_path / "other.toml")
    assert desk.ask(do="status")["policy_file"] == str(tmp_path.resolve() / "other.toml")


def test_a_source_is_told_with_its_ban(desk: Desk) -> None:
    assert desk.ask(do="source", ip="192.0.2.1")["ban"] is None
    ban = bans.Entry("192.0.2.1", "limit-invite", int(NOW), int(NOW) + 60)
    desk.values[shared_counters.BANS, "192.0.2.1"] = ban.value
    said = desk.ask(do="source", ip="192.0.2.1")
    assert said["ban"] == ban._asdict()
    assert set(said["counters"]) == {"udp", "tcp", "ws"}


def test_a_change_is_adopted_recorded_and_taken_back_in_time(desk: Desk) -> None:
    assert desk.ask(do="set", key="limits.invite.per_minute", value="60", seconds=10, user="alice")["ok"]
    assert desk.ask(do="status")["set"] == {
        "limits.invite.per_minute": {"text": "60", "until": NOW + 10, "user": "alice"}
    }
    desk.administration.round(desk.table, lambda: NOW + 11, lambda: 71.0)
    assert desk.adopted == [2, 3]
    assert [(action, detail["user"]) for action, _, detail in desk.written] == [("set", "alice"), ("unset", "sipsieve")]


def test_a_file_that_is_set_is_read_and_one_that_can_t_be_used_is_refused(tmp_path: Path) -> None:
    files = {}
    for home in ("DE", "FR"):
        files[home] = tmp_path / home
        files[home].write_bytes(written({"192.0.2.0/24": {"country": home}}, NOW))
    desk = Desk(tmp_path, Geo(country=str(files["DE"])))

    def home() -> str:
        assert desk.geo.table is not None
        return desk.geo.table.find("192.0.2.1")[0]

    assert home() == "DE" and desk.ask(do="status")["geo"]["country"]["file"] == str(files["DE"])
    assert desk.ask(do="set", key="geo.country", value=str(files["FR"]), seconds=10)["ok"] and home() == "FR"
    assert desk.ask(do="status")["geo"]["country"]["file"] == str(files["FR"])
    # A reload keeps what is set, and reads that file again.
    files["FR"].write_bytes(written({"192.0.2.0/24": {"country": "IT"}}, NOW))
    assert desk.ask(do="set", key="mode", value="observe")["ok"] and home() == "FR"
    assert desk.ask(do="reload")["ok"] and home() == "IT"
    refused = desk.ask(do="set", key="geo.country", value=str(tmp_path / "none"))
    assert not refused["ok"] and "can't be read: No such file" in refused["error"] and home() == "IT"
    assert desk.ask(do="status")["set"]["geo.country"]["text"] == str(files["FR"])
    # Nothing keeps what was set past its time; what can't be had then is said.
    files["DE"].unlink()
    desk.administration.round(desk.table, lambda: NOW + 11, lambda: 71.0)
    assert home() == "" and "no address has a country" in desk.ask(do="status")["geo"]["country"]["problem"]
    assert desk.written[-1][0] == "geo" and "no address has a country" in desk.written[-1][2]["reason"]


def test_a_refused_change_is_recorded_and_not_adopted(desk: Desk) -> None:
    assert not desk.ask(do="set", key="no.such.key", value="1")["ok"]
    assert desk.adopted == []
    assert [(action, detail["outcome"]) for action, _, detail in desk.written] == [("set", "failure")]


def test_a_record_that_could_not_be_written_comes_later_with_its_own_time(desk: Desk) -> None:
    desk.full = True
    desk.ask(do="reload", user="alice")
    desk.full = False
    desk.administration.round(desk.table, lambda: NOW + 30, lambda: 90.0)
    desk.administration.round(desk.table, lambda: NOW + 31, lambda: 91.0)
    assert [(action, when) for action, when, _ in desk.written] == [("reload", NOW)]


def test_an_error_of_ours_is_an_answer_and_counted(desk: Desk) -> None:
    desk.policy.unlink()
    desk.policy.mkdir()
    said = desk.ask(do="reload")
    assert not said["ok"] and said["error"]
    assert desk.ask(do="status")["ok"]


@pytest.mark.parametrize(
    ("key", "held"),
    [("192.0.2.1", True), ("192.0.2.2", True), ("192.0.2.3", False), ("192.0.2", False), ("2001:db8:0:1", True),
     ("2001:db8:0:2", False), ("2001:db8:0:1:0:0:0:7", True)],
)  # fmt: skip
def test_own_addresses_are_the_listeners_and_the_nodes(key: str, held: bool) -> None:
    listening = {"192.0.2.1", "[2001:db8:0:1:0:0:0:7]"}
    own = OwnAddresses(["192.0.2.2:5062"], listening.__contains__, ["20010db8000000010000000000000007"])
    assert own.hold(key) is held


def test_the_machine_is_asked_as_the_kernel_tells() -> None:
    assert all(len(line) == 32 for line in local_ipv6())
    assert process.resident(os.getpid()) > 1_000_000
    assert process.resident(-1) == 0
    process.give_back()


@pytest.mark.parametrize(
    ("raw", "trusted", "text", "verdict", "status"),
    [
        (b"INVITE sip:a SIP/2.0", False, "", Verdict.REJECT, 503),
        (b"INVITE sip:a SIP/2.0", True, "", Verdict.ALLOW, 0),
        (b"INVITE sip:a SIP/2.0", False, 'mode = "observe"', Verdict.ALLOW, 0),
        (b"INVITE sip:a SIP/2.0", False, '[failure]\nstrangers = "open"', Verdict.ALLOW, 0),
        (b"ACK sip:a SIP/2.0", False, "", Verdict.REJECT, 0),
        (b"sip/2.0 200 OK", False, "", Verdict.ALLOW, 0),
    ],
)
def test_a_failure_becomes_what_the_policy_says(
    raw: bytes, trusted: bool, text: str, verdict: Verdict, status: int
) -> None:
    decided = fail_mode.decision(RuntimeError("x" * 500), raw, trusted, policy.loads(text))
    assert (decided.verdict, decided.status, decided.error, len(decided.reason)) == (verdict, status, True, 200)


def test_an_error_is_said_by_type_and_place_without_foreign_text() -> None:
    try:
        raise RuntimeError("text\nfrom the wire")
    except RuntimeError as error:
        said = fail_mode.line(error)
    assert said.startswith("RuntimeError at test_admin.py:")
    assert "wire" not in said
    assert fail_mode.line(ValueError()) == "ValueError at ?"
