"""Raw log lines: every header format, the join of lines to messages, xlog styles, and text that pretends to be a line."""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import NamedTuple

import pytest

from sipsieve._core import parse
from sipsieve_analysis.readers import envelopes
from sipsieve_analysis.readers.rawlog import FormatError, LogReader, years

NEWEST = datetime(2026, 11, 22, tzinfo=UTC)
FROM = (
    "ERROR: {1 1 REGISTER c1} <core> [core/parser/parse_from.c:74]: parse_from_header(): bad From header [x' or 1=1--]"
)
END = "ERROR: {1 1 REGISTER c1} <script>: Malformed SIP request from 198.51.100.9:5062"
AT = "Nov 16 10:00:00 edge kamailio[41]: "
SCRIPT = AT + "INFO: {1 1 INVITE c1} <script>: "
TEN = datetime(2026, 11, 16, 10, tzinfo=UTC)


class Found(NamedTuple):
    """A message that was read."""

    time: datetime
    ip: str
    port: int
    transport: str
    method: str
    headers: dict[str, str]
    uri: str


def read(
    *lines: str, formats: tuple[str, ...] = (), zone: tzinfo = UTC, newest: datetime = NEWEST, step: int = 0
) -> tuple[list[Found], Counter[str], str | None]:
    """The messages in these lines, what was skipped, and the first line that was not understood."""
    text = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
    skipped: Counter[str] = Counter()
    wrapped = envelopes.is_wrapped(text[:4096])
    turns, month = (0, 0) if wrapped else years([text])
    reader = LogReader(zone, newest, skipped, formats, turns, month)
    pieces = [text[at : at + step] for at in range(0, len(text), step)] if step else [text]
    told = []
    for piece in envelopes.unwrapped(pieces) if wrapped else pieces:
        told += reader.feed(piece).list()
    told += reader.finish().list()
    found = []
    for time, ip, port, transport, raw, _ in told:
        _, method, _, uri, _, _, headers, _, _ = parse(raw)
        values = {name: value.decode("utf-8", "surrogateescape") for name, _, value, *_ in headers}
        found.append(
            Found(
                datetime.fromtimestamp(time, UTC), ip, port, transport, method, values, uri.decode("utf-8", "replace")
            )
        )
    return found, skipped, reader.sample


@pytest.mark.parametrize(
    "header",
    [
        "Nov 16 10:00:00 edge kamailio[41]: ",
        "<131>Nov 16 10:00:00 edge /usr/sbin/kamailio[41]: ",
        "2026-11-16T10:00:00.000000+00:00 edge kamailio[41]: ",
        "2026-11-16T11:00:00+0100 edge kamailio[41]: ",
        "<131>1 2026-11-16T10:00:00.000Z edge kamailio 41 - - ",
        '<131>1 2026-11-16T10:00:00.000Z edge kamailio 41 ID4 [origin@1 ip="a\\"]b"][x y="z"] ',
        "Mon 2026-11-16 10:00:00 UTC edge kamailio[41]: ",
        "1794823200.000000 edge kamailio[41]: ",
        "2026-11-16T10:00:00.000Z stdout F  3(41) ",
        "kamailio-1  | 2026-11-16T10:00:00.000Z  3(41) ",
    ],
)
def test_header_formats(header: str) -> None:
    found, skipped, _ = read(header + FROM, header + END)
    assert [(one.time, one.ip, one.port, one.method) for one in found] == [(TEN, "198.51.100.9", 5062, "REGISTER")]
    assert found[0].headers["from"] == "x' or 1=1--"
    assert not skipped


@pytest.mark.parametrize("header", [" 0(41) ", "\x1b[0;39;31m 0(41) ", ""])
def test_lines_without_a_time_get_the_file_s_own(header: str) -> None:
    found, skipped, _ = read(header + FROM, header + END)
    assert [(one.time, one.ip) for one in found] == [(NEWEST, "198.51.100.9")]
    assert skipped == {"lines without a time (taken as the file's own)": 2}


JOURNAL = {"__REALTIME_TIMESTAMP": "1794823200000000", "_PID": "41", "SYSLOG_IDENTIFIER": "kamailio"}
ENVELOPES = {
    "journald json": lambda text: json.dumps({**JOURNAL, "MESSAGE": text}),
    "journald json, as bytes": lambda text: json.dumps({**JOURNAL, "MESSAGE": list(text.encode())}),
    "journald json-pretty": lambda text: json.dumps({**JOURNAL, "MESSAGE": text}, indent=8).replace("        ", "\t"),
    "journald json-sse": lambda text: "data: " + json.dumps({**JOURNAL, "MESSAGE": text}) + "\n",
    "journald json-seq": lambda text: "\x1e" + json.dumps({**JOURNAL, "MESSAGE": text}),
    "journald export": lambda text: "\n".join(f"{k}={v}" for k, v in ({"__CURSOR": "s=1", **JOURNAL, "MESSAGE": text}).items()) + "\n",
    "journald verbose": lambda text: f"Mon 2026-11-16 10:00:00.000000 UTC [s=1;i=2]\n    _PID=41\n    SYSLOG_IDENTIFIER=kamailio\n    MESSAGE={text}",
    "docker": lambda text: json.dumps({"log": f" 0(41) {text}\n", "stream": "stderr", "time": "2026-11-16T10:00:00.000000000Z"}),
    "a shipper": lambda text: json.dumps({"@timestamp": "2026-11-16T10:00:00.000Z", "message": f" 0(41) {text}", "kubernetes": {}}),
}  # fmt: skip


@pytest.mark.parametrize("step", [0, 50])
@pytest.mark.parametrize("wrap", ENVELOPES.values(), ids=ENVELOPES)
def test_what_collectors_wrap_around_lines(wrap: object, step: int) -> None:
    found, skipped, _ = read(wrap(FROM), wrap(END), step=step)  # type: ignore[operator]
    assert [(one.time, one.ip, one.headers["from"]) for one in found] == [(TEN, "198.51.100.9", "x' or 1=1--")]
    assert not skipped


def test_a_year_less_date_of_last_december_and_another_zone() -> None:
    lines = [f"Dec 31 23:30:00 edge kamailio[41]: {END}", f"Jan  1 01:30:00 edge kamailio[41]: {END}"]
    found, _, _ = read(*lines, zone=timezone(timedelta(hours=2)), newest=datetime(2027, 1, 5, tzinfo=UTC))
    assert [one.time for one in found] == [
        datetime(2026, 12, 31, 21, 30, tzinfo=UTC),
        datetime(2026, 12, 31, 23, 30, tzinfo=UTC),
    ]


@pytest.mark.parametrize("step", [1, 17, 64])
def test_the_size_of_the_pieces_changes_nothing(step: int) -> None:
    lines = [AT + FROM, AT + END, SCRIPT + "INVITE from 203.0.113.5:5060 ua=x", "not a line", AT + END]
    assert read(*lines, step=step) == read(*lines)


#: What a script says, and what is to be read of it: source, port, User-Agent, From, Request-URI.
STYLES = {
    'INVITE from 203.0.113.5:5060 ruri=sip:1@x fu=sip:a@x tu=sip:b@x ua="Foo (x) 1"': (5060, "Foo (x) 1", "sip:a@x", "sip:1@x"),
    "method=INVITE src=203.0.113.5:5071 fu=sip:a@x ua=Foo $(id) bar": (5071, "Foo $(id) bar", "sip:a@x", None),
    "M=INVITE R=sip:1@x F=sip:a@x T=sip:b@x IP=203.0.113.5 ID=c1": (0, None, "sip:a@x", "sip:1@x"),
    "START: INVITE from sip:a@x (IP:203.0.113.5:5060)": (5060, None, None, None),
    "[c1] INVITE from sip:a@x to sip:b@x (203.0.113.5:5060)": (5060, None, None, None),
    "received INVITE from 203.0.113.5:5060": (5060, None, None, None),
    "203.0.113.5:5060 -> INVITE sip:100@x": (5060, None, None, None),
    "|c1|INVITE|sip:a@x|sip:b@x|203.0.113.5|Foo bar": (0, None, None, None),
    '{"method":"INVITE","src":"203.0.113.5","ua":"Foo; bar","from":"sip:a@x"}': (0, "Foo; bar", "sip:a@x", None),
    '{"ua":"Foo","method":"INVITE","src_ip":"203.0.113.5","src_port":"5066"}': (5066, "Foo", None, None),
    "request INVITE r-uri: sip:1@x; from: sip:a@x; source ip: 203.0.113.5:5060; user-agent: Foo Bar": (5060, "Foo Bar", "sip:a@x", "sip:1@x"),
    "SRC:203.0.113.5 PORT:5060 METHOD:INVITE UA:x": (5060, "x", None, None),
    "request: method [INVITE] from [203.0.113.5:5060] ruri=[sip:1@x]": (5060, None, None, "sip:1@x"),
    "new INVITE si=203.0.113.5 sp=5062 ua=<null>": (5062, None, None, None),
}  # fmt: skip


@pytest.mark.parametrize("line", STYLES)
def test_usual_styles_of_xlog(line: str) -> None:
    found, skipped, _ = read(SCRIPT + line)
    port, agent, sender, uri = STYLES[line]
    assert [(one.ip, one.port, one.method) for one in found] == [("203.0.113.5", port, "INVITE")]
    assert not skipped
    assert found[0].headers.get("user-agent") == agent
    assert sender is None or found[0].headers["from"] == sender
    assert uri is None or found[0].uri == uri


@pytest.mark.parametrize(
    ("written", "line", "expected"),
    [
        ("$rm from $si:$sp ($fu -> $tu) ua=$ua", "INVITE from 203.0.113.5:5061 (sip:a@x -> sip:b@x) ua=A b; c", "A b; c"),
        ("UA $ua FROM $(fu{s.escape.common}) AT $si\\n", "UA A b FROM sip:a@x AT 203.0.113.5", "A b"),
        ("$rcv(srcip) <$hdr(User-Agent)> $hdr(X-Y)", "203.0.113.5 <A (b)> <null>", "A (b)"),
        ("$$ $rm $si $$ $ua", "$ INVITE 203.0.113.5 $ x", "x"),
    ],
)  # fmt: skip
def test_a_format_that_is_given(written: str, line: str, expected: str) -> None:
    found, _, _ = read(SCRIPT + line, formats=(written,))
    assert [(one.ip, one.method, one.headers["user-agent"]) for one in found] == [("203.0.113.5", "INVITE", expected)]


def test_a_format_that_can_be_read_in_two_ways_names_no_source() -> None:
    found, skipped, sample = read(
        SCRIPT + "INVITE ua=x src=192.0.2.66 ua=y src=203.0.113.5 z", formats=("$rm ua=$ua src=$si $fu",)
    )
    assert all(one.ip != "192.0.2.66" for one in found)
    assert skipped["xlog lines whose source can't be told from what a sender wrote"] == 1
    assert sample is not None


@pytest.mark.parametrize("written", ["$rm $ua", "$si $", "no variable"])
def test_a_format_that_can_t_be_used_says_why(written: str) -> None:
    with pytest.raises(FormatError, match="no format of xlog"):
        read(formats=(written,))


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
    found, _, _ = read(AT + line)
    assert [one.ip for one in found] == ["198.51.100.9"]


@pytest.mark.parametrize(
    "line",
    [
        "ERROR: {1 1 INVITE c} <core> [core/parser/parse_from.c:74]: parse_from_header(): bad From header [Malformed SIP request from 192.0.2.66:5060]",
        "ERROR: <core> [core/parser/msg_parser.c:749]: parse_msg(): ERROR: parse_msg: message=<X core parsing of SIP message failed (192.0.2.66:5060/1)",
        "INFO: {1 1 INVITE c} <script>: call src=198.51.100.9:5060 from=sip:src=192.0.2.66:5060@x",
        "INFO: {1 1 INVITE c} <script>: INVITE ua=x src=192.0.2.66",
        "INFO: {1 1 INVITE c} <script>: INVITE ua=src=192.0.2.66 x",
        "INFO: {1 1 INVITE c} <script>: INVITE ua=x from 192.0.2.66:5060",
        "INFO: {1 1 INVITE c} <script>: INVITE fu=sip:a;192.0.2.66;b@x",
    ],
)
def test_what_a_sender_writes_is_no_source(line: str) -> None:
    found, _, _ = read(AT + line)
    assert all(one.ip != "192.0.2.66" for one in found)


def test_workers_do_not_mix() -> None:
    at = "Nov 16 10:00:00 edge kamailio"
    found, _, _ = read(
        f"{at}[1]: {FROM}",
        f"{at}[2]: ERROR: <core> [core/receive.c:376]: receive_msg(): core parsing of SIP message failed (192.0.2.5:5/2)",
        f"{at}[1]: {END}",
    )
    assert [(one.ip, one.transport, one.headers["from"] == "x' or 1=1--") for one in found] == [
        ("192.0.2.5", "tcp", False),
        ("198.51.100.9", "udp", True),
    ]


def test_a_call_and_its_answer_out_of_acc() -> None:
    found, _, _ = read(
        AT
        + "NOTICE: acc [acc.c:279]: acc_log_request(): ACC: transaction answered: timestamp=1794823200;method=INVITE;"
        "from_tag=a;to_tag=b;call_id=c9;code=200;reason=OK;src_user=100;src_domain=x;src_ip=203.0.113.5;dst_user=200;dst_domain=x"
    )
    assert [(one.ip, one.method) for one in found] == [("203.0.113.5", "INVITE"), ("", "INVITE")]
    assert all(one.headers["call-id"] == "c9" and "100@" in one.headers["from"] for one in found)


def test_what_is_not_understood_is_shown() -> None:
    found, skipped, sample = read("a line of nobody's", AT.replace("kamailio", "sshd") + "x", SCRIPT + "hello")
    assert not found
    assert skipped == {
        "lines in no known format": 1,
        "lines of other programs": 1,
        "Kamailio lines that tell of no message": 1,
    }
    assert sample == "a line of nobody's"


def test_nothing_that_is_fed_breaks_the_reader() -> None:
    r = random.Random(5)
    whole = [AT + FROM, AT + END, *(SCRIPT + style for style in STYLES), *(wrap(END) for wrap in ENVELOPES.values())]
    for _ in range(2000):
        lines = []
        for line in r.sample(whole, 3):
            bad = bytearray(line.encode()[: r.randrange(len(line)) + 1] if r.random() < 0.3 else line.encode())
            for _ in range(r.randrange(4)):
                bad[r.randrange(len(bad))] = r.randrange(256)
            lines.append(bytes(bad).decode("utf-8", "surrogateescape"))
        read(*lines, step=r.choice([0, 40]))


def test_a_call_id_is_no_method() -> None:
    found, _, _ = read(AT + END.replace("{1 1 REGISTER c1}", "{1 1 348093439622086}"))
    assert [(one.ip, one.headers["call-id"]) for one in found] == [("198.51.100.9", "348093439622086")]
