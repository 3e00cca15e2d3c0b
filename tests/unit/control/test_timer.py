"""What the timer process does: drops, bans, the kill switch, summaries that wait, metrics; with tables as dictionaries."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import one_rule
from sipsieve.abuse import bans, earned_standing
from sipsieve.abuse.ban_table import Access, BanTable
from sipsieve.abuse.shared_counters import COUNTS, KEPT, LIVE_BANS
from sipsieve.control import metrics, timer
from sipsieve.control.killswitch import KillSwitch
from sipsieve.control.shared_memory import Shared
from sipsieve.decision_log.backlog import Backlog
from sipsieve.decision_log.ledger import OVERFLOW, Entry, Ledger
from sipsieve.decision_log.writer import Journal
from sipsieve.model import Ban, Scope

NOW = 1_000_000.0


class Notices(list[tuple[str, dict[str, Any]]]):
    """Takes notices, or refuses them as a full disk does."""

    full = False

    def __call__(self, action: str, now: float, detail: Mapping[str, Any]) -> bool:
        if not self.full:
            self.append((action, dict(detail)))
        return not self.full


def entry(messages: int = 1) -> Entry:
    return Entry("192.0.2.1", "INVITE", "allow", messages, NOW, NOW)


class TestBacklog:
    def test_what_can_not_be_written_waits_in_its_order(self) -> None:
        written: list[Entry] = []
        room = 1

        def write(one: Entry, now: float) -> bool:
            if len(written) == room:
                return False
            written.append(one)
            return True

        ledger = Ledger("", 1, 10)
        backlog = Backlog(ledger, write)
        for number in (2, 0, 1):
            backlog.add([Entry(f"192.0.2.{number}", "INVITE", "allow", number + 1, NOW + number, NOW + number)])
        backlog.write(NOW)
        assert len(backlog) == 2
        room = 9
        backlog.write(NOW)
        assert ([one.messages for one in written], len(backlog)) == ([1, 2, 3], 0)
        assert ledger.waiting() == []

    def test_a_disk_that_is_full_for_days_costs_no_count(self) -> None:
        ledger = Ledger("", 1, 10)
        backlog = Backlog(ledger, lambda one, now: False)
        for number in range(20_000):
            backlog.add([Entry(f"10.0.{number // 256}.{number % 256}", "INVITE", "drop", 1, NOW, NOW)])
            if number % 1000 == 0:
                backlog.write(NOW)
        written: list[Entry] = []
        Backlog(ledger, lambda one, now: written.append(one) is None).write(NOW)
        assert sum(one.messages for one in written) + len(backlog) == 20_000
        assert len(written) <= 4096


class TestKillSwitch:
    def test_a_turn_is_written_once_and_what_passed_is_counted(self) -> None:
        notices, state = Notices(), {"off": False, "by": "start", "passed": 0}
        switch = KillSwitch(lambda: bool(state["off"]), lambda: state["by"], lambda: int(str(state["passed"])), notices)
        assert switch.look(NOW, 10) == []
        state |= {"off": True, "by": "alice: ticket\n\x1b[2J"}
        assert switch.look(NOW + 1, 10) == []
        state["passed"] = 7
        assert switch.look(NOW + 2, 10) == []
        (passed,) = switch.look(NOW + 12, 10)
        assert (passed.ip, passed.verdict, passed.messages, passed.first) == (OVERFLOW[0], "off", 7, NOW + 1)
        state |= {"off": False, "by": "bob"}
        switch.look(NOW + 13, 10)
        assert [action for action, _ in notices] == ["off", "on"]

    def test_a_turn_that_could_not_be_written_is_written_later(self) -> None:
        notices = Notices()
        notices.full = True
        switch = KillSwitch(lambda: True, lambda: None, lambda: 0, notices)
        switch.look(NOW, 10)
        notices.full = False
        switch.look(NOW + 1, 10)
        switch.look(NOW + 2, 10)
        assert notices == [("off", {"reason": "None"})]

    def test_a_counter_of_32_bits_that_wraps_loses_nothing(self) -> None:
        passed = 2**32 - 3
        switch = KillSwitch(lambda: False, lambda: "start", lambda: passed, Notices())
        switch.look(NOW, 1)
        passed = 4
        assert [one.messages for one in switch.look(NOW + 1, 1)] == [7]


class Table(dict[str, str]):
    """A table of bans whose entries do not expire."""

    @property
    def access(self) -> Access:
        return Access(lambda: dict(self), lambda key, value, seconds: self.update({key: value}), self.pop)


class TestBanlist:
    def test_a_ban_stands_in_the_table_and_in_the_log(self) -> None:
        table, notices = Table(), Notices()
        banlist = BanTable(table.access, lambda key: False, notices)
        banlist.impose(Ban("192.0.2.1", 60, "limit-invite", 2, Scope.DATAGRAMS, "481 invite"), NOW)
        assert bans.entry("192.0.2.1", table["192.0.2.1"]) == bans.Entry(
            "192.0.2.1", "limit-invite", int(NOW), int(NOW) + 60, 2, Scope.DATAGRAMS, "481 invite"
        )
        ((action, detail),) = notices
        assert action == "ban"
        # fail2ban's filter is anchored on this order.
        assert list(detail)[:4] == ["network", "source", "rule", "seconds"]

    def test_what_is_restored_is_what_may_be_banned(self) -> None:
        table = Table()
        banlist = BanTable(table.access, lambda key: key == "192.0.2.9", Notices())
        kept = [bans.Entry(f"192.0.2.{n}", "limit-invite", int(NOW), int(NOW) + 60) for n in (1, 9)]
        assert [one.key for one in banlist.restore(bans.dump(kept, NOW), NOW, 10)] == ["192.0.2.1"]
        assert set(table) == {"192.0.2.1"}
        with pytest.raises(ValueError):
            banlist.restore("nothing", NOW, 10)

    def test_a_look_lifts_what_must_not_stand_and_mends_a_set_clock(self) -> None:
        table, notices = Table(), Notices()
        banlist = BanTable(table.access, lambda key: key == "192.0.2.9", notices)
        for key in ("192.0.2.1", "192.0.2.9"):
            table[key] = bans.Entry(key, "limit-invite", int(NOW), int(NOW) + 60).value
        assert banlist.look(NOW, 5.0) == (1, False)
        table.clear()
        assert banlist.look(NOW + 3600, 6.0) == (0, True)
        assert bans.entry("192.0.2.1", table["192.0.2.1"]) is not None
        assert [action for action, _ in notices] == ["unban", "clock"]


class House:
    """Housekeeping over dictionaries, a real ledger and a real log."""

    def __init__(self, folder: Path) -> None:
        self.tables: dict[str, dict[str, Any]] = {}
        self.notices = Notices()
        self.written: list[Entry] = []
        self.shared = Shared(10)
        self.bans = Table()
        self.revision = one_rule.live()
        backlog = Backlog(self.shared.ledger, lambda one, now: self.written.append(one) is None)
        banlist = BanTable(self.bans.access, lambda key: False, self.notices)
        switch = KillSwitch(lambda: False, lambda: "start", lambda: 0, self.notices)
        tables = timer.Tables(
            lambda name: self.table(name),
            lambda name, key: self.table(name).get(key, 0),
            lambda name, key, value: self.table(name).update({key: value}),
            lambda name: self.table(name).clear(),
        )
        journal = Journal(str(folder / "decisions.jsonl"))
        self.kept: list[str] = []
        standing = self.table(earned_standing.STANDING)
        access = earned_standing.Access(
            lambda: standing,
            standing.get,
            lambda key, value, _seconds: standing.update({key: value}),
            lambda key: standing.pop(key, None),
            lambda _table, _key: 1,
            lambda _table, key, value: self.table("sipsieve_counts").update({key: value}),
        )
        self.keeper = timer.Housekeeping(
            self.shared,
            journal,
            backlog,
            banlist,
            earned_standing.StandingTable(access, self.shared.memory.earned, self.notices),
            self.kept.append,
            switch,
            tables,
            list,
            self.notices,
        )
        self.shared.board.attach(0, 1, 1, NOW)

    def shares(self, counts: dict[int, int]) -> None:
        """By window, how often sources found no counter of their own."""
        memory = SimpleNamespace(
            shared_by=lambda window: counts.get(window, 0),
            forget=lambda: None,
            earned=self.shared.memory.earned,
            sweep=lambda minute, hour: 0,
        )
        self.shared.memory = memory  # type: ignore[assignment]

    def table(self, name: str) -> dict[str, Any]:
        return self.tables.setdefault(name, {})

    def round(self, now: float, steady: float) -> list[Entry]:
        """The entries that one round found and wrote."""
        self.written.clear()
        self.keeper.round(self.revision, now, steady)
        self.keeper.write(self.revision, now)
        return list(self.written)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_drops_are_counted_by_what_came_since(house: House) -> None:
    house.revision = one_rule.live("[log]\nsummary_seconds = 1\n")
    banned = house.table(timer.BANNED)
    banned["192.0.2.1"] = "5"
    assert [one.messages for one in house.round(NOW, 100)] == [5]
    assert house.table(timer.SEEN) == {"192.0.2.1": int(NOW)}
    assert house.round(NOW + 1, 101) == []
    banned["192.0.2.1"] = "7"
    assert [one.messages for one in house.round(NOW + 2, 102)] == [2]
    # The entry expired, and began anew.
    banned["192.0.2.1"] = "3"
    assert [(one.ip, one.verdict, one.messages) for one in house.round(NOW + 3, 103)] == [("192.0.2.1", "banned", 3)]
    assert house.shared.board.totals().messages == {("other", "banned", "other"): 10}


def test_drops_are_gathered_for_an_interval(house: House) -> None:
    banned = house.table(timer.BANNED)
    written = []
    for second in range(25):
        banned["192.0.2.1"] = str(second + 1)
        written += [(second, one.messages) for one in house.round(NOW + second, 100 + second)]
    # Ten seconds are the default, and a count begins a second before it is seen.
    assert written == [(9, 10), (19, 10)]
    # A clock that was set back keeps nothing waiting.
    assert [one.messages for one in house.round(NOW - 100, 121)] == [5]


def test_counts_of_a_finished_interval_are_written_and_shown(house: House) -> None:
    house.shared.ledger.attach(1)
    for _ in range(3):
        house.shared.ledger.tally("192.0.2.1", "INVITE", "allow", NOW, "udp")
    assert house.round(NOW + 1, 101) == []
    assert [one.messages for one in house.round(NOW + 12, 112)] == [3]
    assert house.shared.board.totals().messages == {("INVITE", "allow", "udp"): 3}


def test_what_was_taken_is_kept_when_the_next_part_fails(house: House) -> None:
    house.shared.ledger.attach(1)
    house.shared.ledger.tally("192.0.2.1", "INVITE", "allow", NOW, "udp")
    house.table(timer.BANNED)["192.0.2.2"] = "no number"
    with pytest.raises(ValueError):
        house.keeper.round(house.revision, NOW + 12, 112)
    house.keeper.write(house.revision, NOW + 12)
    assert [one.messages for one in house.written] == [1]


def test_bans_are_counted_and_a_set_clock_empties_the_counters(house: House) -> None:
    house.bans["192.0.2.1"] = bans.Entry("192.0.2.1", "limit-invite", int(NOW), int(NOW) + 60).value
    house.table(COUNTS)["old"] = 9
    house.table(COUNTS)[KEPT] = 1
    house.shared.counts.increase("old", 1)
    house.round(NOW, 100)
    assert house.table(COUNTS) == {"old": 9, LIVE_BANS: 1, KEPT: 1, earned_standing.LIVE: 0}
    assert house.shared.counts.get("old", 1) == 1
    house.round(NOW + 7200, 101)
    assert house.table(COUNTS) == {LIVE_BANS: 1, KEPT: 1}
    assert house.shared.counts.get("old", 1) == 0, "as after `htable.flush sipsieve_counts`"


def test_a_counter_of_a_minute_does_not_come_back_when_its_number_comes_round(house: House) -> None:
    # The tables tell 4,096 windows apart: without sweeps, the same name's place would be live again 68 hours later.
    minutes, name = 4096, "192.0.2.1:u:invite"
    house.table(COUNTS)[KEPT] = 1
    house.round(NOW, 6000)
    house.shared.counts.increase(name, 100, 7)
    assert house.shared.counts.get(name, 100 + minutes) == 7, "what the sweeps are for"
    house.round(NOW + 60, 6060)
    assert house.shared.counts.get(name, 101) == 7, "the window before is kept"
    for hour in range(1, 69):
        house.round(NOW + hour * 3600, 6000 + hour * 3600)
    assert house.shared.counts.get(name, 100 + minutes) == 0
    assert house.shared.counts.increase(name, 100 + minutes) == 1


def test_the_counters_are_swept_once_an_hour(house: House) -> None:
    swept: list[tuple[int, int]] = []
    house.shares({})
    house.shared.memory.sweep = lambda minute, hour: swept.append((minute, hour)) or 0  # type: ignore[method-assign,func-returns-value]
    for steady in (3600, 3601, 7199, 7200, 7201):
        house.round(NOW + steady, steady)
    assert swept == [(60, 1), (120, 2)]


def test_shared_counters_are_told_of_by_what_came_since(house: House) -> None:
    for shared_by, steady in ((4, 60), (4, 61), (6, 62), (1, 120)):
        house.shares({steady // 60: shared_by})
        house.round(NOW + steady, steady)
    assert [detail["requests"] for action, detail in house.notices if action == "overflow"] == [4, 2, 1]


def test_metrics_are_exported_each_five_seconds(house: House) -> None:
    house.table(COUNTS)[LIVE_BANS] = 2
    house.shares({1: 3})
    for number in range(8):
        house.shared.counts.increase(f"192.0.2.{number}:u:invite:1", 1)
    assert list(house.keeper.updates(house.revision, NOW + 1, 60, False)) == []
    shown = {update.name: update.value for update in house.keeper.updates(house.revision, NOW, 60, True)}
    wanted = {metrics.BANS: 2, metrics.TRACKED: 8, metrics.INSPECTION: 0, metrics.OVERFLOW: 3}
    assert {name: shown[name] for name in wanted} == wanted
