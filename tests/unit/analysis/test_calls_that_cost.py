"""Toll fraud that is well-formed: the analysis finds it alone in a log, and leaves those alone who phone the world."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sipsieve.config import destinations
from sipsieve_analysis.attribution.destinations import Dialled, costly, rung_back
from worlds import people
from worlds.run import report_of
from worlds.world import HOUR, START, World

NIGHT = START + 4 * 24 * HOUR + 22 * HOUR


def wangiri(world: World) -> None:
    """Five customers ring back numbers of one block in Somalia; each has calls of its own, too."""
    for n in range(5):
        ip, user = f"203.0.113.{n + 1}", f"10{n}"
        people.call(world, START + n * 300, ip, 5060, "Yealink SIP-T46S", user, "0301234567")
        people.call(world, START + HOUR + n * 300, ip, 5060, "Yealink SIP-T46S", user, f"002526123417{n}")


def friday_night(world: World) -> None:
    """Six satellite telephones with a right password."""
    for n in range(6):
        people.call(world, NIGHT + 4 * n, "198.51.100.7", 5060, "Yealink SIP-T46U", "1005", f"90118816{n}234567")


def hunting(world: World) -> None:
    """One number behind ever new prefixes."""
    for n, prefix in enumerate(("00", "011", "900", "+", "8011", "7011", "0011")):
        people.call(world, START + 5 * n, "198.51.100.8", 5060, "VVX", "214", prefix + "442079460123", status=404)
    people.call(world, START + 60, "198.51.100.8", 5060, "VVX", "214", "9011442079460123")


def through_dial(world: World) -> None:
    """A company's own system, which registers and calls as ever, dials a rented range."""
    ip = "198.51.100.9"
    people.register(world, ip, "pbx", "FPBX-16.0.40(18.9.0)", 5060, START, START + 10 * HOUR, 600)
    for n in range(40):
        people.call(world, START + 500 * n, ip, 5060, "FPBX-16.0.40(18.9.0)", "pbx", f"030{10**6 + n}")
    for n in range(12):
        people.call(world, START + 2 * HOUR + 20 * n, ip, 5060, "FPBX-16.0.40(18.9.0)", "pbx", f"90118829990{1201 + n}")


@pytest.mark.parametrize("answers", [True, False], ids=["answers", "requests"])
@pytest.mark.parametrize(
    ("attack", "kind", "blamed"),
    [
        (wangiri, "wangiri", []),
        (friday_night, "toll_fraud", ["198.51.100.7"]),
        (hunting, "toll_fraud", ["198.51.100.8"]),
        (through_dial, "toll_fraud", ["198.51.100.9"]),
    ],
)
def test_each_is_found_alone(
    tmp_path: Path, attack: Callable[[World], None], kind: str, blamed: list[str], answers: bool
) -> None:
    world = World(3, with_replies=answers)
    attack(world)
    report = report_of(world.write(tmp_path / "decisions.jsonl", "observe"), tmp_path / "work")
    assert [(c["type"], c["sources"]) for c in report["campaigns"]] == [(kind, blamed)]
    (actor,) = report["actors"]
    assert actor["tier"] != "low" and actor["intents"] == ["toll_fraud"]
    if kind == "wangiri":
        assert actor["addresses"] == [] and "nothing against them" in actor["note"]
        assert not [one for one in report["indicators"] if one["type"] == "source"]


@pytest.mark.parametrize("answers", [True, False], ids=["answers", "requests"])
def test_who_phones_the_world_is_left_alone(tmp_path: Path, answers: bool) -> None:
    """A travel agency, a call centre, a shipping office, customers of one hotel, and votes on television."""
    world = World(4, with_replies=answers)
    lands = (
        "960",
        "248",
        "34",
        "39",
        "351",
        "30",
        "90",
        "20",
        "212",
        "66",
        "81",
        "61",
        "64",
        "1212",
        "52",
        "55",
        "27",
        "91",
    )
    for n, land in enumerate(lands):
        people.call(
            world, START + 60 * n, "203.0.113.61", 5060, "Zoiper rv2.10.20", "desk", f"00{land}{20000000 + n * 7919}"
        )
    for n in range(40):
        people.call(
            world, START + 15 * n, "203.0.113.62", 5060, "Asterisk PBX 18.10.0", "500", f"00441614{960 + n // 12}{n:03}"
        )
    for n in range(30):
        number = f"00870{773000000 + n * 4099}" if n % 2 else f"0049407{n:06}"
        people.call(world, START + 400 * n, "203.0.113.63", 5060, "snomD735", "ship", number)
    for n in range(3):
        people.call(world, START + 200 * n, f"203.0.113.{70 + n}", 5060, "snomD735", "1", "009606640010")
    for n in range(60):
        people.call(world, START + n, f"203.0.113.{80 + n}", 5060, "snomD735", "1", f"0049137977{n % 9:04}")
    report = report_of(world.write(tmp_path / "decisions.jsonl", "observe"), tmp_path / "work")
    assert report["actors"] == []


def test_the_table_is_the_guards() -> None:
    numbers = destinations.numbers(destinations.ANYWHERE, ("satellite", "high-fraud"))
    assert numbers.find(b"sip:9011881612345678@x") == ("881612345678", "", "+881 (satellite telephone)", True, True)
    found = numbers.find(b"tel:+252-61-234567")
    assert found is not None and found[:2] == ("25261234567", "SO") and found[3:] == (True, True)
    assert numbers.find(b"sip:0011442079460123@x") == numbers.find(b"sip:+442079460123@x")
    assert numbers.find(b"sip:100@x") is None and numbers.find(b"sip:alice@x") is None and numbers.find(b"\xff") is None


def test_ever_new_spellings_cost_linear_time() -> None:
    """Hundreds of thousands of calls to one number are one number, whoever dials them."""

    def calls(count: int) -> list[Dialled]:
        return [
            Dialled(f"10.0.{n % 250}.1", "x", "", 1, 1, n, f"88161234{n % 7:04}", "+881", True, True) for n in range(count)
        ]  # fmt: skip

    import time

    def spent(count: int) -> float:
        made, begin = calls(count), time.process_time()
        costly(made)
        rung_back(made)
        return time.process_time() - begin

    assert spent(160_000) < 12 * max(spent(40_000), 0.02)


def test_a_caller_who_knows_the_number_is_no_victim() -> None:
    def call(ip: str, calls: int, number: str = "252612341217", first: int = 0) -> Dialled:
        return Dialled(ip, "x", number, calls, 1, first, number, "+252 (SO)", True, True)

    strangers = [call(f"10.0.0.{n}", 1, first=n) for n in range(5)]
    (found,) = rung_back(strangers)
    assert found.block == "+2526123412xx" and found.answered == 5
    assert rung_back(strangers[:3]) == []
    assert rung_back([*strangers, *(call(f"10.0.1.{n}", 40) for n in range(6))]) == []
    hours: list[Any] = [call(f"10.0.0.{n}", 1, first=n * 3_600_000_001) for n in range(9)]
    assert rung_back(hours) == []
