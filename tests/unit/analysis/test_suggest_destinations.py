"""Where calls may go, proposed from lawful calls and proven by a backtest: no lawful caller is refused, thieves are."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from harness import ROOT
from sipsieve.config import policy as policies
from sipsieve.config.policy import Policy
from sipsieve.detection import ruleset
from sipsieve_analysis.cli import main
from sipsieve_analysis.tuning.backtest import Backtest
from sipsieve_analysis.tuning.called import Call, measured
from sipsieve_analysis.tuning.proposal import toml
from sipsieve_analysis.tuning.recording import Recording
from sipsieve_analysis.tuning.suggest import suggest
from sipsieve_analysis.tuning.trials import Trial
from worlds import capture, people
from worlds.server import Server
from worlds.world import DAY, HOUR, START, World

RULES = ruleset.load()

SITE = '[dialling]\ncountry = "49"\n'

AGENCY, THIEF, ROGUE = "198.51.100.61", "198.51.100.7", "198.51.100.9"


def site(countries: tuple[str, ...] = ("33", "43", "44")) -> World:
    """Homes that call at home and into three countries, a travel agency, and two thieves with right passwords."""
    world = World(8)
    for n in range(24):
        ip, user = f"203.0.113.{n + 1}", str(100 + n)
        people.register(world, ip, user, "snomD735", 5060, START + n, START + 4 * DAY, 8 * HOUR)
        for day in range(4):
            begin = START + day * DAY + n * 600
            people.call(world, begin, ip, 5060, "snomD735", user, "0301234567")
            people.call(world, begin + 60, ip, 5060, "snomD735", user, f"00{countries[n % len(countries)]}55500{n:02}")
    people.register(world, AGENCY, "desk", "Zoiper", 5060, START, START + 4 * DAY, 8 * HOUR)
    for day in range(4):
        for n in range(40):
            land = ("33", "34", "39", "351", "30", "90", "20", "212", "66", "81", "61", "64")[n % 12]
            people.call(
                world, START + day * DAY + 60 * n, AGENCY, 5060, "Zoiper", "desk", f"00{land}{20000000 + n * 7919}"
            )
    for n in range(30):
        at = START + 3 * DAY + 20 * n
        people.call(world, at, THIEF, 5060, "Yealink", "105", f"008816{10**8 + n * 7919}", status=480)
        people.call(world, at, ROGUE, 5060, "Asterisk", "106", f"00882999{1000 + n}", status=480)
    return world


def refused(path: Path, policy: Policy) -> set[str]:
    entries = tuple(msgspec.structs.replace(entry, mode="enforce") for entry in policy.destinations)
    trial = Trial(msgspec.structs.replace(policy, destinations=entries), RULES, 2)
    result = Backtest(trial)
    result.run(Recording([path], trial))
    return {row.ip for row in result.rows.values() if any(rule.startswith("destination-") for rule in row.blocking)}


def test_lawful_callers_are_let_through_and_thieves_are_not(tmp_path: Path) -> None:
    log = Server('mode = "observe"\n', copies=0.03).write(site(), tmp_path / "decisions.jsonl")
    base = policies.loads(SITE)
    made = suggest(base, RULES, lambda trial: Recording([log], trial))
    own, all_ = made.money.entries
    assert own.entry.networks == (AGENCY,) and own.entry.countries_per_hour >= 12
    assert all_.entry.allowed == ("AT", "FR", "GB") and all_.entry.networks == ()
    assert all_.legitimate == own.legitimate == (0, 0) and all_.others[0] == 2
    assert all_.entry.abroad.per_hour < own.entry.abroad.per_hour
    # What is pasted is read, watches only, and does what was said of it once it is enforced.
    pasted = policies.loads(SITE + toml(made))
    assert [entry.mode for entry in pasted.destinations] == ["observe", "observe"]
    assert refused(log, pasted) == {THIEF, ROGUE}


def test_the_command_says_it(tmp_path: Path) -> None:
    policy = tmp_path / "sipsieve.toml"
    policy.write_text("")
    week = capture.write(site(), tmp_path / "week.pcap")
    done = CliRunner().invoke(main, ["suggest", "--policy", str(policy), "--json", str(week)])
    told = json.loads(done.output)
    Draft202012Validator(json.loads((ROOT / "docs/suggest.schema.json").read_text())).validate(told)
    entries = told["destinations"]["entries"]
    assert entries[-1]["name"] == "everybody" and entries[-1]["legitimate"]["sources_refused"] == 0
    assert entries[-1]["others"]["sources_refused"] == 2
    assert "country is not set" in told["destinations"]["why"]


@pytest.mark.parametrize(
    ("toml_", "why"),
    [
        (SITE + '[[destinations]]\nname = "mine"\nabroad = { per_hour = 3 }\n', "entries of its own"),
        (SITE, "too few to name"),
    ],
    ids=["own", "few"],
)
def test_what_is_there_stays_and_what_is_thin_is_said(tmp_path: Path, toml_: str, why: str) -> None:
    world = World(2)
    for n in range(24):
        people.register(world, f"203.0.113.{n + 1}", str(n), "snomD735", 5060, START + n, START + 4 * DAY, DAY)
        people.call(world, START + 60 * n, f"203.0.113.{n + 1}", 5060, "snomD735", str(n), f"00{33 + n % 2}55500{n:02}")
    log = Server('mode = "observe"\n', copies=0).write(world, tmp_path / "decisions.jsonl")
    made = suggest(policies.loads(toml_), RULES, lambda trial: Recording([log], trial))
    assert why in made.money.why
    assert not [one for one in made.money.entries if one.entry.allowed]
    assert made.policy.destinations[:1] == policies.loads(toml_).destinations[:1] or "few" in why


def test_busiest_minutes_and_hours() -> None:
    calls = [Call(n * 30.0, f"00{n % 3}5550{n:03}", f"3{n % 3}5550{n:03}", "FR", n % 2 == 0, True) for n in range(200)]
    had = measured(calls)
    assert (had["abroad.per_minute"], had["abroad.per_hour"], had["expensive.per_hour"]) == (2, 120, 60)
    assert had["countries_per_hour"] == 1 and had["block_per_hour"] == 34 and had["spellings_per_hour"] == 1
    again = [Call(float(n), f"{n:02}442079460123", "442079460123", "GB", False, True) for n in range(9)]
    assert measured(again)["spellings_per_hour"] == 9
