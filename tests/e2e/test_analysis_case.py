"""The case's week, as raw log, decision log and capture: the same findings in the same order."""

from __future__ import annotations

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from harness import ROOT, SITE

CASE = ROOT / "tests" / "fixtures" / "case"
EAGLE, SHELL, FLOOD, ZERO = "203.0.113.61", "203.0.113.142", "203.0.113.200", "203.0.113.77"
INPUTS = ("kamailio.log.gz", "decisions.jsonl.bz2", "week.pcap.gz")


@cache
def report(*names: str) -> dict[str, Any]:
    paths = [str(CASE / name) for name in names]
    done = subprocess.run(
        [SITE / "bin" / "sipsieve", "analyze", "--json", "-q", "--year", "2026", *paths],
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stderr.decode()
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", INPUTS)
def test_the_gravest_come_first_and_noise_is_low(name: str) -> None:
    actors = report(name)["actors"]
    above = [actor for actor in actors if actor["tier"] != "low"]
    assert [actor["addresses"] for actor in above] == [[SHELL], [EAGLE], [FLOOD], [ZERO]]
    assert [actor["tier"] for actor in above] == ["immediate", "immediate", "high", "medium"]
    assert above[0]["intents"] == ["remote_code_execution"]
    assert set(above[1]["intents"]) == {"credential_theft", "data_tampering"}
    assert "denial_of_service" in above[2]["intents"]
    assert "denial_of_service" in above[3]["intents"]


@pytest.mark.parametrize("name", INPUTS)
def test_campaigns_carry_type_sources_window_and_ports(name: str) -> None:
    campaigns = {(c["type"], tuple(c["sources"])): c for c in report(name)["campaigns"]}
    flood = campaigns["flood", (FLOOD,)]
    assert len(flood["ports"]) == flood["port_count"] == 10
    assert flood["messages"] == 46
    assert flood["window"]["start"].startswith("2026-11-19T14:00:00")
    assert ("injection", (EAGLE,)) in campaigns
    assert ("injection", (SHELL,)) in campaigns
    assert "Content-Length: 0" in campaigns["fuzzing", (ZERO,)]["why"]


@pytest.mark.parametrize("name", INPUTS)
def test_the_command_host_is_an_indicator(name: str) -> None:
    values = {(i["type"], i["value"]) for i in report(name)["indicators"]}
    assert ("host-port", "216.126.227.195:3456") in values


def test_the_fixture_is_a_week_of_a_thousand_lines() -> None:
    import gzip

    assert len(gzip.decompress((CASE / "kamailio.log.gz").read_bytes()).splitlines()) >= 1000


def test_a_raw_log_says_what_it_can_not_show() -> None:
    assert any("Well-formed requests leave no line" in text for text in report(INPUTS[0])["inputs"]["invisible"])
    assert not report(INPUTS[1])["inputs"]["invisible"]


def test_mixed_inputs_are_one_report() -> None:
    mixed = report(INPUTS[0], INPUTS[2])
    assert [a["addresses"] for a in mixed["actors"] if a["tier"] != "low"] == [[SHELL], [EAGLE], [FLOOD], [ZERO]]
    assert set(mixed["inputs"]["records"]) == {"raw Kamailio log", "packet capture"}


def test_the_same_input_gives_the_same_report(tmp_path: Path) -> None:
    done = subprocess.run(
        [SITE / "bin" / "sipsieve", "analyze", "--json", "-q", "--year", "2026", str(CASE / INPUTS[1])],
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert json.loads(done.stdout) == report(INPUTS[1])
