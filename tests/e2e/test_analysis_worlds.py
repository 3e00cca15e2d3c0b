"""Grouping, intents and campaigns over labelled worlds; `make worlds` runs twenty."""

from __future__ import annotations

from pathlib import Path

import pytest

from worlds.measure import measured
from worlds.people import PHONES, register
from worlds.run import report_of, scored
from worlds.world import HOUR, START, World


@pytest.mark.parametrize("seed", [2, 5, 7])
def test_a_world_is_read_right(seed: int) -> None:
    found = scored(seed)
    assert found.grouping >= 0.95, found.notes
    assert found.intents >= 0.95, found.notes
    assert not found.missed
    assert not found.accused


@pytest.mark.parametrize("makes", [1, 5])
def test_an_office_and_trunks_are_no_attackers_where_the_log_has_no_answers(makes: int, tmp_path: Path) -> None:
    world = World(makes, with_replies=False)
    rng = world.random
    office, trunk, busy = world.address(), world.address(), world.address()
    for n in range(25):
        register(
            world,
            office,
            str(300 + n),
            PHONES[n % makes],
            20000 + n,
            START + n,
            START + 6 * HOUR,
            rng.choice((300, 1800)),
        )
    for hour in range(8):
        for _ in range(40):
            number = f"00{rng.randint(10**9, 10**11)}"
            world.send(
                START + hour * HOUR + rng.uniform(0, 600),
                trunk,
                "INVITE",
                user=number,
                caller="0123456",
                agent="Asterisk PBX 18.10.0",
            )
        for _ in range(60):
            number = str(10**8 + rng.randint(0, 40))
            world.send(
                START + hour * HOUR + rng.uniform(0, 100),
                busy,
                "INVITE",
                user=number,
                caller="0123456",
                agent="FreeSWITCH",
            )
    report = report_of(world.write(tmp_path / "decisions.jsonl"), tmp_path / "work")
    assert [actor for actor in report["actors"] if actor["tier"] != "low"] == []


@pytest.mark.parametrize("answers", [True, False])
def test_a_network_in_the_field_is_read_right(answers: bool) -> None:
    # Seed 0 is one that development sees; `tests/worlds/measure.py --held-back` has the others.
    tally = measured([0], 1, answers, held_back=False)
    assert not tally.accused
    right, wrong, missing = tally.pairs
    assert wrong == 0
    assert missing * 20 <= right
    assert tally.campaigns[2] <= 1, tally.notes
    assert tally.campaigns[1] <= 1, tally.notes


def test_a_plain_server_s_log_joins_an_attacker_s_addresses_and_accuses_nobody_lawful() -> None:
    tally = measured([0], 1, answers=False, held_back=False, raw=True)
    assert not tally.accused
    right, wrong, missing = tally.pairs
    assert wrong == 0
    assert missing * 10 <= right, tally.notes
    right, wrong, missing = tally.intents
    assert 2 * right >= 0.75 * (2 * right + wrong + missing), tally.notes


@pytest.mark.parametrize("raw", [False, True])
def test_who_acts_by_other_principles_is_joined_with_nobody_else_and_nobody_lawful_is_accused(raw: bool) -> None:
    tally = measured([0], 1, answers=False, held_back=False, raw=raw, strangers=True)
    assert not tally.accused
    right, wrong, missing = tally.pairs
    assert wrong == 0, tally.notes
    assert missing * 20 <= right, tally.notes
    assert tally.intents[1:] == [0, 0], tally.notes
    # One list of names with a password for each bot is called spraying.
    assert tally.campaigns[2] <= 1, tally.notes
