"""The vocabulary of questions: what is counted, and which events; nothing else can be asked without SQL."""

from __future__ import annotations

import ipaddress
from datetime import date
from typing import Any, Final, Literal, get_args

import msgspec
from msgspec import Struct

Action = Literal["allow", "scrub", "reject", "drop", "error", "banned", "refused", "passed"]
Method = Literal["REGISTER", "INVITE", "OPTIONS", "ACK", "BYE", "CANCEL", "SUBSCRIBE", "MESSAGE", "NOTIFY"]
Number = Literal["abroad", "premium"]
Family = Literal[
    "injection", "sql", "shell", "path", "xss", "template", "jndi", "ldap", "nosql", "xml", "code", "ssi", "format", "sip",
    "scanner", "structure", "limits", "control", "accounts", "destinations",
]  # fmt: skip
Period = Literal["today", "yesterday", "last hour", "last day", "last week", "last month"]

WHATS: Final = (
    "sources", "users", "numbers", "rules", "families", "agents", "methods", "actions", "days", "hours",
)  # fmt: skip
FAMILIES: Final = get_args(Family)
METHODS: Final = get_args(Method)
ACTIONS: Final = get_args(Action)
PERIODS: Final = get_args(Period)

#: Rows that an answer may have.
MOST: Final = 1000


#: Characters of a question.
LONGEST: Final = 500


class QueryError(Exception):
    """A question that can't be asked: says what, and what can."""


class Query(Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One question. `None` is no condition; `since` and `until` are days, the second one included."""

    what: Literal["sources", "users", "numbers", "rules", "families", "agents", "methods", "actions", "days", "hours"]
    method: Method | None = None
    action: Action | None = None
    family: Family | None = None
    number: Number | None = None
    source: str | None = None
    period: Period | None = None
    since: str | None = None
    until: str | None = None
    top: int = 10


def decode(text: str | bytes) -> Query:
    """The query in a text of JSON, checked. Raises `msgspec.DecodeError`, also where a value is none of the vocabulary."""
    found = msgspec.json.decode(text, type=Query)
    try:
        return checked(found)
    except QueryError as error:
        raise msgspec.ValidationError(str(error)) from error


def checked(query: Query) -> Query:
    """The same, where its values are such. Raises `QueryError`."""
    if not 1 <= query.top <= MOST:
        raise QueryError(f"top: {query.top}; allowed: from 1 to {MOST}")
    for name in ("since", "until"):
        if (text := getattr(query, name)) is not None:
            try:
                date.fromisoformat(text)
            except ValueError:
                raise QueryError(f"{name}: {text[:40]!r} is no day; a day is like 2026-11-16") from None
    if query.source is not None:
        try:
            ipaddress.ip_address(query.source)
        except ValueError:
            raise QueryError(f"source: {query.source[:60]!r} is no address") from None
    if query.period and (query.since or query.until):
        raise QueryError("either a period or days: both were given")
    return query


def schema() -> dict[str, Any]:
    """The vocabulary as JSON Schema, in the subset that strict structured output takes."""

    def choice(values: tuple[str, ...], what: str) -> dict[str, Any]:
        return {"anyOf": [{"type": "string", "enum": list(values)}, {"type": "null"}], "description": what}

    text = {"anyOf": [{"type": "string"}, {"type": "null"}]}
    properties: dict[str, Any] = {
        "what": {"type": "string", "enum": list(WHATS), "description": "What is listed, with its messages."},
        "method": choice(METHODS, "Only requests of this method."),
        "action": choice(
            ACTIONS, "Only where the guard decided so; refused: reject, drop or banned; passed: allow or scrub."
        ),
        "family": choice(FAMILIES, "Only where a rule of this family fired; injection: any attack on a backend."),
        "number": choice(get_args(Number), "Only calls to such numbers."),
        "source": {**text, "description": "Only from this address."},
        "period": choice(PERIODS, "Counted back from the newest event."),
        "since": {**text, "description": "First day, as 2026-11-16."},
        "until": {**text, "description": "Last day."},
        "top": {"type": "integer", "description": "How many are listed, most messages first."},
    }
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def shown(query: Query) -> str:
    """A query in one line, as it is read back."""
    items: dict[str, Any] = msgspec.to_builtins(query)
    return ", ".join(f"{name} = {value}" for name, value in items.items() if value is not None)
