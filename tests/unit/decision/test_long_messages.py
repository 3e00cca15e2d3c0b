"""Long calls pass, and nothing hides behind length."""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "detection"))

from evaluate import engine

from sipsieve.model import Decision, Source, Verdict

GUARD: Final = engine()
SOURCE: Final = Source("192.0.2.4", 5060, "udp", "192.0.2.4")
SDP: Final = b"v=0\r\no=- 1 1 IN IP4 192.0.2.4\r\ns=-\r\nc=IN IP4 192.0.2.4\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"

#: What calls of mobile networks and of telephone systems carry beside the rest.
EXTRAS: Final = {
    "nothing": b"",
    "a forwarded call": b"History-Info: <sip:+4930123@example.com?Reason=SIP%3Bcause%3D302%3Btext%3D%22Moved%22>;index=1.1\r\n",
    "a name in UTF-8": 'P-Asserted-Identity: "Jörg Müller" <sip:+4930124@example.com>\r\n'.encode(),
    "an escaped quote": b'Remote-Party-ID: "The \\"Cave\\"" <sip:+4930125@example.com>;party=calling\r\n',
    "an attended transfer": b"Refer-To: <sip:bob@example.com?Replaces=a1%40192.0.2.9%3Bto-tag%3Dt1%3Bfrom-tag%3Df1>\r\n",
    "brackets and an apostrophe": b"Subject: O'Brien (Sales)\r\nOrganization: O'Neil & Sons (Dublin)\r\n",
    "a signed identity": b"Identity: "
    + b"eyJhbGciOiJFUzI1NiJ9" * 60
    + b";info=<https://cert.example.com/a.pem>;alg=ES256\r\n",
}


class NoCounters:
    def __getattr__(self, name: str) -> Callable[..., int]:
        return lambda *_, **__: 0


def decide(raw: bytes) -> Decision:
    return GUARD.decide(raw, SOURCE, 0.0, NoCounters())  # type: ignore[arg-type]


def call(proxies: int = 1, extra: bytes = b"", before: bytes = b"", body: bytes = SDP) -> bytes:
    """A call of a mobile phone through so many proxies."""
    lines = [b"INVITE sip:+4930123@example.com;user=phone SIP/2.0"]
    lines += [
        b"Via: SIP/2.0/UDP 192.0.2.%d:5060;branch=z9hG4bK%d.%032x.0;received=192.0.2.%d;rport=5060"
        % (i, i, i * 7919, i)
        for i in range(proxies)
    ]
    lines += [b"Record-Route: <sip:mo@node%d.example.com:6060;lr;ftag=a9f%d>" % (i, i) for i in range(proxies)]
    lines += [
        b"Max-Forwards: 60", b'From: "Ann" <sip:+4930124@example.com;user=phone>;tag=1a2b3c4d',
        b"To: <sip:+4930123@example.com;user=phone>", b"Call-ID: 7f2c@192.0.2.4", b"CSeq: 1 INVITE",
        b'Contact: <sip:+4930124@192.0.2.4:5060;transport=udp>;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel"'
        b';+sip.instance="<urn:gsma:imei:35000000-000000-0>";audio;video',
        b"Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, REFER, NOTIFY, INFO, MESSAGE, SUBSCRIBE",
        b'Accept-Contact: *;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel"',
        b"P-Access-Network-Info: 3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=262017A1B2C3D4E5;network-provided",
        b'P-Charging-Vector: icid-value="1234bc9876e";icid-generated-at=192.0.2.8;orig-ioi=home1.example.net',
        b"P-Asserted-Identity: <tel:+4930124>", b"Session-Expires: 1800;refresher=uac", b"User-Agent: Phone/1.0 (Android 13)",
    ]  # fmt: skip
    head = b"\r\n".join(lines) + b"\r\n" + before + extra
    return head + b"Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


@pytest.mark.parametrize("extra", EXTRAS)
@pytest.mark.parametrize("proxies", [1, 4, 7, 10, 15, 20])
def test_a_call_through_many_proxies_passes(proxies: int, extra: str) -> None:
    decision = decide(call(proxies, EXTRAS[extra]))
    assert decision.verdict is Verdict.ALLOW, decision.findings


def test_a_call_with_all_of_that_and_odd_sdp_passes() -> None:
    body = SDP + "i=name (x), 50 m²\r\n".encode()
    decision = decide(call(15, b"".join(EXTRAS.values()), body=body))
    assert decision.verdict is Verdict.ALLOW, decision.findings


def _identity(random: Random) -> bytes:
    """A PASSporT of SHAKEN (RFC 8588), with a signature that is none."""
    where = f"https://cr.example.com/{random.randbytes(8).hex()}.pem"
    parts = (
        f'{{"alg":"ES256","ppt":"shaken","typ":"passport","x5u":"{where}"}}'.encode(),
        f'{{"attest":"A","dest":{{"tn":["4930{random.randrange(10**6)}"]}},"iat":17{random.randrange(10**8)},"orig":{{"tn":"4930124"}},'
        f'"origid":"{random.randbytes(16).hex()}"}}'.encode(),
        random.randbytes(64),
    )
    token = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    return b"Identity: %b;info=<%b>;alg=ES256;ppt=shaken\r\n" % (token, where.encode())


def _key(random: Random, number: int) -> bytes:
    text = base64.b64encode(random.randbytes(30)).decode()
    return f"a=crypto:{number} AES_CM_128_HMAC_SHA1_80 inline:{text}|2^31|1:1\r\n".encode()


@pytest.mark.parametrize("seed", range(8))
def test_signed_identities_and_keys_of_many_media_pass_together(seed: int) -> None:
    random = Random(seed)
    history = b"History-Info: <sip:+49301%d@example.com?Reason=SIP%%3Bcause%%3D302%%3Btext%%3D%%22Moved%%22&Privacy=history>;index=1.%d\r\n"
    extra = b"".join(_identity(random) for _ in range(3)) + b"".join(history % (number, number) for number in range(4))
    keys = b"".join(
        b"m=audio %d RTP/SAVP 0\r\n" % (40000 + 2 * media) + b"".join(_key(random, number) for number in range(1, 5))
        for media in range(6)
    )
    decision = decide(call(1, extra, body=SDP + keys))
    assert decision.verdict is Verdict.ALLOW, decision.findings
    # Keys alone, more than any call has.
    keys = b"".join(_key(random, number) for number in range(60))
    decision = decide(call(1, body=SDP + keys))
    assert decision.verdict is Verdict.ALLOW, decision.findings


#: Header fields that are refused or scrubbed by themselves, as bytes of a message; some need what stands around them.
HOSTILE: Final = {
    "a tool's name": b"User-Agent: friendly-scanner\r\n",
    "a tool's name in a user part": b"P-Asserted-Identity: <sip:sipvicious@example.com>\r\n",
    "a handler over a fold": b"X-C: x onerror\r\n = y\r\n",
    "a condition over a fold": b"X-C: x AND\r\n -8=-3\r\n",
    "a comment at the end": b"Subject: x'--\r\n",
    "a whole tail, and an empty parameter": b"Contact: <sip:a@b.example>;x=`a;b`;y=\r\n",
    "a separator first": b'X-Name: ";id"\r\n',
    "an escape": b"X-C: a%27%20or%201%3D1\r\n",
    "a shell in a name": b"X`id`: a\r\n",
    "a compact name": b"s: $(id)\r\n",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("size", [0, 2000, *range(4600, 5240, 40), 5600, 6200, 9000, 15000, 22000, 40000])
@pytest.mark.parametrize("filler", [b"X-P: %b\r\n", b'X-P: %b\r\nP-Charging-Vector: icid-value="a"\r\n'])
def test_nothing_hides_behind_a_long_header_field(name: str, size: int, filler: bytes) -> None:
    assert decide(call(extra=HOSTILE[name])).verdict is not Verdict.ALLOW
    raw = call(extra=HOSTILE[name], before=filler % (b"a" * size) if size else b"")
    for spelled in (raw, raw.replace(b"\r\n", b"\n")):
        assert decide(spelled).verdict is not Verdict.ALLOW


@pytest.mark.parametrize("count", [10, 40, 80])
@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_hides_behind_many_header_fields(name: str, count: int) -> None:
    before = b"".join(b"X-%d: O'Brien (Sales)\r\n" % number for number in range(count))
    assert decide(call(before=before)).verdict is Verdict.ALLOW
    assert decide(call(extra=HOSTILE[name], before=before)).verdict is not Verdict.ALLOW


@pytest.mark.parametrize("line", [b"s=x\rsipvicious", b"s=`id`", b"i=a'--", b"s=-\r\ni=1 union select 2"])
@pytest.mark.parametrize("proxies", [1, 15])
def test_nothing_hides_in_a_body_after_a_long_header_section(line: bytes, proxies: int) -> None:
    body = SDP.replace(b"s=-", line)
    for before in (b"", b"X-P: " + b"a" * 8000 + b"\r\n"):
        assert decide(call(proxies, before=before, body=body)).verdict is not Verdict.ALLOW
        inspected = call(proxies, before=before, body=body).replace(b"Content-Length: ", b"Content-Length:")
        assert decide(inspected).verdict is not Verdict.ALLOW


@pytest.mark.parametrize("filling", [b"a\r\n", b"a\n", b"a\r\n b\r\n", b"\r\r\n"])
def test_lines_that_are_no_header_fields_are_read_to_a_bound(filling: bytes) -> None:
    raw = call(before=(filling * 30000)[: 60000 // len(filling) * len(filling)])
    decision = decide(raw)
    assert decision.verdict in (Verdict.REJECT, Verdict.DROP)
    assert len(decision.findings) < 300
