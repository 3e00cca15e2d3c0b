"""EVE, and each file that is shipped for a collector, by the collector's own checker or by records that it must find."""

from __future__ import annotations

import configparser
import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import xml.etree.ElementTree as xml
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from sigma.backends.elasticsearch import LuceneBackend
from sigma.backends.loki import LogQLBackend
from sigma.backends.splunk import SplunkBackend
from sigma.collection import SigmaCollection
from sigma.processing.pipeline import ProcessingPipeline
from sigma.validation import SigmaValidator
from sigma.validators.core import validators

import sipsieve
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


def named(value: Any, brackets: str | None, path: str = "") -> set[str]:
    """The fields of a record as a product names them that puts brackets behind a list's name, or with None has no lists."""
    if isinstance(value, dict):
        return {name for key, member in value.items() for name in named(member, brackets, f"{path}.{key}".lstrip("."))}
    if isinstance(value, list):
        return set() if brackets is None else {n for member in value for n in named(member, brackets, path + brackets)}
    return {path}


@pytest.mark.parametrize(("product", "brackets"), [("splunk", "{}"), ("loki", None)])
def test_by_the_shipped_pipelines_sigma_rules_ask_for_fields_as_the_product_names_them(
    product: str, brackets: str | None
) -> None:
    text = (SHIPPED / f"sigma-pipelines/{product}.yml").read_text()
    pipeline = ProcessingPipeline.from_yaml(text)
    backend = SplunkBackend(pipeline) if product == "splunk" else LogQLBackend(pipeline)
    known = {name for each in examples() for name in named(each, brackets)}
    queries = backend.convert(SigmaCollection.load_ruleset([SHIPPED / "sigma"]))
    if product == "loki":
        assert all(query.startswith('{job="sipsieve"} | json | ') for query in queries), queries
        known = {name.replace(".", "_") for name in known}
    for query in queries:
        asked = re.findall(r'"?([\w.{}]+)"?(?:=~|=| IN )', query.removeprefix('{job="sipsieve"}'))
        assert len(asked) >= 2 and set(asked) <= known, query


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


def test_wazuh_s_own_decoder_takes_the_lines_and_the_rules_hit() -> None:
    # Wazuh's decoder `json` comes before those of etc/decoders and takes each line that begins like this; what else
    # would be asked for by `decoded_as` never was. An agent sends a line of `log_format` json as it is.
    pattern = re.compile(r'\{\s*"')
    assert not list((SHIPPED / "wazuh").glob("*decoder*"))
    assert (
        "<log_format>json</log_format><location>/var/log/sipsieve/ecs.jsonl</location>"
        in (SHIPPED / "wazuh/sipsieve_rules.xml").read_text()
    )
    group = xml.fromstring(re.sub(r"<!--.*?-->", "", (SHIPPED / "wazuh/sipsieve_rules.xml").read_text(), flags=re.S))
    rules = {rule.get("id"): rule for rule in group.iter("rule")}
    assert [rule.findtext("decoded_as") for rule in group.iter("rule") if rule.findtext("if_sid") is None] == ["json"]
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
    app = SHIPPED / "splunk/sipsieve/default"
    props.read(app / "props.conf")
    section = props["sipsieve:ecs"]
    made = ecs.to_ecs(one())
    form = section["TIME_FORMAT"].replace("%6N", "%f").replace("%Z", "Z")
    assert datetime.strptime(made[section["TIMESTAMP_FIELDS"]], form)
    # Splunk puts {} behind a list's name, so that no field of a record may be asked for that is one.
    known = {name for each in examples() for name in named(each, "{}")}
    aliased = [
        re.match(r'"([a-z._{}]+)" AS [a-z_]+$', text) for name, text in section.items() if name.startswith("FIELDALIAS")
    ]
    assert aliased and all(match is not None and match[1] in known for match in aliased)
    assert set(re.findall(r"'([^']+)'", section["EVAL-action"])) <= known
    events = configparser.ConfigParser(interpolation=None)
    events.read([app / "eventtypes.conf", app / "tags.conf"])
    assert events["sipsieve_alert"]["search"] == "sourcetype=sipsieve:ecs event.kind=alert"
    assert set(events["eventtype=sipsieve_alert"]) == {"ids", "attack"}
    inputs = configparser.ConfigParser(interpolation=None)
    inputs.read(app / "inputs.conf")
    assert inputs["monitor:///var/log/sipsieve/ecs.jsonl"]["sourcetype"] == "sipsieve:ecs"
    assert int(section["TRUNCATE"]) >= 65536


@pytest.mark.debian
def test_splunk_s_own_inspection_takes_the_app(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "sipsieve.tgz", "w:gz") as packed:
        packed.add(SHIPPED / "splunk/sipsieve", "sipsieve")
    told = tmp_path / "told.json"
    # Its packages are older than those of the tests: it has a folder of its own.
    subprocess.run(
        [sys.executable, "-m", "splunk_appinspect.main", "inspect", str(tmp_path / "sipsieve.tgz"), "--data-format", "json",
         "--output-file", str(told)],
        env={**os.environ, "PYTHONPATH": str(Path(sys.prefix) / "splunk-appinspect")}, cwd=tmp_path, capture_output=True,
        timeout=180, check=False,
    )  # fmt: skip
    checks = [c for r in json.loads(told.read_text())["reports"] for g in r["groups"] for c in g["checks"]]
    assert sum(check["result"] == "success" for check in checks) > 50
    bad = {c["name"]: [m["message"] for m in c["messages"]] for c in checks if c["result"] in ("failure", "error")}
    assert not bad, bad
    settings = configparser.ConfigParser()
    settings.read(SHIPPED / "splunk/sipsieve/default/app.conf")
    assert settings["id"]["version"] == settings["launcher"]["version"] == sipsieve.__version__


def test_a_record_has_one_time_whatever_shipper_brings_it() -> None:
    bit = yaml.safe_load((SHIPPED / "fluent-bit/sipsieve.yaml").read_text())
    parser, to = bit["parsers"][0], bit["pipeline"]["outputs"][0]
    # The output writes its time_key into each record, also where one of this name stands in it already.
    assert to["name"] == "es" and to["time_key"] == parser["time_key"] == "@timestamp" and parser["time_keep"] is False
    assert datetime.strptime(ecs.to_ecs(one())["@timestamp"], parser["time_format"].replace("%S.%LZ", "%S.%fZ"))
    vector = tomllib.loads((SHIPPED / "vector/sipsieve.toml").read_text())
    loki = vector["sinks"]["sipsieve_loki"]
    assert "@timestamp" in vector["transforms"][loki["inputs"][0]]["source"] and loki["remove_timestamp"] is True
    # What only Loki's transform adds does not reach a template that is strict.
    assert vector["sinks"]["sipsieve_elastic"]["inputs"] == ["sipsieve_json"]
    steps = set(vector["sources"]) | set(vector["transforms"])
    assert all(set(part["inputs"]) <= steps for kind in ("transforms", "sinks") for part in vector[kind].values())


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
