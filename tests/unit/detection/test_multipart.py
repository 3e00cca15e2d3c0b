"""Bodies of several parts: their boundaries are no comments of SQL, and hide none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "detection"))

from evaluate import decide, engine

from harness import request
from sipsieve.detection.message import parts
from sipsieve.model import Verdict

GUARD = engine()

# A signed call as S/MIME clients build it: the boundary begins with dashes (RFC 3261 23.4, RFC 2046 5.1.1).
MARK = "----5C2E91D07B44A6F3"
BODY = f"""--{MARK}
Content-Type: application/sdp

v=0
o=- 1 1 IN IP4 192.0.2.4
s=-
c=IN IP4 192.0.2.4
t=0 0
m=audio 40000 RTP/AVP 0

--{MARK}
Content-Type: application/pkcs7-signature; name=smime.p7s
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename=smime.p7s; handling=required

AAECAwQFBgcICQ==
--{MARK}--
""".replace("\n", "\r\n").encode()


def typed(content_type: str) -> bytes:
    raw = request("INVITE", headers=(f"Content-Type: {content_type}",))
    return raw.replace(b"Content-Length: 0", b"Content-Length: %d" % len(BODY)) + BODY


@pytest.mark.parametrize(
    "content_type",
    [
        f'multipart/signed;\r\n protocol="application/pkcs7-signature"; micalg=sha-256;\r\n boundary="{MARK}"',
        f"multipart/signed;boundary={MARK};protocol=x",
        'multipart/mixed;boundary="----=_Part_7_12.34"',
        'multipart/mixed;boundary="--"',
        "Multipart/Mixed ; Boundary = a--",
        'multipart/mixed;boundary="gc0p4Jq0M2Yt08j34c0p\'(x)"',
    ],
)
def test_a_boundary_may_begin_with_dashes(content_type: str) -> None:
    decision = decide(GUARD, typed(content_type))
    assert decision.verdict is Verdict.ALLOW, decision.findings


@pytest.mark.parametrize(
    "content_type",
    [
        'multipart/mixed;boundary="x\' or 1=1--"',
        'multipart/mixed;boundary="--../../../etc/passwd--"',
        "multipart/mixed;boundary=----a;x='; drop table users--",
        "text/plain' or 1=1;boundary=--",
        'multipart/mixed;boundary="a";x="$(reboot)"',
    ],
)
def test_a_boundary_hides_no_attack(content_type: str) -> None:
    assert decide(GUARD, typed(content_type)).verdict is Verdict.REJECT


def test_only_dashes_of_the_boundary_are_left_unread() -> None:
    value = f'multipart/signed;micalg=md5;boundary="{MARK}--";x=y'
    read = [part.value for part in parts(typed(value)) if part.header == "content-type"]
    assert b"".join(read) == b'multipart/signed;micalg=md5;boundary="5C2E91D07B44A6F3";x=y'
