"""Lists for others: STIX and MISP by their own libraries, the local HTTP endpoint, abuse reports; never what only a payload names."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import stix2
from click.testing import CliRunner
from pymisp import MISPEvent

from harness import ROOT
from sipsieve.abuse.bans import Entry, dump, entry
from sipsieve.config.policy import Policy
from sipsieve.model import Scope
from sipsieve_analysis.cli import main
from sipsieve_analysis.lists import crowdsec
from sipsieve_analysis.lists.server import PATHS, Lists, OutOfReachError, Server
from sipsieve_analysis.operate import blocklist

NOW = int(time.time())
LATER = NOW + 86_400
ENTRIES = [
    Entry("2001:db8:0:1", "limit-invite", NOW - 10, LATER),
    Entry("203.0.113.9", "limit-auth-failures", NOW - 10, LATER, 2),
    Entry("198.51.100.7", "limit-malformed", NOW - 10, LATER, 1, Scope.DATAGRAMS),
    Entry("192.0.2.80", "limit-findings", NOW - 10, LATER, 1, Scope.WEBSOCKETS),
]


def text(form: str, entries: list[Entry] = ENTRIES) -> str:
    return blocklist.FORMATS[form](blocklist.rows(entries, NOW), NOW)


def test_the_stix_bundle_is_what_its_library_takes() -> None:
    bundle = stix2.parse(text("stix"), allow_custom=False, version="2.1")
    identity, *indicators = bundle.objects
    assert {one.created_by_ref for one in indicators} == {identity.id}
    assert [one.pattern for one in indicators] == [
        "[ipv4-addr:value = '198.51.100.7']",
        "[ipv4-addr:value = '203.0.113.9']",
        "[ipv6-addr:value ISSUBSET '2001:db8:0:1::/64']",
    ]
    assert [one.confidence for one in indicators] == [15, 85, 85]
    assert {int(one.valid_until.timestamp()) for one in indicators} == {LATER}
    assert {int(one.valid_from.timestamp()) for one in indicators} == {NOW - 10}
    again = json.loads(text("stix"))["objects"]
    assert [one["id"] for one in again[1:]] == [one.id for one in indicators], "who reads it twice has each once"
    assert stix2.parse(text("stix", []), version="2.1").objects[0].type == "identity"


def test_the_misp_event_is_what_its_library_takes() -> None:
    event = MISPEvent(strict_validation=True)
    event.load(text("misp"))
    assert not event.published and event.distribution == 0
    assert [one.value for one in event.attributes] == ["198.51.100.7", "203.0.113.9", "2001:db8:0:1::/64"]
    assert [one.to_ids for one in event.attributes] == [False, True, True]
    assert {one.type for one in event.attributes} == {"ip-src"}
    assert {int(one.last_seen.timestamp()) for one in event.attributes} == {LATER}
    assert datetime.fromtimestamp(NOW, UTC).strftime("%Y-%m-%d") in event.info


class Bans:
    """What the server under test asks, and its clock."""

    def __init__(self) -> None:
        self.entries = list(ENTRIES)
        self.down = False
        self.asked = 0
        self.now = float(NOW)

    def __call__(self) -> list[Entry]:
        self.asked += 1
        if self.down:
            raise OutOfReachError("the server is down")
        return self.entries


@contextmanager
def serving(bans: Bans, token: str = "", with_udp: bool = False) -> Iterator[tuple[int, list[str]]]:
    warned: list[str] = []
    with Server(("127.0.0.1", 0), Lists(bans, lambda: bans.now, with_udp), token, warned.append) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server.server_address[1], warned
        server.shutdown()
        thread.join(5)


def ask(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    there = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    there.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = there.getresponse()
    body = answer.read()
    there.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body


def test_each_list_is_served_with_its_type_and_none_has_what_is_forgeable() -> None:
    with serving(Bans()) as (port, _):
        for path, (_, kind) in PATHS.items():
            status, headers, body = ask(port, path)
            assert status == 200 and headers["content-type"] == kind
            assert b"203.0.113.9" in body and b"198.51.100.7" not in body and b"192.0.2.80" not in body
            assert ask(port, path, "HEAD")[1]["etag"] == headers["etag"] and ask(port, path, "HEAD")[2] == b""
        assert ask(port, "/")[0] == 404 and ask(port, "/../etc/passwd")[0] == 404
        for method in ("POST", "PUT", "DELETE"):
            assert ask(port, "/bans.txt", method)[0] == 501
    with serving(Bans(), with_udp=True) as (port, _):
        assert b"198.51.100.7" in ask(port, "/bans.txt")[2]


def test_a_list_that_did_not_change_is_not_sent_again() -> None:
    bans = Bans()
    with serving(bans) as (port, _):
        _, first, body = ask(port, "/bans.txt")
        bans.now += 30
        status, headers, empty = ask(port, "/bans.txt", If_None_Match=f'"other", {first["etag"]}')
        assert (status, empty) == (304, b"") and headers["etag"] == first["etag"]
        assert ask(port, "/bans.txt")[2] == body
        bans.entries = ENTRIES[:1]
        bans.now += 2
        status, headers, body = ask(port, "/bans.txt", If_None_Match=first["etag"])
        assert status == 200 and headers["etag"] != first["etag"] and b"203.0.113.9" not in body


def test_the_page_s_curl_keeps_the_last_list_while_the_server_can_not_be_asked(tmp_path: Path) -> None:
    (call,) = re.findall(r"^curl .*--etag-save.*$", (ROOT / "docs/bans.md").read_text(), re.M)
    bans = Bans()
    with serving(bans, token="x" * 32) as (port, _):
        call = call.replace("192.0.2.10:8060", f"127.0.0.1:{port}")

        def fetch() -> int:
            there = {**os.environ, "TOKEN": "x" * 32}
            return subprocess.run(
                ["bash", "-c", call], cwd=tmp_path, env=there, capture_output=True, timeout=30
            ).returncode

        assert fetch() == 0 and "203.0.113.9" in (fetched := (tmp_path / "list").read_text())
        assert fetch() == 0 and (tmp_path / "list").read_text() == fetched, "it did not change"
        bans.down = True
        bans.now += 120
        assert fetch() != 0 and (tmp_path / "list").read_text() == fetched
        bans.down = False
        bans.entries = ENTRIES[:1]
        bans.now += 120
        assert fetch() == 0 and (tmp_path / "list").read_text() != fetched


def test_a_ban_that_ended_is_on_no_list_and_lists_hold_no_longer_than_bans() -> None:
    bans = Bans()
    bans.entries = [
        Entry("203.0.113.9", "limit-invite", NOW, NOW + 7),
        Entry("203.0.113.10", "limit-invite", NOW, LATER),
    ]
    with serving(bans) as (port, _):
        _, headers, _ = ask(port, "/bans.txt")
        assert headers["cache-control"] == "private, max-age=7, must-revalidate"
        bans.now += 7
        _, headers, body = ask(port, "/bans.txt")
        assert b"203.0.113.9/" not in body and b"203.0.113.10" in body
        assert headers["cache-control"] == "private, max-age=60, must-revalidate"


def test_while_bans_can_not_be_had_no_empty_list_is_served() -> None:
    bans = Bans()
    with serving(bans) as (port, warned):
        assert ask(port, "/bans.txt")[0] == 200
        bans.down = True
        bans.now += 5
        status, headers, body = ask(port, "/bans.txt")
        assert status == 503 and headers["retry-after"] == "10" and b"203.0.113" not in body
        assert warned == ["the server is down"]
        bans.down = False
        assert ask(port, "/bans.txt")[0] == 200


def test_many_requests_ask_for_the_bans_once_a_second() -> None:
    bans = Bans()
    with serving(bans) as (port, _):
        for _ in range(20):
            ask(port, "/bans.json")
    assert bans.asked == 1


def test_a_token_is_wanted_where_there_is_one() -> None:
    with serving(Bans(), "0123456789abcdef") as (port, _):
        assert ask(port, "/bans.txt")[0] == 401
        assert ask(port, "/bans.txt", Authorization="Bearer wrong")[0] == 401
        assert ask(port, "/bans.txt", Authorization="Bearer 0123456789abcdef")[0] == 200


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--listen", "0.0.0.0:0"], "--token-file"),
        (["--listen", "nowhere:1"], "allowed: ADDRESS:PORT"),
        (["--listen", "127.0.0.1:99999"], "allowed: ADDRESS:PORT"),
        (["--token-file", "/nonexistent"], "cannot be read"),
    ],
)
def test_wrong_calls_of_serve_are_said(arguments: list[str], said: str) -> None:
    ended = CliRunner().invoke(main, ["bans", "serve", *arguments])
    assert ended.exit_code == 2 and said in ended.output


def record(ip: str, number: int, transport: str = "tcp", **sip: Any) -> dict[str, Any]:
    return {
        "@timestamp": f"2026-11-22T14:44:{number % 60:02d}.000000Z",
        "source": {"ip": ip, "port": 5060 + number},
        "network": {"transport": transport},
        "event": {"kind": "event", "action": "reject", "id": f"{number:x}", "reason": "an attack"},
        "rule": {"id": ["sql-tautology", "scanner-user-agent"], "version": "1"},
        "sip": {"type": "request", "method": "INVITE", **sip},
    }


def abuse(folder: Path, records: list[dict[str, Any]], *arguments: str) -> Any:
    log = folder / "decisions.jsonl.gz"
    log.write_bytes(gzip.compress(b"".join(json.dumps(one).encode() + b"\n" for one in records)))
    return CliRunner().invoke(main, ["bans", "abuse", "--log", str(log), *arguments])


def test_an_abuse_report_is_written_for_each_network(tmp_path: Path) -> None:
    state = tmp_path / "bans.json"
    state.write_text(dump([*ENTRIES, Entry("203.0.113.77", "limit-invite", NOW, LATER)], NOW))
    log = [record("203.0.113.9", n) for n in range(30)] + [record("203.0.113.77", 1)]
    log += [
        record("2001:db8:0:1::5", 2),
        record("198.51.100.7", 3),
        record("192.0.2.200", 4),
        record("203.0.113.9", 5, "udp"),
    ]
    ended = abuse(
        tmp_path, log, "--state", str(state), "--output", str(tmp_path / "out"), "--reporter", "NOC <noc@example.net>",
        "--target", "sip.example.net",
    )  # fmt: skip
    assert ended.exit_code == 0, ended.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["2001-db8--_48.txt", "203.0.113.0_24.txt"]
    report = (tmp_path / "out" / "203.0.113.0_24.txt").read_text()
    assert "received 31 hostile messages from 2 addresses of 203.0.113.0/24" in report
    assert "between 2026-11-22T14:44:00.000000Z and 2026-11-22T14:44:29.000000Z (UTC)" in report
    assert "  203.0.113.9  30\n  203.0.113.77  1\n" in report and "sql-tautology  31" in report
    assert report.count("  tcp  INVITE  sql-tautology, scanner-user-agent") == 20
    assert report.endswith("NOC <noc@example.net>\n") and "sip.example.net" in report


def test_an_abuse_report_quotes_no_sender_and_names_none_that_only_a_payload_names(tmp_path: Path) -> None:
    evil = "`curl 192.0.2.66`\x1b[2J"
    log = [
        record("203.0.113.9", 1, excerpt=evil, uri=f"sip:{evil}")
        | {"indicators": [{"type": "ip", "value": "192.0.2.66"}]},
        record("203.0.113.9", 2, method="X\r\nSubject: evil\x1b"),
    ]
    log[1]["event"]["action"] = "drop"
    ended = abuse(tmp_path, log, "203.0.113.0/24")
    assert ended.exit_code == 0 and "192.0.2.66" not in ended.output and "\x1b" not in ended.output
    assert ended.output.count("Subject:") == 1 and "  tcp  other  sql-taut" in ended.output
    ended = abuse(tmp_path, log, "192.0.2.66")
    assert ended.exit_code == 1 and "says nothing against them" in ended.output
    ended = abuse(tmp_path, [record("203.0.113.9", 1, "udp")], "203.0.113.9", "--json")
    assert ended.exit_code == 1 and json.loads(ended.output.partition("]")[0] + "]") == []
    ended = abuse(tmp_path, [record("203.0.113.9", 1, "udp")], "203.0.113.9", "--json", "--with-udp")
    assert ended.exit_code == 0 and json.loads(ended.output)[0]["addresses"] == {"203.0.113.9": 1}


@pytest.mark.parametrize("form", blocklist.FORMATS)
def test_what_a_node_writes_into_the_table_of_bans_spoils_no_list(form: str) -> None:
    written = [
        ("203.0.113.9", "a|limit-invite|5|999999999999|999999999999|\r\nX: y"),
        ("203.0.113.8", "a|=cmd()|5|9999999999|1|x"),
        ("203.0.113.7", "a|a,b\r\n|5|9999999999|1|x"),
        ("203.0.113.6\r\n", "a|limit-invite|5|9999999999|1|x"),
        ("203.0.113", "a|limit-invite|5|9999999999|1|\x1b[2J=1+1"),
        ("no:address", "a|limit-invite|5|9999999999|1|x"),
    ]
    read = [one for one in (entry(key, value) for key, value in written) if one is not None]
    listed = text(form, read)
    assert "203.0.113.9" in listed and "203.0.113.0/24" in listed
    assert not any(one in listed for one in ("=cmd", "203.0.113.8", "203.0.113.7", "203.0.113.6", "\x1b", "\r", "X: y"))
    if form == "stix":
        last = max(one.valid_until for one in stix2.parse(listed, version="2.1").objects[1:])
        assert last.year == 9999
    elif form == "misp":
        event = MISPEvent(strict_validation=True)
        event.load(listed)
        assert len(event.attributes) == 2


def test_trusted_networks_are_on_no_list(tmp_path: Path) -> None:
    state, policy, log = tmp_path / "bans.json", tmp_path / "policy.toml", tmp_path / "log"
    state.write_text(dump(ENTRIES, NOW))
    # The first became trusted after its ban was written; the second is one address of a /64 that is banned as a whole.
    policy.write_text('[network]\ntrusted = ["203.0.113.0/24", "2001:db8:0:1::5/128"]\n')
    call = ["--state", str(state), "--policy", str(policy), "--with-udp"]
    for form in blocklist.FORMATS:
        ended = CliRunner().invoke(main, ["bans", "export", "--format", form, *call])
        assert ended.exit_code == 0 and "2 bans on trusted networks of the policy left out" in ended.output
        assert "198.51.100.7" in ended.stdout
        assert "203.0.113.9" not in ended.output and "2001:db8" not in ended.output
    log.write_text(json.dumps(record("203.0.113.9", 1)) + "\n" + json.dumps(record("198.51.100.7", 1)) + "\n")
    ended = CliRunner().invoke(main, ["bans", "abuse", "--log", str(log), *call])
    assert ended.exit_code == 0 and "198.51.100.7" in ended.output and "203.0.113" not in ended.output
    policy.write_text("[network]\ntrustd = []\n")
    ended = CliRunner().invoke(main, ["bans", "export", *call])
    assert ended.exit_code == 2 and f"{policy}:2" in ended.output and "198.51.100.7" not in ended.output


def test_an_abuse_report_claims_no_more_than_happened(tmp_path: Path) -> None:
    log = [record("203.0.113.9", n) for n in range(4)]
    log[1]["event"]["action"] = log[2]["event"]["action"] = "scrub"
    log[2]["rule"]["id"] = ["second-opinion"]
    log[3]["policy"] = {"enforced": False}
    ended = abuse(tmp_path, log, "203.0.113.9")
    assert ended.exit_code == 0 and "received 3 hostile messages from 1 address of" in ended.output
    assert (
        "Refused: 1; passed on without what was hostile in them: 1; recorded and passed on: 1. Please" in ended.output
    ), ended.output
    assert "second-opinion" not in ended.output
    ended = abuse(tmp_path, log[:1], "203.0.113.9")
    assert "They were refused. Please" in ended.output


class Table:
    """A server's table of bans."""

    def __init__(self) -> None:
        self.bans: dict[str, str] = {}

    def table(self, name: str) -> dict[str, str]:
        return dict(self.bans)

    def call(self, method: str, *parameters: Any) -> None:
        if method == "htable.delete":
            del self.bans[parameters[1]]
        else:
            self.bans[parameters[1]] = parameters[2]


class Api:
    """CrowdSec's local API, as far as a bouncer sees it."""

    def __init__(self) -> None:
        self.news: Any = {}
        self.asked: list[bool] = []

    def stream(self, everything: bool) -> Any:
        self.asked.append(everything)
        if isinstance(self.news, Exception):
            raise self.news
        return self.news


def decision(number: int, value: str, **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "type": "ban",
        "scope": "Ip",
        "value": value,
        "duration": "3h59m58.9s",
        "origin": "cscli",
        "scenario": "x/y",
        **more,
    }


def bouncer(own: bool = False) -> tuple[crowdsec.Bouncer, Api, Table]:
    import msgspec

    policy = msgspec.convert({"network": {"trusted": ["192.0.2.0/24"]}}, Policy)
    api, table = Api(), Table()
    return crowdsec.Bouncer(api, table, policy, own, lambda: float(NOW)), api, table  # type: ignore[arg-type]


def test_the_bouncer_takes_what_it_can_and_says_what_not() -> None:
    one, api, table = bouncer()
    api.news = {
        "new": [
            decision(1, "203.0.113.1"), decision(2, "2001:db8::5"), decision(3, "203.0.113.8/30", scope="Range"),
            decision(4, "10.0.0.0/8", scope="Range"), decision(5, "192.0.2.5"), decision(6, "203.0.113.2", type="captcha"),
            decision(7, "203.0.113.3", simulated=True), decision(8, "203.0.113.4", duration="-3m2s"), decision(9, "nonsense"),
            decision(10, "203.0.113.5", scenario="sipsieve/ban"), "x", {"id": "y"}, decision(11, "203.0.113.6", duration="soon"),
        ],
        "deleted": None,
    }  # fmt: skip
    assert one.once() == (6, 0)
    assert sorted(table.bans) == ["2001:db8:0:0", "203.0.113.1", *(f"203.0.113.{n}" for n in (10, 11, 8, 9))]
    assert table.bans["203.0.113.1"].split("|")[:4] == ["a", "crowdsec", str(NOW), str(NOW + 14398)]
    assert one.left_out == {
        "wider than 256 sources": 1,
        "other than bans": 2,
        "over": 2,
        "no address": 1,
        "this guard's own": 1,
    }
    api.news = {"new": None, "deleted": [decision(1, "203.0.113.1")]}
    assert one.once() == (0, 1) and "203.0.113.1" not in table.bans
    assert api.asked == [True, False]


def test_the_bouncer_neither_shortens_nor_lifts_the_guards_own_bans_and_fills_a_restarted_server() -> None:
    one, api, table = bouncer(own=True)
    own = Entry("203.0.113.1", "limit-invite", NOW, LATER).value
    table.bans = {"203.0.113.1": own, "203.0.113.99": Entry("203.0.113.99", "crowdsec", NOW, LATER).value}
    api.news = {"new": [decision(1, "203.0.113.1"), decision(2, "203.0.113.2", scenario="sipsieve/ban")]}
    assert one.once() == (1, 1) and table.bans["203.0.113.1"] == own and "203.0.113.99" not in table.bans
    table.bans.clear()
    api.news = {}
    assert one.once() == (2, 0)
    api.news = crowdsec.ApiError("down")
    with pytest.raises(crowdsec.ApiError):
        one.once()
    api.news = {"new": [decision(2, "203.0.113.2")]}
    assert one.once() == (0, 1) and api.asked[-1] is True, "after a failure all is asked for again"


def test_the_bouncer_leaves_half_the_table_to_the_guard() -> None:
    one, api, table = bouncer()
    api.news = {"new": [decision(n, f"203.0.{n // 256}.{n % 256}") for n in range(3000)]}
    put, _ = one.once()
    assert put == len(table.bans) == 2048 and one.left_out == {"beyond half of bans.capacity": 952}
