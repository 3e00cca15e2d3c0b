"""Nodes that did not hear each other for a while notice it, and each is told once what it missed."""

from __future__ import annotations

import pytest

from sipsieve.abuse import bans
from sipsieve.abuse.ban_table import AT_ONCE, BanTable
from sipsieve.abuse.ban_table import Access as Bans
from sipsieve.abuse.cluster import SILENT, Access, Cluster

NAMES = ("10.0.0.1:5062", "10.0.0.2:5062", "10.0.0.3:5062")


class Nodes:
    """Nodes whose tables are copies of each other, as far as `heard` (who, by whom) says; a second is a turn."""

    def __init__(self, began: float = 1000.0) -> None:
        self.cut: set[tuple[str, str]] = set()
        self.tables: dict[str, dict[str, str]] = {name: {} for name in NAMES}
        self.nodes = {name: self.node(name) for name in NAMES}
        # Each counts seconds by a clock of its own.
        self.clocks = {name: began * (number + 1) for number, name in enumerate(NAMES)}

    def node(self, name: str) -> Cluster:
        def put(key: str, value: str, _seconds: int) -> None:
            for other, table in self.tables.items():
                if other == name or (name, other) not in self.cut:
                    table[key] = value

        return Cluster(Access(name, lambda: dict(self.tables[name]), put))

    def seconds(self, count: int) -> dict[str, list[str]]:
        """What each node was asked for in that time, by whom."""
        asked: dict[str, list[str]] = {name: [] for name in NAMES}
        for _ in range(count):
            for name, node in self.nodes.items():
                self.clocks[name] += 1
                asked[name] += node.look(self.clocks[name])
        return asked


def test_nodes_that_hear_each_other_ask_for_nothing() -> None:
    assert Nodes().seconds(300) == {name: [] for name in NAMES}


def test_a_cut_makes_both_sides_tell_once() -> None:
    nodes = Nodes()
    nodes.seconds(60)
    one, two, three = NAMES
    nodes.cut = {(one, two), (two, one), (one, three), (three, one)}
    assert nodes.seconds(90) == {name: [] for name in NAMES}
    nodes.cut = set()
    asked = nodes.seconds(120)
    assert sorted(asked[one]) == [two, three], "the two others missed what was said by the first"
    assert asked[two] == asked[three] == [one]
    nodes.cut = {(one, two), (two, one)}
    nodes.seconds(20)
    nodes.cut = set()
    assert nodes.seconds(120) == {one: [two], two: [one], three: []}, "each return counts"


def test_an_ask_that_can_not_be_heard_yet_is_made_until_it_is() -> None:
    nodes = Nodes()
    nodes.seconds(10)
    one, two, _ = NAMES
    nodes.cut = {(one, two), (two, one)}
    nodes.seconds(30)
    # The one direction is back earlier: Kamailio's DMQ takes nodes from its list on each side by itself.
    nodes.cut = {(two, one)}
    assert nodes.seconds(40) == {name: [] for name in NAMES}
    nodes.cut = set()
    asked = nodes.seconds(60)
    assert (asked[one], asked[two]) == ([two], [one])


def test_a_pause_in_which_all_is_sent_again_is_none() -> None:
    nodes = Nodes()
    nodes.seconds(10)
    nodes.cut = {(NAMES[0], NAMES[1])}
    nodes.seconds(int(SILENT) - 3)
    nodes.cut = set()
    assert nodes.seconds(60) == {name: [] for name in NAMES}


def test_a_node_that_begins_anew_asks_where_it_heard_nothing_for_long() -> None:
    nodes = Nodes()
    nodes.seconds(60)
    one, two, three = NAMES
    nodes.nodes[one], nodes.tables[one], nodes.clocks[one] = nodes.node(one), {}, 5.0
    nodes.cut = {(two, one), (three, one)}
    nodes.seconds(30)
    nodes.cut = set()
    asked = nodes.seconds(60)
    assert (asked[two], asked[three]) == ([one], [one])


@pytest.mark.parametrize(
    "value",
    ["", "x", "1 ", "1 10.0.0.1:5062", "1 10.0.0.1:5062=", "-1", "9" * 40, "1 " + "a" * 200 + "=1", "1\n2", "²"],
)
def test_what_is_no_entry_is_passed_over(value: str) -> None:
    table = {"10.0.0.9:5062": value}
    node = Cluster(Access(NAMES[0], lambda: table, lambda *_: None))
    assert [node.look(float(second)) for second in range(30)] == [[]] * 30


def test_strange_entries_are_bounded() -> None:
    table = {f"10.0.{number}.1:5062": f"1 {NAMES[0]}=1" for number in range(200)}
    node = Cluster(Access(NAMES[0], lambda: table, lambda *_: None))
    assert len(node.look(1.0)) <= 16


def test_bans_are_told_again_over_time_and_not_those_that_are_over() -> None:
    table = {f"192.0.2.{number}": bans.Entry(f"192.0.2.{number}", "manual", 0, 1000).value for number in range(250)}
    told: list[tuple[str, int]] = []
    said: list[tuple[str, object]] = []

    def notice(action: str, _now: float, detail: dict[str, object]) -> bool:
        said.append((action, detail["bans"]))
        return True

    access = Bans(lambda: dict(table), lambda key, _value, seconds: told.append((key, seconds)), table.pop)
    banlist = BanTable(access, lambda key: False, notice)
    banlist.look(10.0, 10.0)
    banlist.announce(["10.0.0.2:5062"], 10.0)
    assert (said, told) == ([("announce", 250)], []), "nothing at once"
    banlist.look(11.0, 11.0)
    assert len(told) == AT_ONCE
    assert told[0][1] == 989, "for as long as they still last"
    lifted = "192.0.2.249"
    del table[lifted]
    for second in range(12, 20):
        banlist.look(float(second), float(second))
    assert len(told) == 249
    assert lifted not in dict(told)
    # Asked again while it still tells: each ban is told once more, and none twice.
    told.clear()
    banlist.announce(["10.0.0.2:5062"], 20.0)
    banlist.look(20.0, 20.0)
    banlist.announce(["10.0.0.3:5062"], 21.0)
    for second in range(21, 30):
        banlist.look(float(second), float(second))
    assert len(told) == 249 + AT_ONCE
