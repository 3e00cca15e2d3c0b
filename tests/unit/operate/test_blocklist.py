"""Block lists: who is on them, who never is, and that each format reads back."""

from __future__ import annotations

import csv
import io
import ipaddress
import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sipsieve.abuse.bans import Entry, dump
from sipsieve.model import Scope
from sipsieve_analysis.cli import main
from sipsieve_analysis.operate import blocklist

NOW = int(time.time())
#: The whole suite takes longer than minutes, and the command looks at the clock.
LATER = NOW + 86_400
ENTRIES = [
    Entry("2001:db8:0:1", "limit-invite", NOW - 10, LATER),
    Entry("203.0.113.9", "limit-auth-failures", NOW - 10, LATER, 2),
    Entry("198.51.100.7", "limit-malformed", NOW - 10, LATER, 1, Scope.DATAGRAMS),
    Entry("192.0.2.80", "limit-findings", NOW - 10, LATER, 1, Scope.WEBSOCKETS),
    Entry("192.0.2.81", "limit-findings", NOW - 100, NOW - 1),
]


def export(folder: Path, *arguments: str) -> Result:
    state = folder / "bans.json"
    state.write_text(dump(ENTRIES, NOW))
    return CliRunner().invoke(main, ["bans", "export", "--state", str(state), *arguments])


def test_a_plain_list_holds_networks_and_comments_alone(tmp_path: Path) -> None:
    ran = export(tmp_path, "--output", str(tmp_path / "list"))
    assert ran.exit_code == 0
    assert "1 bans that rest on datagrams left out" in ran.output
    head, *networks = (tmp_path / "list").read_text().splitlines()
    assert head.startswith("# sipsieve: 2 networks")
    assert networks == ["203.0.113.9/32", "2001:db8:0:1::/64"]
    assert (tmp_path / "list").stat().st_mode & 0o777 == 0o644


def test_csv_and_json_say_the_same(tmp_path: Path) -> None:
    for form in ("csv", "json"):
        assert export(tmp_path, "--with-udp", "--format", form, "--output", str(tmp_path / form)).exit_code == 0
    listed = json.loads((tmp_path / "json").read_text())["bans"]
    read = list(csv.DictReader(io.StringIO((tmp_path / "csv").read_text())))
    assert [row["network"] for row in listed] == ["198.51.100.7/32", "203.0.113.9/32", "2001:db8:0:1::/64"]
    assert [json.dumps(row["udp_only"]) for row in listed] == [row["udp_only"] for row in read]
    assert [row["until"] for row in listed] == [row["until"] for row in read]
    assert all(ipaddress.ip_network(row["network"]) for row in read)


@pytest.mark.parametrize("form", blocklist.FORMATS)
def test_a_list_of_nobody_can_be_written(form: str) -> None:
    assert blocklist.FORMATS[form](blocklist.rows([], NOW), NOW)


@pytest.mark.parametrize("text", ["", "[]", '{"format": 2}', "\x00"])
def test_a_file_that_is_no_list_of_bans_is_said(tmp_path: Path, text: str) -> None:
    state = tmp_path / "bans.json"
    state.write_text(text)
    ran = CliRunner().invoke(main, ["bans", "export", "--state", str(state)])
    assert ran.exit_code == 2
    assert str(state) in ran.output and "no state file of bans" in ran.output
