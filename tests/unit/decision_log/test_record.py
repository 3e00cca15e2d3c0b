"""Records: escaped, cut, complete, and as documented."""

from __future__ import annotations

import json
import re

import pytest

from harness import ROOT, as_documented, invite, request
from sipsieve.config import policy
from sipsieve.decision.engine import Engine
from sipsieve.decision.explain import NoCounters
from sipsieve.decision_log.record import Recorder, escaped, line_of, timestamp
from sipsieve.detection import ruleset
from sipsieve.model import Ban, Decision, Finding, Kind, Source, Verdict

ENGINE = Engine(policy.loads(""), ruleset.load())
SOURCE = Source("192.0.2.1", 5060, "udp", "192.0.2.1")
RECORDER = Recorder("0" * 12, "1" * 12, "enforce", 64, 0)


def record(raw: bytes, decision: Decision | None = None) -> dict[str, object]:
    line = RECORDER.decision(decision or Decision(Verdict.ALLOW, Kind.REQUEST, "INVITE"), raw, SOURCE, 1.5, "a-b-1")
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert all(32 <= byte < 127 for byte in line[:-1]), "printable ASCII only"
    decoded: dict[str, object] = json.loads(line)
    as_documented(decoded)
    return decoded


def test_a_message_is_described() -> None:
    sip = record(invite(call_id="c1", headers=("User-Agent: Phone/1",)))["sip"]
    assert isinstance(sip, dict)
    assert sip["uri"] == {"original": "sip:bob@example.com"}
    assert sip["call_id"] == "c1"
    assert sip["from"] == {"uri": {"original": "sip:alice@example.com"}}
    assert sip["cseq"] == {"code": 1}


@pytest.mark.parametrize(
    "hostile",
    [
        '"}\n{"event":{"action":"allow"}',
        "\x1b[2J\x07",
        "\u202eevil\u2066",
        "\x7f\x85\u2028",
        "\udcff\udcfe",
        "\0",
        '\\"',
    ],
)
def test_hostile_text_stays_inside_its_field(hostile: str) -> None:
    raw = request(
        "OPTIONS", call_id=f"x{hostile.replace(chr(10), '')}", headers=(f"User-Agent: {hostile.replace(chr(10), '')}",)
    )
    finding = Finding("a-b", "sql", 5, "from", "why", hostile.encode("utf-8", "surrogateescape"))
    made = record(raw, Decision(Verdict.REJECT, Kind.REQUEST, "OPTIONS", status=403, findings=(finding,)))
    assert made["event"]["action"] == "reject"  # type: ignore[index]
    assert made["source"] == {"ip": "192.0.2.1", "port": 5060}


#: What grows most when it is written: six bytes of one.
SWELLING = [b"\xff", b"\x00", b"\x7f", b"\\", b'"', "\u202e".encode(), "\U0001f600".encode(), b"x' OR 1=1-- "]


@pytest.mark.parametrize("piece", SWELLING)
@pytest.mark.parametrize("length", [60, 250, 3000])
@pytest.mark.parametrize("excerpt_bytes", [256, 4096])
def test_a_record_has_a_bound_whatever_is_in_it(piece: bytes, length: int, excerpt_bytes: int) -> None:
    text = (b"x' UNION SELECT 1 -- " + piece * length)[:length]
    raw = request(headers=tuple(f"X-{number}-{'h' * length}: note" for number in range(6)))
    for header in (b"From", b"To", b"Call-ID", b"User-Agent", b"Subject"):
        raw = raw.replace(b"Max-Forwards: 70\r\n", b"Max-Forwards: 70\r\n" + header + b": " + text + b"\r\n")
    raw = raw.replace(b"note", text).replace(b"sip:bob@", b"sip:" + text + b"@")
    decided = ENGINE.decide(raw, SOURCE, 0.0, NoCounters())
    assert decided.findings
    recorder = Recorder("0" * 12, "1" * 12, "enforce", excerpt_bytes)
    line = recorder.decision(decided, raw, SOURCE, 1.5, "a-b-1")
    assert len(line) <= 2048
    made = json.loads(line)
    as_documented(made)
    assert made["findings"][0]["rule"] == decided.findings[0].rule


def test_an_excerpt_stands_in_a_record_once() -> None:
    raw = invite(from_="\"1;exec xp_cmdshell('whoami') UNION SELECT password FROM users --\" <sip:a@example.com>;tag=1")
    decided = ENGINE.decide(raw, SOURCE, 0.0, NoCounters())
    assert len({finding.excerpt for finding in decided.findings}) == 1 < len(decided.findings)
    line = Recorder("0" * 12, "1" * 12, "enforce").decision(decided, raw, SOURCE, 1.5, "a-b-1")
    assert line.count(b"xp_cmdshell") == 1
    assert json.loads(line)["sipsieve"]["excerpt"].startswith("1;exec")


@pytest.mark.parametrize(
    "secret",
    [
        'response="deadbeef"',
        "response=deadbeef",
        'Response = "deadbeef"',
        'nonce="deadbeef',
        'cnonce="deadbeef"',
        'nextnonce="deadbeef"',
    ],
)
def test_digest_secrets_are_never_written(secret: str) -> None:
    raw = request(
        "REGISTER", call_id=f"x {secret}", headers=(f"User-Agent: {secret}", f"Authorization: Digest {secret}")
    )
    recorder = Recorder("0" * 12, "1" * 12, "enforce", 64, 8192)
    finding = Finding("a-b", "sql", 5, "x", "why", secret.encode())
    line = recorder.decision(
        Decision(Verdict.REJECT, Kind.REQUEST, "REGISTER", findings=(finding,)), raw, SOURCE, 1.5, "1"
    )
    assert b"deadbeef" not in line


def test_values_are_cut() -> None:
    assert escaped(b"a" * 1000, 16) == "a" * 16 + "…"
    assert (
        len(
            RECORDER.decision(
                Decision(Verdict.ALLOW, Kind.REQUEST, "X" * 900), request(call_id="c" * 60000), SOURCE, 1.0, "1"
            )
        )
        < 3000
    )


def test_source_stands_before_what_the_sender_wrote() -> None:
    line = RECORDER.decision(
        Decision(Verdict.DROP, Kind.REQUEST, "INVITE", ban=Ban("192.0.2.1", 60, "limit-invite")),
        invite(),
        SOURCE,
        1.0,
        "1",
    )
    assert line.index(b'"source"') < line.index(b'"network"') < line.index(b'"event"') < line.index(b'"sip"')


@pytest.mark.parametrize(
    ("now", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000000Z"),
        (1.9999999, "1970-01-01T00:00:02.000000Z"),
        (1e9 + 0.25, "2001-09-09T01:46:40.250000Z"),
    ],
)
def test_times(now: float, text: str) -> None:
    assert timestamp(now) == text


def test_counts_and_notices_are_as_documented() -> None:
    as_documented(json.loads(RECORDER.summary("192.0.2.1", "INVITE", "allow", 7, 1.0, 2.0, 3.0)))
    as_documented(json.loads(RECORDER.notice("start", 1.0, {"rules": 3})))


def test_a_record_with_an_unknown_field_is_not_as_documented() -> None:
    made = json.loads(RECORDER.notice("start", 1.0, {}))
    made["surprise"] = 1
    with pytest.raises(AssertionError, match="not as in"):
        as_documented(made)


def test_del_does_not_reach_the_file() -> None:
    assert line_of({"a": "\x7f"}) == b'{"a":"\\u007f"}\n'


def test_every_documented_field_of_the_schema_is_on_the_page() -> None:
    schema = json.loads((ROOT / "docs" / "decision-log.schema.json").read_text())
    page = (ROOT / "docs" / "decision-log.md").read_text()
    for kind in ("decision", "count"):
        for name, node in schema["definitions"][kind]["properties"].items():
            inner = node.get("properties", {})
            wanted = [f"{name}.{field}" for field in inner] if inner else [name]
            missing = [field for field in wanted if not re.search(rf"`{re.escape(field)}`", page)]
            assert [f for f in missing if f != "event.kind"] == [], kind


def test_versions_are_what_the_schema_expects() -> None:
    assert re.fullmatch("[0-9a-f]{12}", ruleset.load().version)
    assert re.fullmatch("[0-9a-f]{12}", policy.loads("").version)
