"""Records reach collectors in their own words: ECS and Packetbeat's fields as published, EVE, and each shipped file by its checker."""

from __future__ import annotations

import bz2
import configparser
import ipaddress
import json
import re
import signal
import subprocess
import sys
import time
import tomllib
import xml.etree.ElementTree as xml
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from sigma.backends.elasticsearch import LuceneBackend
from sigma.backends.loki import LogQLBackend
from sigma.backends.splunk import SplunkBackend
from sigma.collection import SigmaCollection
from sigma.validation import SigmaValidator
from sigma.validators.core import validators

from harness import ROOT, wait_for
from sipsieve.decision_log.record import Recorder
from sipsieve_analysis.cli import main
from sipsieve_analysis.events import Store
from sipsieve_analysis.operate import ecs, eve, forms
from sipsieve_analysis.readers.sensors import Sensor
from worlds.intruders import make

SHIPPED = ROOT / "integrations"
PUBLISHED = json.loads((ROOT / "tests/fixtures/published-fields.json").read_text())
TEMPLATE = json.loads((SHIPPED / "elastic/index-template.json").read_text())["template"]["mappings"]
#: Sets of fields that neither ECS nor Packetbeat has.
OWN = {"policy", "counters", "ban", "findings", "indicators", "sipsieve"}
CASE = bz2.decompress((ROOT / "tests/fixtures/case/decisions.jsonl.bz2").read_bytes()).splitlines()


def notices() -> list[bytes]:
    """Records of what happens to the guard itself."""
    recorder = Recorder("0123456789ab", "ba9876543210", "enforce")
    ban = {
        "network": "203.0.113.9/32", "source": "203.0.113.9", "rule": "limit-invite", "seconds": 60, "offences": 1,
        "udp_only": False, "scope": "all", "reason": "\x1b[31m 240 INVITEs",
    }  # fmt: skip
    revision = {"revision": 3, "policy": "ba9876543210", "rules": "0123456789ab", "mode": "enforce"}
    told: list[tuple[str, dict[str, Any]]] = [
        ("start", {"policy_mode": "enforce", "rules": 4000, "steady": 12.5}),
        ("ban", ban),
        ("ban", ban | {"network": "2001:db8:0:1::/64", "source": "2001:db8:0:1"}),
        ("unban", {"source": "203.0.113.9", "reason": "trusted"}),
        ("reload", {"user": "alice", "old": revision, "new": revision | {"revision": 4}}),
        ("set", {"user": "alice", "outcome": "failure", "reason": "no such key", "old": revision}),
        ("off", {"reason": "maintenance"}),
        ("overflow", {"requests": 12}),
    ]
    return [recorder.notice(action, 1_795_834_245.678901, detail) for action, detail in told]


@cache
def records() -> list[dict[str, Any]]:
    """More than ten thousand records, as the real engine writes them, of every kind."""
    lines = [*CASE, *notices()]
    for mode in ("observe", "enforce"):
        for seed in (3, 5, 7):
            lines += make(seed, 1, True, False).records(mode)
            if len(lines) > 12_000:
                break
    # The week is in the form of earlier releases.
    return [forms.upgrade(json.loads(line)) for line in lines]


def flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each scalar with its dotted path; members of lists under the list's path."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield from flat(member, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for member in value:
            yield from flat(member, path)
    else:
        yield path, value


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


def one(**changes: Any) -> dict[str, Any]:
    record = next(
        forms.upgrade(json.loads(line)) for line in CASE if b'"findings"' in line and b'"type":"request"' in line
    )
    for name, value in changes.items():
        record[name] = {**record.get(name, {}), **value}
    return record


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
        return [json.loads(line)["event"]["id"] for line in out.read_bytes().splitlines()] if out.exists() else []

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


def test_an_eve_reader_finds_source_decision_and_rule() -> None:
    record = one(event={"action": "reject", "outcome": "success"})
    made = eve.to_eve(record)
    assert made["event_type"] == "alert" and made["alert"]["action"] == "blocked"
    assert made["src_ip"] == record["source"]["ip"] and made["src_port"] == record["source"]["port"]
    assert made["alert"]["signature"] == f"sipsieve {record['findings'][0]['rule']}"
    assert 1_000_000 <= made["alert"]["signature_id"] < 2_000_000
    assert eve.to_eve(one(event={"outcome": "unknown"}))["alert"]["action"] == "allowed"
    skipped: Counter[str] = Counter()
    sensor = Sensor(skipped)
    told = (
        sensor.feed(b"".join(json.dumps(eve.to_eve(each)).encode() + b"\n" for each in records()[:1000]))
        + sensor.finish()
    )
    assert {each.ip for each in told} and skipped.total() == 0, skipped
    for each in records():
        stamp = eve.to_eve(each)["timestamp"]
        assert datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%S.%f%z")


def examples() -> list[dict[str, Any]]:
    return [ecs.to_ecs(record) for record in records()[::5]] + [ecs.to_ecs(json.loads(line)) for line in notices()]


def test_sigma_rules_are_valid_and_become_queries() -> None:
    rules = SigmaCollection.load_ruleset([SHIPPED / "sigma"])
    assert len(rules.rules) == len(list((SHIPPED / "sigma").glob("*.yml"))) and not rules.errors
    # What the online copy of ATT&CK is asked for is left out.
    chosen = [check for name, check in validators.items() if name not in ("attacktag", "d3_fendtag", "tag_format")]
    problems = SigmaValidator(chosen).validate_rules(iter(rules))
    assert [str(problem) for problem in problems if problem.severity.name == "HIGH"] == []
    for backend in (SplunkBackend(), LuceneBackend(), LogQLBackend()):
        queries = backend.convert(rules)
        assert len(queries) == len(rules.rules) and all("sipsieve" in query for query in queries)


def hit(rule: dict[str, Any], made: dict[str, Any]) -> bool:
    """Whether a selection of equal values holds of a document."""
    found: dict[str, list[Any]] = {}
    for path, value in flat(made):
        found.setdefault(path, []).append(value)
    wanted = rule["detection"]["selection"]
    return all(set(found.get(f, [])) & set(v if isinstance(v, list) else [v]) for f, v in wanted.items())


def test_each_sigma_rule_hits_what_it_is_for_and_no_clean_message() -> None:
    rules = {path.stem: yaml.safe_load(path.read_text()) for path in (SHIPPED / "sigma").glob("*.yml")}
    sql = one(event={"action": "reject", "outcome": "success"}) | {
        "findings": [{"rule": "sql-x", "family": "sql", "score": 9}]
    }
    assert hit(rules["sip_injection"], ecs.to_ecs(sql))
    assert hit(rules["sip_passed_though_hostile"], ecs.to_ecs(one(event={"action": "drop", "outcome": "unknown"})))
    assert hit(rules["sip_guard_failed"], ecs.to_ecs(one(event={"action": "error", "outcome": "failure"})))
    told = {made["event"]["action"]: made for made in (ecs.to_ecs(json.loads(line)) for line in notices())}
    assert all(hit(rules["sip_guard_off"], told[action]) for action in ("off", "reload", "set"))
    assert not hit(rules["sip_guard_off"], told["ban"])
    clean = [made for made in examples() if made["event"]["action"] == "allow"]
    assert clean and not any(hit(rule, made) for rule in rules.values() for made in clean)


def test_wazuh_decodes_the_lines_and_its_rules_hit() -> None:
    decoder = xml.fromstring(
        re.sub(r"<!--.*?-->", "", (SHIPPED / "wazuh/sipsieve_decoders.xml").read_text(), flags=re.S)
    )
    prematch = decoder.findtext("prematch")
    assert prematch is not None
    # OS_Regex: braces and brackets are plain, \S+ is a word.
    pattern = re.compile(re.sub(r"([{}\[\].])", r"\\\1", prematch).replace(r"\S+", r"\S+"))
    group = xml.fromstring(re.sub(r"<!--.*?-->", "", (SHIPPED / "wazuh/sipsieve_rules.xml").read_text(), flags=re.S))
    rules = {rule.get("id"): rule for rule in group.iter("rule")}
    assert len(rules) == len(list(group.iter("rule"))) and all(
        100_000 <= int(str(number)) <= 120_000 for number in rules
    )

    def fires(number: str, fields: dict[str, str]) -> bool:
        rule = rules[number]
        parent = rule.findtext("if_sid")
        wanted = [(field.get("name"), field.text or "") for field in rule.iter("field")]
        return (parent is None or fires(parent, fields)) and all(
            re.search(text, fields.get(str(name), "")) for name, text in wanted
        )

    fired: Counter[str] = Counter()
    failed = ecs.to_ecs(one(event={"action": "error", "outcome": "failure"}))
    for made in [*examples(), failed]:
        line = json.dumps(made, separators=(",", ":"))
        assert pattern.match(line), line[:100]
        fields = {path: str(value) for path, value in flat(made)}
        fired.update(number for number in rules if number is not None and fires(number, fields))
        for rule in rules.values():
            for name in re.findall(r"\$\(([a-z._]+)\)", rule.findtext("description") or ""):
                assert name in {"event.action", "event.reason", "source.address"}
    assert set(fired) == set(rules), fired


def test_splunk_s_settings_fit_the_lines() -> None:
    props = configparser.ConfigParser(interpolation=None, strict=True)
    props.optionxform = str  # type: ignore[assignment, method-assign]
    props.read(SHIPPED / "splunk/props.conf")
    section = props["sipsieve:ecs"]
    made = ecs.to_ecs(one())
    form = section["TIME_FORMAT"].replace("%6N", "%f").replace("%Z", "Z")
    assert datetime.strptime(made[section["TIMESTAMP_FIELDS"]], form)
    known = {path for each in examples() for path, _ in flat(each)}
    aliased = [
        re.match(r'"([a-z._]+)" AS [a-z_]+$', text) for name, text in section.items() if name.startswith("FIELDALIAS")
    ]
    assert aliased and all(match is not None and match[1] in known for match in aliased)
    inputs = configparser.ConfigParser(interpolation=None)
    inputs.read(SHIPPED / "splunk/inputs.conf")
    assert inputs["monitor:///var/log/sipsieve/ecs.jsonl"]["sourcetype"] == "sipsieve:ecs"
    assert int(section["TRUNCATE"]) >= 65536


def test_shippers_read_the_one_file_and_grafana_asks_for_fields_that_are_there() -> None:
    tomllib.loads((SHIPPED / "vector/sipsieve.toml").read_text())
    yaml.safe_load((SHIPPED / "filebeat/sipsieve.yml").read_text())
    yaml.safe_load((SHIPPED / "fluent-bit/sipsieve.yaml").read_text())
    for path in ("vector/sipsieve.toml", "filebeat/sipsieve.yml", "fluent-bit/sipsieve.yaml", "logstash/sipsieve.conf"):
        assert "/var/log/sipsieve/ecs.jsonl" in (SHIPPED / path).read_text()
    board = json.loads((SHIPPED / "grafana/sipsieve-loki.json").read_text())
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    known = {path for each in examples() for path, _ in flat(each)}
    for panel in board["panels"]:
        for target in panel["targets"]:
            asked = re.findall(r'[a-z_]+="([a-z_]+\.[a-z_.]+)"', target["expr"])
            assert asked and set(asked) <= known, target["expr"]
            assert target["expr"].count("(") == target["expr"].count(")")


def test_converting_is_quick() -> None:
    """A bound that only a mistake in kind breaks: a thousand records a second."""
    began = time.process_time()
    told = records()[:3000]
    for record in told:
        ecs.to_ecs(record)
    assert time.process_time() - began < 3
