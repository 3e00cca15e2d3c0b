"""The lab's files: nothing leads outside, nothing is published, everything is pinned."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
LAB = ROOT / "lab"
sys.path.insert(0, str(LAB))

from replayer import containers, judge, lab, target  # noqa: E402

COMPOSE = (LAB / "compose.yml").read_text()
DOCKERFILES = sorted(LAB.glob("*/Dockerfile"))


def test_every_network_is_internal() -> None:
    networks = COMPOSE[COMPOSE.index("\nnetworks:\n") :].strip().splitlines()[1:]
    assert len(networks) == 4
    assert all("internal: true" in line for line in networks), networks


def test_nothing_is_published_and_nobody_is_privileged() -> None:
    assert not re.search(r"^\s*(ports|privileged|network_mode|devices|pid):", COMPOSE, re.M)
    services = COMPOSE[COMPOSE.index("\nservices:\n") : COMPOSE.index("\nvolumes:\n")]
    blocks = re.split(r"\n  (?=[a-z-]+:\n)", services)[1:]
    assert len(blocks) == 8
    for block in blocks:
        assert "*hardened" in block or "cap_drop: [ALL]" in block, block.splitlines()[0]


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.parent.name)
def test_images_start_alike_and_pin_their_packages(file: Path) -> None:
    text = file.read_text()
    assert re.findall(r"^FROM (.*)$", text, re.M) == ["debian:bookworm-slim"]
    assert "HEALTHCHECK" in text
    words = re.search(r"--no-install-recommends (.*?) >/dev/null", text, re.S)
    assert words is not None
    assert all("=" in word for word in words[1].replace("\\\n", " ").split())


def test_every_address_of_the_lab_may_be_a_target_or_is_watched() -> None:
    addresses = set(re.findall(r"ipv4_address: ([0-9.]+)", COMPOSE))
    assert len(addresses) > 10
    for address in addresses - {"198.18.3.2", "198.18.3.50"}:
        target.check(address)
    for host in containers.EDGES.values():
        assert host in addresses


def test_the_intentionally_vulnerable_say_so() -> None:
    for name in ("pbx/kamailio.cfg", "pbx/Dockerfile", "billing/vulnerable.py", "billing/Dockerfile", "compose.yml"):
        assert "INTENTIONALLY VULNERABLE" in (LAB / name).read_text(), name


def test_the_table_says_what_was_achieved_where(tmp_path: Path) -> None:
    plain = judge.Report("x", "t", "attack", "edge-plain", goals=1, reached={"vulnerable": ["the row changed"]})
    guarded = judge.Report("x", "t", "attack", "edge", goals=1, broken=["step 1: <b>\x1b[2J"])
    rows = lab.summary([plain, guarded]).splitlines()
    assert "the row changed" in rows[2]
    assert rows[2].count("nothing") == 2
    assert "NOT AS EXPECTED" in rows[2]
    lab.junit([plain, guarded], tmp_path / "junit.xml")
    written = (tmp_path / "junit.xml").read_text()
    assert 'tests="2"' in written
    assert 'failures="1"' in written
    assert "\x1b" not in written
