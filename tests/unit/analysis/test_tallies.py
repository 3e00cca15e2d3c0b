"""What each source and client did is what counting by hand says, of rows that lack this and that."""

from __future__ import annotations

import random
import re
from typing import Any

import ibis

from sipsieve_analysis.census import requests
from sipsieve_analysis.events import COLUMNS
from sipsieve_analysis.tallies import MINUTE_US, tallies

MINUTES = 200


def rows(count: int) -> list[dict[str, Any]]:
    """Records of few sources, any field of which may be missing."""
    chance = random.Random(7)

    def one(*values: Any) -> Any:
        return chance.choice(values)

    def uri() -> Any:
        return one(
            None, "", "sip:", "sip:@x", f"sip:{chance.randrange(9)}@x", f"<sip:{chance.randrange(3)}@x>", "tel:+1"
        )

    made = []
    for number in range(count):
        time_us = chance.randrange(MINUTES) * MINUTE_US + number
        made.append(
            dict.fromkeys(COLUMNS)
            | {
                "time_us": time_us, "end_us": time_us + one(0, 0, 3 * MINUTE_US), "kind": one("event", "event", "metric", "state"),
                "action": one("allow", "allow", "reject", "banned"), "messages": one(1, 1, 1, 30), "ip": one(None, "0.0.0.0", "192.0.2.1", "192.0.2.2"),
                "port": one(None, 5060, 5061, 5062), "transport": one(None, "udp", "tls"), "type": one(None, "request", "request", "reply"),
                "method": one(None, "REGISTER", "INVITE", "OPTIONS", "ACK", "BYE", "PUBLISH"), "agent": one(None, "a", "b"),
                "uri": uri(), "from_uri": uri(), "to_uri": uri(), "call_id": one(None, *(f"c{n}@h" for n in range(40))),
                "authorization": one(None, True, False), "enforced": one(None, True, False),
            }
        )  # fmt: skip
    return made


def user(uri: str | None) -> str | None:
    found = re.match(r"^[A-Za-z]+:([^@>]*)@", uri or "")
    return (found[1] or None) if found else None


def expected(group: list[dict[str, Any]]) -> dict[str, Any]:
    """The counts of one source and client by hand."""

    def different(values: Any) -> int:
        return len({value for value in values if value is not None})

    def whom(row: dict[str, Any]) -> str | None:
        is_login = row["method"] == "REGISTER"
        return user(row["to_uri"]) or user(row["from_uri"]) if is_login else user(row["uri"]) or user(row["to_uri"])

    calls: dict[str, set[tuple[str, str]]] = {}
    for row in group:
        if row["call_id"] is not None:
            calls.setdefault(row["call_id"], set()).add((row["method"] or "", row["action"]))
    within = ("REGISTER", "INVITE", "ACK", "BYE", "CANCEL")
    minutes: dict[int, int] = {}
    for row in group:
        span = max(row["end_us"] - row["time_us"], 1)
        share = int(row["messages"] * 100 * min(1.0, MINUTE_US / span))
        minute = row["time_us"] // MINUTE_US
        minutes[minute] = minutes.get(minute, 0) + (share if row["action"] != "banned" else 0)
    senders = sorted(name for row in group if (name := user(row["from_uri"])))
    return {
        "messages": sum(row["messages"] for row in group),
        "minutes": len(minutes),
        "hours": different(row["time_us"] // (60 * MINUTE_US) for row in group),
        "peak": max(minutes.values()),
        "ports": different(row["port"] for row in group),
        "register_users": different(whom(row) for row in group if row["method"] == "REGISTER"),
        "invite_users": different(whom(row) for row in group if row["method"] == "INVITE"),
        "option_users": different(whom(row) for row in group if row["method"] not in within),
        "from_users": len(set(senders)),
        "from_low": senders[0],
        "from_high": senders[-1],
        "hosts": different(row["uri"] for row in group if row["method"] == "OPTIONS"),
        "calls": len(calls),
        "register_calls": sum(any(method == "REGISTER" for method, _ in seen) for seen in calls.values()),
        "invite_calls": sum(any(method == "INVITE" for method, _ in seen) for seen in calls.values()),
        "dialogs": sum({("INVITE", "allow"), ("BYE", "allow")} <= seen for seen in calls.values()),
        "authorized": sum(row["messages"] for row in group if row["authorization"]),
        "received": sum(row["messages"] for row in group if row["action"] == "allow" or row["enforced"] is False),
    }


def test_counts_are_those_by_hand() -> None:
    made = rows(3000)
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in made:
        if row["kind"] != "state" and row["type"] != "reply":
            ip = "" if row["ip"] in (None, "0.0.0.0") else row["ip"]
            groups.setdefault((ip, row["agent"] or ""), []).append(row)
    events = ibis.memtable(made, schema=ibis.schema(COLUMNS))
    found = ibis.duckdb.connect().to_pyarrow(tallies(requests(events))).to_pylist()
    assert len(found) == len(groups) == 9
    for row in found:
        wanted = expected(groups[row["ip"], row["agent"]])
        assert {name: row[name] for name in wanted} == wanted


def test_no_question_counts_more_than_one_thing_that_differs() -> None:
    """For two and more Spark writes each row once more for each of them, with all that the others ask for."""
    events = ibis.table(ibis.schema(COLUMNS), name="events")
    sql = ibis.to_sql(tallies(requests(events)), dialect="duckdb")
    assert sql.upper().count("COUNT(DISTINCT") <= 1
