"""Makes the decision log's schema and the tables of its page from the core's list of fields."""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

from .._core import record_fields

#: Where both stand in the source tree.
DOCS: Final = Path(__file__).resolve().parents[3] / "docs"

_NAMES: Final = {"event": "decision", "metric": "count", "state": "notice"}
_TITLES: Final = {
    "event": "One message.",
    "metric": "Messages that have no record of their own.",
    "state": "Something about the guard itself.",
}
_TYPES: Final[dict[str, dict[str, Any]]] = {
    "time": {"$ref": "#/definitions/time"},
    "version": {"$ref": "#/definitions/version"},
    "rule": {"$ref": "#/definitions/rule_id"},
    "address": {"type": "string", "pattern": "^[0-9a-f.:]+$"},
    "port": {"type": "integer", "minimum": 0, "maximum": 65535},
    "boolean": {"type": "boolean"},
}


class Field(NamedTuple):
    """One field of one kind of record, as the core lists it."""

    record: str
    path: str
    kind: str
    when: str
    holds: str
    example: str


def fields(record: str) -> list[Field]:
    """The fields of one kind of record: `event`, `metric` or `state`."""
    return [field for row in record_fields() if (field := Field(*row)).record == record]


def _type(kind: str) -> dict[str, Any]:
    name, *bounds = kind.split(":")
    if name.startswith("="):
        return {"const": int(name[1:]) if name[1:].isdigit() else name[1:]}
    if "|" in name:
        return {"enum": name.split("|")}
    match name:
        case "integer":
            return {"type": "integer", "minimum": int(bounds[0]) if bounds else 0}
        case "string":
            return {"type": "string"} | ({"maxLength": int(bounds[0])} if bounds else {})
        case "array":
            low_high = dict(zip(("maxItems", "minItems"), map(int, bounds), strict=False))
            return {"type": "array", **low_high, "items": _object()}
        case "object":
            return _object(closed="open" not in bounds)
    return dict(_TYPES[name])


def _object(*, closed: bool = True) -> dict[str, Any]:
    return {"type": "object", "required": [], "additionalProperties": not closed, "properties": {}}


def _definition(record: str) -> dict[str, Any]:
    root = {"description": _TITLES[record], **_object()}
    for field in fields(record):
        node = root
        *parents, name = field.path.replace("[]", ".[]").split(".")
        for parent in parents:
            if parent == "[]":
                node = node["items"]
                continue
            if parent not in node["properties"]:
                node["properties"][parent] = _object()
                node["required"].append(parent)
            node = node["properties"][parent]
        made = _type(field.kind)
        if "$ref" not in made:
            made = {"description": field.holds, **made}
        if name == "[]":
            node["items"] = made
        elif name == "*":
            node["additionalProperties"] = made
        else:
            node["properties"][name] = made
            if not field.when:
                node["required"].append(name)
    return root


def schema() -> dict[str, Any]:
    """The log's JSON Schema (draft 7)."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "One line of sipsieve's decision log",
        "oneOf": [{"$ref": f"#/definitions/{name}"} for name in _NAMES.values()],
        "definitions": {
            "time": {
                "description": "UTC, to the microsecond.",
                "type": "string",
                "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$",
            },
            "version": {
                "description": "Twelve hex digits that change with the contents.",
                "type": "string",
                "pattern": "^[0-9a-f]{12}$",
            },
            "rule_id": {"type": "string", "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$"},
            **{name: _definition(record) for record, name in _NAMES.items()},
        },
    }


def table(record: str) -> str:
    """The table of a record's fields for the page."""
    rows = [
        f"<!-- fields of {record}: made by `make log-schema` -->",
        "| field | when | what it holds |",
        "|---|---|---|",
    ]
    rows += [f"| `{f.path}` | {f.when or 'always'} | {f.holds}{_words(f.kind)} |" for f in fields(record)]
    return "\n".join([*rows, f"<!-- end of {record} -->"])


def _words(kind: str) -> str:
    return " One of " + ", ".join(f"`{word}`" for word in kind.split("|")) + "." if "|" in kind else ""


def made(page: str) -> dict[Path, str]:
    """The files as they should be, given the page as it is."""
    for record in ("event", "metric"):
        pattern = rf"<!-- fields of {record}: .*?<!-- end of {record} -->"
        # As it stands: a table may hold backslashes.
        text = table(record).replace("\\", r"\\")
        page, count = re.subn(pattern, text, page, flags=re.S)
        if count != 1:
            raise ValueError(f"decision-log.md: {count} tables of {record}; allowed: 1")
    return {
        DOCS / "decision-log.schema.json": json.dumps(schema(), indent=2) + "\n",
        DOCS / "decision-log.md": page,
    }


def main() -> int:
    """Writes both files, or with `--check` says whether they are as they should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 where a file differs")
    check = parser.parse_args().check
    differing = [
        (path, text) for path, text in made((DOCS / "decision-log.md").read_text()).items() if path.read_text() != text
    ]
    for path, text in differing:
        print(f"{path.name}: {'differs' if check else 'written'}")
        if not check:
            path.write_text(text)
    return int(check and bool(differing))


if __name__ == "__main__":
    sys.exit(main())
