"""Limits proposed from labelled traffic: no legitimate source is newly blocked, and no fewer attackers are stopped."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from harness import ROOT
from sipsieve.config import policy as policies
from sipsieve.config.policy import Policy
from sipsieve_analysis.cli import main
from sipsieve_analysis.tuning.proposal import toml
from sipsieve_analysis.tuning.recording import Recording
from sipsieve_analysis.tuning.suggest import RATES, percentile, suggest
from worlds import intruders, people
from worlds.server import Server
from worlds.suggested import RULES, rows, shut_out
from worlds.world import DAY, START, World


def blocked(path: Path, policy: Policy) -> dict[str, int]:
    """Blocked messages by source."""
    return {ip: row.blocked for ip, row in rows(path, policy).items()}


@pytest.mark.parametrize("seed", [3, 11])
def test_no_legitimate_source_is_blocked_and_no_attacker_gets_more_through(tmp_path: Path, seed: int) -> None:
    """Nor the switch that sends an old password for hours, which the defaults ban."""
    world = intruders.make(seed, held_back=True)
    path = Server('mode = "observe"\n').write(world, tmp_path / "decisions.jsonl")
    base = policies.loads("")
    made = suggest(base, RULES, lambda trial: Recording([path], trial))
    assert made.confidence == "high" and any(one.is_changed for one in made.proposals)
    before, after = rows(path, base), rows(path, made.policy)
    (switch,) = shut_out(before, world)
    assert shut_out(after, world) == set()
    (own,) = (own for own in made.networks if own.confirm)
    assert own.cidr == switch and "20 accounts" in own.reason and "ask the owner" in own.confirm
    attackers = {ip for attacker in world.attackers for ip in attacker.addresses}
    assert {ip for ip in before if ip in attackers} <= after.keys()
    stopped = [sum(found[ip].blocked for ip in found if ip in attackers) for found in (before, after)]
    assert stopped[1] >= stopped[0]


def office(tmp_path: Path, days: float = 4.0, phones: int = 30) -> Path:
    """Homes that call a little, a call centre that calls all the time, and a flood."""
    world = World(9)
    for n in range(phones):
        people.register(world, f"203.0.113.{n + 1}", str(n), "snomD735", 5060, START + n, START + days * DAY, 7200)
        people.call(world, START + 3600 * (n + 1), f"203.0.113.{n + 1}", 5060, "snomD735", str(n), "0301234567")
    for n in range(400):
        people.call(world, START + DAY / 2 + 1.5 * n, "198.51.100.7", 5060, "Asterisk PBX", "500", f"0{10**8 + n}")
    for n in range(300):
        world.send(START + DAY / 3 + n / 5, "192.0.2.66", "INVITE", user="100", status=404)
    return Server('mode = "observe"\n', copies=0).write(world, tmp_path / "decisions.jsonl")


def guesses(world: World, ip: str, accounts: int, every: float, calls: int) -> None:
    """Tries passwords for three quarters of an hour: each account each `every` seconds, `calls` tries under one Call-ID."""
    for n in range(accounts):
        at, made, call_id = START + DAY / 4 + n * every / accounts, 0, ""
        while at < START + DAY / 4 + 2700:
            call_id = f"{ip}-{n}-{made // calls}"
            user = f"{ip[-2:]}{n:02}"
            world.send(at, ip, "REGISTER", user=user, call_id=call_id, cseq=2 * made + 1, status=401)
            world.send(
                at + 0.1, ip, "REGISTER", user=user, call_id=call_id, cseq=2 * made + 2, status=403, authorization=user
            )
            at += every * world.random.uniform(0.9, 1.1)
            made += 1


def test_who_guesses_passwords_gets_no_room_as_a_forgotten_phone(tmp_path: Path) -> None:
    """Nor with a phone's steady rhythm, nor in a phone's name."""
    world = World(5)
    for n in range(30):
        people.register(world, f"203.0.113.{n + 1}", str(n), "snomD735", 5060, START + n, START + 4 * DAY, 14400)
    steady = {
        "192.0.2.61": (1, 2.0, 10_000),  # one account, one Call-ID, like a clock
        "192.0.2.62": (1, 20.0, 10_000),  # as slow as a phone: below every limit as it is
        "192.0.2.63": (20, 30.0, 1),  # as a switch, but each try is a call of its own
        "192.0.2.64": (70, 60.0, 10_000),  # more accounts than a switch has
        "192.0.2.66": (12, 30.0, 10_000),  # accounts of which the phones know the passwords
    }
    for ip, (accounts, every, calls) in steady.items():
        guesses(world, ip, accounts, every, calls)
    # What can't be told from a switch by anything on the wire: an operator is asked.
    guesses(world, "192.0.2.67", 20, 30.0, 10_000)
    for n in range(12):
        people.register(world, "203.0.113.200", f"66{n:02}", "snomD735", 5060, START, START + DAY, 14400)
    path = Server('mode = "observe"\n', copies=0).write(world, tmp_path / "decisions.jsonl")
    made = suggest(policies.loads(""), RULES, lambda trial: Recording([path], trial))
    assert [own.cidr for own in made.networks if own.cidr in steady or "auth_failures" in own.limits] == ["192.0.2.67"]
    assert "# to be confirmed first: traffic can't tell" in toml(made)
    assert policies.loads(toml(made)).networks[-1][1].limits.auth_failures.per_minute < 60
    banned = {ip for ip, row in rows(path, made.policy).items() if row.banning}
    assert {"192.0.2.61", "192.0.2.63", "192.0.2.64", "192.0.2.66"} <= banned


def run(*arguments: object) -> Any:
    return CliRunner().invoke(main, ["suggest", *map(str, arguments)])


def test_what_is_printed_can_be_pasted_and_holds(tmp_path: Path) -> None:
    log, policy, page = office(tmp_path), tmp_path / "sipsieve.toml", tmp_path / "limits.html"
    policy.write_text('mode = "observe"\n')
    done = run("--policy", policy, "--json", "--html", page, log)
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)
    Draft202012Validator(json.loads((ROOT / "docs/suggest.schema.json").read_text())).validate(told)
    assert told["confidence"] == "high"
    invite = next(limit for limit in told["limits"] if limit["limit"] == "invite")
    assert invite["proposed"]["per_minute"] == 30 and invite["legitimate"]["sources_refused"] == 0
    assert invite["others"]["sources_refused"] == 1
    (own,) = told["networks"]
    assert own["cidr"] == "198.51.100.7" and own["limits"]["invite"]["per_minute"] >= 80
    assert "call centre" in own["reason"]
    assert told["toml"] == run("--policy", policy, "--toml", log).output.rstrip("\n")
    pasted = policies.loads('mode = "observe"\n' + told["toml"])
    assert pasted.limits.invite.per_minute == 30
    assert set(blocked(log, pasted)) == {"192.0.2.66"}
    html = page.read_text()
    assert "<svg" in html and "script" not in html and not re.search(r"(src|href)=", html)
    text = run("--policy", policy, log).output
    assert "confidence: high" in text and "[limits]" in text and "198.51.100.7" in text


def test_too_thin_data_proposes_nothing(tmp_path: Path) -> None:
    policy = tmp_path / "sipsieve.toml"
    policy.write_text("")
    done = run("--policy", policy, "--json", office(tmp_path, days=0.2, phones=3))
    told = json.loads(done.output)
    assert done.exit_code == 1 and told["confidence"] == "low" and "too thin" in told["why"]
    assert told["networks"] == [] and not any(limit["changed"] for limit in told["limits"])
    assert told["toml"].startswith("# nothing is proposed")


def test_counts_of_what_was_let_through_are_too_thin(tmp_path: Path) -> None:
    log, policy = office(tmp_path), tmp_path / "sipsieve.toml"
    policy.write_text("")
    counted = {
        "@timestamp": "2026-11-16T00:10:00.000000Z", "source": {"ip": "203.0.113.7"},
        "event": {"kind": "metric", "action": "allow", "count": 90_000},
    }  # fmt: skip
    log.write_bytes(log.read_bytes() + json.dumps(counted).encode() + b"\n")
    told = json.loads(run("--policy", policy, "--json", log).output)
    assert told["confidence"] == "low" and 'log.allow = "each"' in told["why"]


def test_who_is_accused_by_evidence_gets_no_more_than_is_in_force(tmp_path: Path) -> None:
    """An office behind whose address somebody guesses passwords is named, and not raised."""
    world = intruders.make(11)
    path = Server('mode = "observe"\n').write(world, tmp_path / "decisions.jsonl")
    base = policies.loads("")
    made = suggest(base, RULES, lambda trial: Recording([path], trial))
    assert [rules for _, rules in made.already if "limit-auth-failures" in rules]
    for own in made.networks:
        if own.cidr in dict(made.already):
            assert all(limit.per_minute <= getattr(base.limits, name).per_minute for name, limit in own.limits.items())
    for name in ("auth_failures", "malformed", "findings", "source_ports"):
        assert getattr(made.policy.limits, name) == getattr(base.limits, name)


def test_trusted_networks_and_own_entries_stay_as_they_are(tmp_path: Path) -> None:
    log = office(tmp_path)
    base = policies.loads('[[network]]\ncidr = "198.51.100.7"\nlimits = { invite = { per_minute = 500 } }\n')
    made = suggest(base, RULES, lambda trial: Recording([log], trial))
    assert made.networks == []
    assert msgspec.to_builtins(made.policy.network) == msgspec.to_builtins(base.network)
    trusted = policies.loads('[network]\ntrusted = ["198.51.100.0/24"]\n')
    made = suggest(trusted, RULES, lambda trial: Recording([log], trial))
    assert made.networks == [] and made.policy.networks[0][1].trusted
    assert "198.51.100.7" not in blocked(log, made.policy)


def test_own_entries_replace_the_short_form(tmp_path: Path) -> None:
    """`[network]` and `[[network]]` can't stand in one file: what is pasted brings what was trusted along."""
    policy = tmp_path / "sipsieve.toml"
    policy.write_text('[network]\ntrusted = ["192.0.2.0/30"]\n')
    told = json.loads(run("--policy", policy, "--json", office(tmp_path)).output)
    pasted = policies.loads(told["toml"])
    assert {(str(network), rule.trusted) for network, rule in pasted.networks} == {
        ("192.0.2.0/30", True),
        ("198.51.100.7/32", False),
    }


def test_percentiles() -> None:
    values = list(range(1, 101))
    assert [percentile(values, part) for part in (0.5, 0.95, 0.99, 1.0)] == [50, 95, 99, 100]
    assert percentile([], 0.5) == 0 and percentile([7], 0.01) == 7
    assert set(RATES) <= set(policies.loads("").limits.__struct_fields__)
