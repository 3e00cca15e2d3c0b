"""Raw log lines: every header format, the join of lines to messages, and text that pretends to be a line."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta, timezone

import pytest

from sipsieve_analysis.readers.rawlog import LineReader, Raw, messages

NEWEST = datetime(2026, 11, 22, tzinfo=UTC)
FROM = (
    "ERROR: {1 1 REGISTER c1} <core> [core/parser/parse_from.c:74]: parse_from_header(): bad From header [x' or 1=1--]"
)
END = "ERROR: {1 1 REGISTER c1} <script>: Malformed SIP request from 198.51.100.9:5062"


def read(*lines: str, zone: timezone = UTC) -> tuple[list[Raw], Counter[str], LineReader]:
    skipped: Counter[str] = Counter()
    reader = LineReader(zone, NEWEST, skipped)
    return list(messages(reader.read(line.encode() for line in lines), skipped)), skipped, reader


@pytest.mark.parametrize(
    "header",
    [
        "Nov 16 10:00:00 edge kamailio[41]: ",
        "<131>Nov 16 10:00:00 edge /usr/sbin/kamailio[41]: ",
        "2026-11-16T10:00:00.000000+00:00 edge kamailio[41]: ",
        "2026-11-16T11:00:00+0100 edge kamailio[41]: ",
        "<131>1 2026-11-16T10:00:00.000Z edge kamailio 41 - - ",
    ],
)
def test_header_formats(header: str) -> None:
    found, skipped, reader = read(header + FROM, header + END)
    assert len(found) == 1
    assert not skipped
    assert (found[0].ip, found[0].port, found[0].method) == ("198.51.100.9", 5062, "REGISTER")
    assert found[0].headers["from"] == "x' or 1=1--"
    assert datetime.fromtimestamp(reader.settle(found[0].time), UTC) == datetime(2026, 11, 16, 10, tzinfo=UTC)


def test_journal_json() -> None:
    found, _, _ = read(
        '{"__REALTIME_TIMESTAMP":"1794823200000000","_PID":"41","SYSLOG_IDENTIFIER":"kamailio","MESSAGE":"' + END + '"}'
    )
    assert found[0].ip == "198.51.100.9"


def test_a_year_less_date_of_last_december_and_another_zone() -> None:
    skipped: Counter[str] = Counter()
    reader = LineReader(timezone(timedelta(hours=2)), datetime(2027, 1, 5, tzinfo=UTC), skipped)
    lines = [f"Dec 31 23:30:00 edge kamailio[41]: {END}", f"Jan  1 01:30:00 edge kamailio[41]: {END}"]
    times = [reader.settle(raw.time) for raw in list(messages(reader.read(line.encode() for line in lines), skipped))]
    assert [datetime.fromtimestamp(t, UTC) for t in times] == [
        datetime(2026, 12, 31, 21, 30, tzinfo=UTC),
        datetime(2026, 12, 31, 23, 30, tzinfo=UTC),
    ]


@pytest.mark.parametrize(
    "line",
    [
        # A Call-ID that holds the line of somebody else.
        "ERROR: {1 1 INVITE x} <script>: Malformed SIP request from 192.0.2.66:1} <script>: Malformed SIP request from 198.51.100.9:5062",
        "ERROR: {1 1 INVITE x} <script>: Malformed SIP request from 192.0.2.66:5060 y} <script>: Malformed SIP request from 198.51.100.9:5062",
        "ALERT: {1 1 INVITE x} <script>: ALERT: pike blocking INVITE from sip:(IP:192.0.2.66:1)@x (IP:198.51.100.9:5062)",
    ],
)
def test_planted_lines_gain_nothing(line: str) -> None:
    found, _, _ = read(f"Nov 16 10:00:00 edge kamailio[41]: {line}")
    assert [raw.ip for raw in found] == ["198.51.100.9"]


@pytest.mark.parametrize(
    "line",
    [
        "ERROR: {1 1 INVITE c} <core> [core/parser/parse_from.c:74]: parse_from_header(): bad From header [Malformed SIP request from 192.0.2.66:5060]",
        "ERROR: <core> [core/parser/msg_parser.c:749]: parse_msg(): ERROR: parse_msg: message=<X core parsing of SIP message failed (192.0.2.66:5060/1)",
        "INFO: {1 1 INVITE c} <script>: call src=198.51.100.9:5060 from=sip:src=192.0.2.66:5060@x",
    ],
)
def test_text_in_quotes_is_no_source(line: str) -> None:
    found, _, _ = read(f"Nov 16 10:00:00 edge kamailio[41]: {line}")
    assert all(raw.ip != "192.0.2.66" for raw in found)


def test_workers_do_not_mix() -> None:
    at = "Nov 16 10:00:00 edge kamailio"
    found, _, _ = read(
        f"{at}[1]: {FROM}",
        f"{at}[2]: ERROR: <core> [core/receive.c:376]: receive_msg(): core parsing of SIP message failed (192.0.2.5:5/2)",
        f"{at}[1]: {END}",
    )
    assert [(raw.ip, raw.transport, "from" in raw.headers) for raw in found] == [
        ("192.0.2.5", "tcp", False),
        ("198.51.100.9", "udp", True),
    ]
