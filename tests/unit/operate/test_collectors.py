"""Records reach collectors in their own words: ECS and Packetbeat's fields as published, and a log that grows."""

from __future__ import annotations

import grp
import gzip
import ipaddress
import json
import os
import pwd
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from collected import CASE, OWN, PUBLISHED, TEMPLATE, flat, one, records
from harness import ROOT, wait_for
from sipsieve_analysis.cli import main
from sipsieve_analysis.events import Store
from sipsieve_analysis.operate import ecs, forms


def takes(kind: str, value: Any) -> bool:
    """Whether Elasticsearch takes this JSON value for a field of that type (numbers unquoted, as ECS asks)."""
    match kind:
        case "keyword" | "match_only_text":
            return isinstance(value, str | int | float | bool) and len(str(value).encode()) <= 32766
        case "long":
            return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
        case "float":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool)
        case "ip":
            return isinstance(value, str) and bool(ipaddress.ip_address(value))
        case "date":
            return datetime.fromisoformat(value).tzinfo is UTC or datetime.fromisoformat(value).utcoffset() is not None
    raise AssertionError(f"no such type: {kind}")


def refused(made: dict[str, Any]) -> list[str]:
    """What of a document the shipped template, `dynamic: strict`, would refuse."""
    problems = []

    def look(value: Any, mapping: dict[str, Any], path: str) -> None:
        if mapping.get("type") == "flattened":
            if not isinstance(value, dict):
                problems.append(f"{path}: flattened takes objects")
        elif isinstance(value, list):
            for member in value:
                look(member, mapping, path)
        elif "properties" in mapping:
            if not isinstance(value, dict):
                problems.append(f"{path}: an object is expected, not {value!r}")
                return
            for name, member in value.items():
                if name not in mapping["properties"]:
                    problems.append(f"{path}.{name}: not in the template")
                else:
                    look(member, mapping["properties"][name], f"{path}.{name}")
        elif isinstance(value, dict) or (value is not None and not takes(mapping["type"], value)):
            problems.append(f"{path}: {mapping['type']} does not take {value!r}")

    look(made, TEMPLATE, "")
    return problems


def test_more_than_ten_thousand_records_are_taken_by_the_template_and_hold_published_fields_only() -> None:
    told = records()
    assert len(told) >= 10_000, len(told)
    kinds = Counter(record["event"]["kind"] for record in told)
    assert set(kinds) == {"event", "metric", "state"}, kinds
    published = PUBLISHED["ecs"] | PUBLISHED["packetbeat"]
    allowed = PUBLISHED["allowed"]
    seen: set[str] = set()
    for record in told:
        made = ecs.to_ecs(record)
        assert refused(made) == [], record
        for path, value in flat({name: part for name, part in made.items() if name != "sipsieve"}):
            assert path in published, f"{path} is no field of ECS or Packetbeat"
            assert takes(published[path], value), f"{path}: {published[path]} does not take {value!r}"
            seen.add(path)
        event = made["event"]
        assert event["kind"] in allowed["event.kind"] and event["outcome"] in allowed["event.outcome"]
        for category in event["category"]:
            assert set(event["type"]) <= set(allowed["event.category"][category]), event
        assert made.get("sip", {}).get("type", "request") in allowed["sip.type"]
        assert made["ecs"]["version"].startswith("8.")
    assert {
        "event.outcome",
        "sip.code",
        "sip.uri.original",
        "sip.from.uri.username",
        "sip.cseq.code",
        "rule.id",
    } <= seen


def test_a_record_as_it_is_written_contradicts_no_published_field() -> None:
    """Ten thousand lines of today's form, as the engine wrote them: in the sets of ECS and Packetbeat nothing is theirs with
    another type, nor ours with a name that is none of theirs."""
    written = [record for record in records()[len(CASE) :] if record["event"]["kind"] != "state"]
    assert len(written) >= 10_000
    published = PUBLISHED["ecs"] | PUBLISHED["packetbeat"]
    allowed = PUBLISHED["allowed"]
    seen: set[str] = set()
    for record in written:
        for path, value in flat({name: part for name, part in record.items() if name not in OWN}):
            if path != "event.count":
                assert path in published, f"{path} is no field of ECS or Packetbeat"
                assert takes(published[path], value), f"{path}: {published[path]} does not take {value!r}"
            seen.add(path)
        assert refused(record) == [], record
        assert record["event"]["kind"] in allowed["event.kind"]
        assert record["event"].get("outcome", "success") in allowed["event.outcome"]
        assert record.get("sip", {}).get("type", "request") in allowed["sip.type"]
        assert (record["ecs"]["version"], record["sipsieve"]["version"]) == (ecs.VERSION, forms.VERSION)
    assert {
        "event.outcome",
        "sip.code",
        "sip.uri.original",
        "sip.from.uri.original",
        "sip.cseq.code",
        "rule.id",
    } <= seen
    assert not OWN & {path.split(".")[0] for path in published}


def test_a_record_of_the_first_form_says_the_same_in_todays() -> None:
    old = {
        "@timestamp": "2026-11-16T00:00:00.000000Z", "source": {"ip": "192.0.2.7", "port": 5060}, "network": {"transport": "udp"},
        "event": {"kind": "event", "action": "reject", "id": "a-1", "steady": 60, "reason": ""},
        "rule": {"id": ["sql-x"], "version": "0123456789ab"},
        "policy": {"version": "ba9876543210", "mode": "observe", "enforced": False}, "counters": {},
        "sip": {
            "type": "request", "method": "INVITE", "status": 403, "field": "from", "excerpt": "x", "bytes": 7, "uri": "sip:a@b", "call_id": "c",
            "cseq": "007", "from": "sip:a@c", "to": "sip:a@d", "authorization": True, "client": "1i", "raw": "INVITE", "kept": "cut",
        },
    }  # fmt: skip
    made = forms.upgrade(json.loads(json.dumps(old)))
    assert made == {
        "@timestamp": "2026-11-16T00:00:00.000000Z", "source": {"ip": "192.0.2.7", "port": 5060}, "network": {"transport": "udp"},
        "event": {"kind": "event", "action": "reject", "outcome": "unknown", "id": "a-1"},
        "rule": {"id": ["sql-x"], "version": "0123456789ab"}, "policy": {"version": "ba9876543210", "mode": "observe"},
        "ecs": {"version": "8.11.0"},
        "sipsieve": {
            "version": 2, "steady": 60, "answer": 403, "bytes": 7, "authorization": True, "client": "1i", "field": "from", "excerpt": "x",
            "raw": "INVITE", "kept": "cut",
        },
        "sip": {
            "type": "request", "method": "INVITE", "uri": {"original": "sip:a@b"}, "call_id": "c", "cseq": {"code": 7},
            "from": {"uri": {"original": "sip:a@c"}}, "to": {"uri": {"original": "sip:a@d"}},
        },
    }  # fmt: skip
    assert forms.upgrade(json.loads(json.dumps(made))) == made
    reply = forms.upgrade(old | {"sip": {"type": "reply", "method": "INVITE", "status": 200}})
    assert (reply["sip"], reply["sipsieve"]) == (
        {"type": "response", "method": "INVITE", "code": 200},
        {"version": 2, "steady": 60},
    )
    for hostile in ({"event": {"kind": "event"}, "sip": [1], "policy": 3, "rule": None}, {"event": 1}, {"sipsieve": 1}):
        forms.upgrade(hostile)


def test_both_forms_of_a_log_become_the_same_events(tmp_path: Path) -> None:
    today = b"\n".join(json.dumps(forms.upgrade(json.loads(line)), separators=(",", ":")).encode() for line in CASE)
    rows = []
    for name, text in (("old", b"\n".join(CASE)), ("today", today)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "log").write_bytes(text)
        store = Store(tmp_path / name)
        store.add(tmp_path / name / "log", "decisions")
        rows.append(store.connection.con.execute("SELECT * FROM events ORDER BY ALL").fetchall())
    assert len(rows[0]) == len(CASE) and rows[0] == rows[1]


def test_the_templates_types_are_the_published_ones() -> None:
    def types(mapping: dict[str, Any], path: str) -> Iterator[tuple[str, str]]:
        for name, member in mapping.get("properties", {}).items():
            here = f"{path}.{name}".lstrip(".")
            if "properties" in member:
                yield from types(member, here)
            else:
                yield here, member["type"]

    published = PUBLISHED["ecs"] | PUBLISHED["packetbeat"]
    for path, kind in types(TEMPLATE, ""):
        ours = path.split(".")[0] in OWN or path == "event.count"
        assert ours is (path not in published) and (ours or published[path] == kind), path


def test_the_way_back_gives_the_same_record() -> None:
    for record in records():
        assert ecs.from_ecs(json.loads(json.dumps(ecs.to_ecs(record)))) == record


def test_country_and_operator_stand_where_ecs_has_them() -> None:
    home = {"geo": {"country_iso_code": "NL"}, "as": {"number": 64500, "organization": {"name": "Example Networks"}}}
    record = one(source=home)
    made = ecs.to_ecs(record)
    assert refused(made) == [] and {name: made["source"][name] for name in home} == home
    published = dict(flat({"source": made["source"]}))
    assert set(published) <= set(PUBLISHED["ecs"]), published
    assert ecs.from_ecs(json.loads(json.dumps(made))) == record


@pytest.mark.parametrize(
    ("action", "outcome", "kind", "type_"),
    [
        ("allow", "success", "event", "allowed"),
        ("reject", "success", "alert", "denied"),
        ("drop", "success", "alert", "denied"),
        ("drop", "unknown", "alert", "allowed"),
        ("scrub", "success", "alert", "allowed"),
        ("error", "failure", "event", "info"),
    ],
)
def test_what_was_decided_is_said_in_ecs_words(action: str, outcome: str, kind: str, type_: str) -> None:
    made = ecs.to_ecs(one(event={"action": action, "outcome": outcome}))
    event = made["event"]
    assert (event["kind"], event["type"], event["outcome"], event["action"]) == (kind, [type_], outcome, action)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("sip:alice@example.com", {"scheme": "sip", "username": "alice", "host": "example.com"}),
        ("sips:bob:pw@[2001:db8::1]:5061;transport=tls?X=1", {"scheme": "sips", "username": "bob:pw", "host": "[2001:db8::1]", "port": 5061}),
        ("tel:+441234", {"scheme": "tel", "host": "+441234"}),
        ("sip:x@y:99999", {"scheme": "sip", "username": "x", "host": "y"}),
        ("' or 1=1--", {}),
        ("", {}),
        ("sip:" + "a" * 600 + "@" + "b" * 600, {}),
    ],
)  # fmt: skip
def test_uris_are_taken_apart_or_left_whole(text: str, parts: dict[str, Any]) -> None:
    made = ecs.to_ecs(one(sip={"uri": {"original": text}}))
    assert made["sip"]["uri"] == {"original": text} | parts


def test_an_address_that_only_a_payload_names_is_no_source_and_not_related() -> None:
    record = one(sipsieve={"excerpt": "curl 192.0.2.66"}) | {"indicators": [{"type": "ip", "value": "192.0.2.66"}]}
    made = ecs.to_ecs(record)
    assert made["related"] == {"ip": [record["source"]["ip"]]}
    assert "192.0.2.66" not in json.dumps(
        {name: part for name, part in made.items() if name != "sipsieve"} | {"rule": 0}
    )


@pytest.mark.parametrize(
    "line", ["{}", '{"@timestamp":"x","event":{"kind":"x"}}', '{"@timestamp":"x","event":{}}', "null", "[1]"]
)
def test_what_is_no_record_is_left_out_and_counted(line: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(CASE[0] + b"\n" + line.encode() + b"\n" + CASE[1] + b"\n")
    for form, made in (("ecs", 2), ("eve", 2), ("decisions", 0)):
        ended = CliRunner().invoke(main, ["logs", "convert", "--to", form, str(log)])
        lines = [row for row in ended.output.splitlines() if row.startswith("{")]
        assert ended.exit_code == 1 and len(lines) == made and "lines left out" in ended.output, ended.output


def test_a_file_that_can_not_be_had_is_named(tmp_path: Path) -> None:
    log = tmp_path / "decisions.jsonl"
    log.write_bytes(CASE[0] + b"\n")
    for arguments, said in (
        ([tmp_path / "none"], f"{tmp_path}/none: can't be read: No such file or directory"),
        (["--output", tmp_path / "none" / "x", log], f"{tmp_path}/none/x: can't be written: No such file or directory"),
    ):
        ended = CliRunner().invoke(main, ["logs", "convert", *map(str, arguments)])
        assert ended.exit_code == 1 and said in ended.output, ended.output


def test_a_growing_log_is_followed_through_rotation_and_a_kill_and_nothing_is_lost(tmp_path: Path) -> None:
    log, out, state = tmp_path / "decisions.jsonl", tmp_path / "ecs.jsonl", tmp_path / "position"
    call = [
        Path(sys.executable).with_name("sipsieve"),
        "logs",
        "convert",
        "--follow",
        "--output",
        out,
        "--state",
        state,
        log,
    ]
    log.write_bytes(b"\n".join(CASE[:300]) + b"\n")

    def ids() -> list[str]:
        # A line is there once its end is: one that is just written, or that the kill cut, is not yet.
        lines = out.read_bytes().split(b"\n")[:-1] if out.exists() else []
        return [json.loads(line)["event"]["id"] for line in lines]

    following = subprocess.Popen(call)
    wait_for(lambda: len(ids()) == 300 and state.exists(), "it is converted", 30)
    following.kill()
    following.wait(10)
    with log.open("ab") as file:
        file.write(b"\n".join(CASE[300:400]) + b"\n")
    log.rename(tmp_path / "decisions.jsonl.1")
    log.write_bytes(b"\n".join(CASE[400:500]) + b"\n")
    following = subprocess.Popen(call)
    try:
        expected = [json.loads(line)["event"]["id"] for line in CASE[:500]]
        wait_for(lambda: list(dict.fromkeys(ids())) == expected, "all of it", 30)
    finally:
        following.send_signal(signal.SIGTERM)
        assert following.wait(10) == 0
    assert out.stat().st_mode & 0o777 == 0o640


@pytest.mark.debian
def test_the_shipped_logrotate_rotates_the_converted_log_too_and_no_line_is_lost(tmp_path: Path) -> None:
    """`/var/log/sipsieve/*.jsonl` takes ecs.jsonl along: it is moved, and compressed the time after."""
    log, out = tmp_path / "decisions.jsonl", tmp_path / "ecs.jsonl"
    settings = tmp_path / "logrotate.conf"
    shipped = (ROOT / "packaging/logrotate").read_text().replace("/var/log/sipsieve/*.jsonl", str(out))
    shipped = re.sub(r"(?s)\tlastaction.*?endscript\n|\tsu [^\n]*\n", "", shipped)
    user = pwd.getpwuid(os.getuid()).pw_name
    settings.write_text(shipped.replace("kamailio adm", f"{user} {grp.getgrgid(os.getgid()).gr_name}"))
    log.write_bytes(b"")
    following = subprocess.Popen(
        [Path(sys.executable).with_name("sipsieve"), "logs", "convert", "--follow", "--output", out, "--state", tmp_path / "position", log]
    )  # fmt: skip
    try:
        for first in (0, 100, 200):
            with log.open("ab") as file:
                file.write(b"\n".join(CASE[first : first + 100]) + b"\n")
            wait_for(
                lambda: out.exists() and out.read_bytes().count(b"\n") == 100, "they are in the file of that name", 30
            )
            if first < 200:
                # /usr/sbin is not on everybody's path.
                subprocess.run(
                    ["/usr/sbin/logrotate", "--force", "--state", tmp_path / "rotated", settings], check=True
                )
    finally:
        following.send_signal(signal.SIGTERM)
        assert following.wait(10) == 0
    parts = [gzip.decompress((tmp_path / "ecs.jsonl.2.gz").read_bytes()), (tmp_path / "ecs.jsonl.1").read_bytes()]
    lines = b"".join([*parts, out.read_bytes()]).splitlines()
    assert [json.loads(line)["event"]["id"] for line in lines] == [
        json.loads(line)["event"]["id"] for line in CASE[:300]
    ]


def test_converting_is_quick() -> None:
    """A bound that only a mistake in kind breaks: a thousand records a second."""
    began = time.process_time()
    told = records()[:3000]
    for record in told:
        ecs.to_ecs(record)
    assert time.process_time() - began < 3
