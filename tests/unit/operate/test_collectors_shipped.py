"""EVE, and each file that is shipped for a collector, by the collector's own checker or by records that it must find."""

from __future__ import annotations

import configparser
import json
import re
import tomllib
import xml.etree.ElementTree as xml
from collections import Counter
from datetime import datetime
from typing import Any

import yaml
from sigma.backends.elasticsearch import LuceneBackend
from sigma.backends.loki import LogQLBackend
from sigma.backends.splunk import SplunkBackend
from sigma.collection import SigmaCollection
from sigma.validation import SigmaValidator
from sigma.validators.core import validators

from collected import SHIPPED, flat, notices, one, records
from sipsieve_analysis.operate import ecs, eve
from sipsieve_analysis.readers.sensors import Sensor


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
