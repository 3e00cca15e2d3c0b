"""The schema and the tables of the decision log's page are what the core's list of fields makes of them."""

from __future__ import annotations

from sipsieve.decision_log import schema


def test_schema_and_page_are_as_generated() -> None:
    for path, text in schema.made((schema.DOCS / "decision-log.md").read_text()).items():
        assert path.read_text() == text, f"{path.name}: run make log-schema"
