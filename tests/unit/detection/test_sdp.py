"""The text lines of a body are found in whatever it is, and none is left unread."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness import invite, request
from sipsieve._core import text_lines
from sipsieve.config import policy
from sipsieve.decision.engine import Engine
from sipsieve.detection import ruleset

INSPECTOR = Engine(policy.loads(""), ruleset.load()).inspector

#: Lines read one by one.
MAX_LINES = 64


def is_plain(body: bytes) -> bool:
    """Whether nothing is found in a body."""
    return not INSPECTOR.inspect(invite(body=body)).findings


def lines(body: bytes) -> list[bytes]:
    return [body[start:end] for start, end in text_lines(body)]


def test_lines_with_text_are_found_with_either_line_end() -> None:
    body = b"v=0\r\no=- 1 1 IN IP4 192.0.2.4\r\ns=a\rb\nc=IN IP4 192.0.2.4\r\na=s=x\r\nu=\r\n e=no\ne=last"
    assert lines(body) == [b"o=- 1 1 IN IP4 192.0.2.4", b"s=a", b"b", b"u=", b" e=no", b"e=last"]
    assert lines(b"") == []
    assert [span[0] for span in text_lines(b"xx\ns=1", 3)] == [3]


@given(st.lists(st.sampled_from([b"o=", b"s", b"=", b"i=", b"\n", b"\r", b"\r\n", b"a", b"e=x", b"S="])).map(b"".join))
@example(b"\ns=")
def test_they_are_those_that_a_plain_reading_finds(body: bytes) -> None:
    assert lines(body) == [
        line
        for line in re.split(rb"[\r\n]", body)
        if re.match(rb"[osiuepk]=", line) or (line and not re.match(rb"[a-z]=", line))
    ]


def test_other_lines_are_found_where_a_mark_stands_that_code_needs() -> None:
    body = b"v=0\r\nm=audio 4000 RTP/AVP 0 8 101\r\na=fmtp:101 0-16\r\na=x:`id`\r\nc=IN IP4 $(id)\r\n`id`\r\n"
    assert lines(body) == [b"a=x:`id`", b"c=IN IP4 $(id)", b"`id`"]


DESCRIPTION = b"v=0\r\no=- 1 1 IN IP4 192.0.2.4\r\ns=-\r\nc=IN IP4 192.0.2.4\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


def found(body: bytes, kind: str = "application/sdp", method: str = "INVITE") -> set[str]:
    """The fields in which something is found."""
    headers = (f"Content-Type: {kind}",) if kind else ()
    raw = request(method, body=body, headers=headers)
    return {finding.field for finding in INSPECTOR.inspect(raw).findings if finding.score}


@pytest.mark.parametrize(
    "line", [b"a=x:`id`", b"m=audio $(reboot) RTP/AVP 0", b"k=' union select 1,2--", b"c=IN IP4 `id`", b"`id`"]
)
def test_code_is_found_in_every_line(line: bytes) -> None:
    assert found(DESCRIPTION + line + b"\r\n")
    # As Kamailio's own readers do, whatever ends the lines.
    assert found((DESCRIPTION + line).replace(b"\r\n", b"\r"))


@pytest.mark.parametrize("kind", ["", "text/plain", "application/octet-stream", "multipart/mixed;boundary=b"])
def test_a_description_is_one_whatever_its_type(kind: str) -> None:
    assert not found(DESCRIPTION, kind)
    assert found(DESCRIPTION + b"a=x:`id`\r\n", kind)


def test_descriptions_of_real_clients_are_plain() -> None:
    more = (
        b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:32\r\n"
        b"a=ssrc:4 cname:{f3fae6b2-5c7b-4d6b-9a9c-5a4a7d3b1c2e}\r\na=fmtp:97 mode=20; mode-change-capability=2\r\n"
        b"a=candidate:1 1 UDP 2130706431 192.0.2.4 8998 typ host\r\na=ice-pwd:asd88fgpdd777uzjYhagZg/+x\r\n"
        b"a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\na=identity:eyJpZHAi==\r\na=rtcp-fb:* nack pli\r\n"
    )
    assert not found(DESCRIPTION + more)


ENTITY = b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><presence>&e;</presence>"


@pytest.mark.parametrize("method", ["PUBLISH", "NOTIFY", "INFO", "INVITE"])
def test_entities_are_refused_whether_text_bodies_are_read_or_not(method: str) -> None:
    for kind in ("application/pidf+xml", "multipart/related;boundary=b", ""):
        assert found(ENTITY, kind, method) >= {"body"}
    assert found(ENTITY.decode().encode("utf-16"), "application/pidf+xml", method) == {"body"}
    assert not found(b"<?xml version='1.0'?><presence entity='pres:a@b'/>", "application/pidf+xml", method)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("message/sipfrag", b"SIP/2.0 200 `id`\r\n"),
        ("application/dtmf-relay", b"Signal=$(reboot)\r\n"),
        ("text/plain", b"; $(reboot)"),
    ],
)
def test_other_text_is_read_where_the_policy_says_so(kind: str, body: bytes) -> None:
    raw = request("NOTIFY", body=body, headers=(f"Content-Type: {kind}",))
    assert not INSPECTOR.inspect(raw).findings
    text = Engine(policy.loads("[detection]\ntext_bodies = true\n"), ruleset.load()).inspector
    assert {finding.field for finding in text.inspect(raw).findings} == {"body"}


def test_more_of_them_than_are_read_come_as_one() -> None:
    body = b"s=a\r\n" * (MAX_LINES + 3)
    found = lines(body)
    assert len(found) == MAX_LINES + 1
    assert found[-1] == b"s=a\r\n" * 3
    assert not is_plain(b"i=a\r\n" * MAX_LINES + b"i=`id`\r\n" + b"m=audio 4000 RTP/AVP 0\r\n" * 100)


@pytest.mark.parametrize("filler", [b"a=x\r\n", b"\n", b"\r\n", b"m=audio 4000 RTP/AVP 0\r\n"])
def test_a_long_body_hides_no_line(filler: bytes) -> None:
    body = (filler * 65000)[:60000]
    assert is_plain(b"s=-\r\n" + body)
    assert not is_plain(b"s=-\r\n" + body + b"\r\ni=`id`\r\n")
    begun = time.process_time()
    for _ in range(20):
        text_lines(body)
    # Microseconds each; a pattern of Python's took 0.8 ms.
    assert time.process_time() - begun < 0.02


#: Values of attributes as products send them, of numbers, words and texts.
ATTRIBUTES = (
    b"label:1",
    b"label:main-audio",
    b"T38FaxUdpEC:t38UDPRedundancy",
    b"T38FaxVersion:0",
    b"T38FaxRateManagement:transferredTCF",
    b"silenceSupp:off - - - -",
    b"rtcp-xr:rcvr-rtt=all:10000 stat-summary=loss,dup,jitt,TTL voip-metrics",
    b"tool:vlc 3.0",
    b"keywds:a, b; c",
    b"lang:en-US",
    b"curr:qos local none",
    b"des:qos mandatory local sendrecv",
    b"conf:qos remote sendrecv",
    b"acap:1 crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz",
    b"tcap:1 RTP/SAVPF RTP/AVPF",
    b"pcfg:1 t=1|2 a=1",
    b"acfg:1 t=1",
    b"key-mgmt:mikey AQAFgM0XflABAAAAAAAAAAAAAAsAyO",
    b"nortpproxy:yes",
    b"oldmediaip:192.0.2.1",
    b"direction:both",
    b"direction:active",
    b"content:main",
    b"content:slides,alt",
    b"confid:42",
    b"userid:1",
    b"floorctrl:c-s s-only",
    b"floorid:1 mstrm:3",
    b"path:msrp://192.0.2.1:7654/jshA7we;tcp",
    b"path:msrps://alice.example.com:2855/iau39;tcp",
    b"accept-types:text/plain message/cpim text/html",
    b"accept-types:*",
    b"accept-wrapped-types:*",
    b'file-selector:name:"My cool picture.jpg" type:image/jpeg size:32349 hash:sha-1:72:24:5F:E8',
    b"file-transfer-id:vBnG916bdberum2fFEABR1FR3ExZMUrd",
    b"file-disposition:attachment",
    b'file-date:creation:"Mon, 15 May 2006 15:01:31 +0300"',
    b"chatroom:nickname private-messages",
    b"x-google-flag:conference",
    b"remote-candidates:1 192.0.2.3 45664",
    b"alt:1 1 : A2A B2B 192.0.2.4 4000",
    b"alt:1 4 : 8jfd+Wq= 0dk3Ls/q 192.168.1.3 8000",
    b"quality:10",
    b"orient:portrait",
    b"charset:utf-8",
    b"sdplang:en",
    b"connection:new",
    b"tls-id:abc3de65cddef001be82",
    b"zrtp-hash:1.10 fe30efd02423cb054e50efd0248742ac7a52c8f91bc2df881ae642c371ba46df",
    b"sqn: 0",
    b"cdsc: 1 image udptl t38",
    b"cpar: a=T38FaxVersion:0",
    b"source-filter: incl IN IP4 * 192.0.2.1",
    b"mptime:20 20",
    b"vsel:PCMU",
    b"gpmd:99 vbd=yes",
    b"rtcp-xr:pkt-loss-rle",
    b"x-ssrc-range:1-1",
    b"x-candidate-info:network-type=wired",
    b"x-bypassid:4ec5cf0e-fdbb-4f0c-8ba9-8c6d0f6c7d0a",
    b"x-source-streamid:4",
    b"x-caps:263 1:352:288:30:2000.0:4000.0;15:352:288",
    b"x-rtp-session-id:1-0-1",
    b"x-devicecaps:audio:send,recv;video:send,recv",
    b"x-signaling-fb:* x-message app send:dsh recv:dsh",
    b"X-nat:0",
    b"X-Mod: 5 & 6",
    b"cname:a",
    b"des:sec",
    b"phone-context:+49",
    b"rtpred1:98",
    b"sprt:1",
    b"X-dn:<sip:100@10.1.1.1>",
    b"X-cpar: a=rtpmap:100 X-NSE/8000",
    b"X-sqn:0",
    b"candidate:1 1 UDP 2130706431 10.0.0.1 9 typ host",
    b'fmtp:96 profile-level-id=42e01f;sprop-parameter-sets="Z0IAKeKQFAe2AtwEBAaQeJEV,aM48gA==";packetization-mode=1',
    b"fmtp:101 0-15,66",
    b"control:trackID=1",
    b"range:npt=0-",
    b"inactive:",
    b"x-desc:sales",
    b"title:Weekly call; part 2",
    b"mid:audio",
    b"simulcast:send 1;2",
    b"rid:1 send pt=97;max-width=1280;max-height=720",
    b"imageattr:97 send [x=800,y=640,sar=1.1,q=0.6] recv *",
    b"hash:sha",
    b"3ge2ae:requested",
    b"ccap",
    b"sescap:1 2",
    b"crypto:2 AES_CM_128_HMAC_SHA1_32 inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj",
)


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_attributes_of_products_are_plain(attribute: bytes) -> None:
    assert is_plain(DESCRIPTION + b"a=" + attribute + b"\r\n")


@pytest.mark.parametrize("value", [b"1 or id", b"transfer:100", b"; touch pwn", b"-o p secret"])
def test_a_text_without_a_mark_is_found_in_an_attribute_that_is_not_known_to_be_numbers(value: bytes) -> None:
    assert found(DESCRIPTION + b"a=x-label:" + value + b"\r\n")
    assert found(DESCRIPTION.replace(b"o=-", b"o=" + value))
    assert is_plain(DESCRIPTION + b"a=rtpmap:1 or id\r\n")
