"""The schema and the tables of the decision log's page are what the core's list of fields makes of them."""

from __future__ import annotations

import json
import re

import jsonschema

from sipsieve.decision_log import schema
from sipsieve.detection import ruleset


def test_schema_and_page_are_as_generated() -> None:
    for path, text in schema.made((schema.DOCS / "decision-log.md").read_text()).items():
        assert path.read_text() == text, f"{path.name}: run make log-schema"


def test_the_record_on_the_front_page_is_one_of_today() -> None:
    shown = re.findall(r"^```json\n(.*?)^```", (schema.DOCS.parent / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    [record] = [json.loads(text) for text in shown]
    jsonschema.validate(record, json.loads((schema.DOCS / "decision-log.schema.json").read_text()))
    # Start, process and number: two numbers in a record were another version's.
    assert re.fullmatch(r"[0-9a-f]+-[0-9a-f]{12}-[0-9a-f]+", record["event"]["id"])
    known = {rule.id for rule in ruleset.load().rules}
    assert set(record["rule"]["id"]) <= known
