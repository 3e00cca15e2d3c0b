"""Which dialog a message belongs to, and whom a reply goes back to."""

from __future__ import annotations

import pytest

from backend import answer
from harness import request
from sipsieve.config import policy
from sipsieve.decision.engine import Engine
from sipsieve.detection import ruleset

INSPECTOR = Engine(policy.loads(""), ruleset.load()).inspector

BASE = {"call_id": "c@h", "from_": "<sip:a@x>;tag=one", "to": "<sip:b@x>;tag=two"}


def key(raw: bytes) -> int:
    return INSPECTOR.inspect(raw).dialog


def requester(raw: bytes) -> tuple[str, int] | None:
    return INSPECTOR.inspect(raw).requester


def test_both_sides_name_the_dialog_alike() -> None:
    there = key(request("INVITE", **BASE))
    back = key(request("BYE", call_id="c@h", from_="<sip:b@x>;tag=two", to="<sip:a@x>;tag=one"))
    assert there == back != 0


@pytest.mark.parametrize(
    "changed",
    [{"call_id": "d@h"}, {"from_": "<sip:a@x>;tag=other"}, {"to": "<sip:b@x>;tag=other"}, {"to": "<sip:b@x>"}],
)
def test_any_other_identifier_is_another_dialog(changed: dict[str, str]) -> None:
    assert key(request("INVITE", **{**BASE, **changed})) != key(request("INVITE", **BASE))


def test_spelling_does_not_matter() -> None:
    plain = request("INVITE", **BASE)
    odd = (
        plain.replace(b"From:", b"f :")
        .replace(b"To: ", b"t:")
        .replace(b"Call-ID:", b"i:")
        .replace(b";tag=", b" ; TAG = ")
    )
    assert key(odd) == key(plain)


def test_without_tags_there_is_no_dialog() -> None:
    assert key(request("INVITE", from_="<sip:a@x>", to="<sip:b@x>")) == 0
    assert key(b"") == 0
    assert key(b"\xff" * 1000) == 0


def test_the_requester_is_in_the_second_via() -> None:
    sent = request("INVITE", via="Via: SIP/2.0/UDP 10.0.0.1:5070;branch=z9;received=192.0.2.5;rport=4444")
    relayed = sent.replace(b"\r\nVia:", b"\r\nVia: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bKedge\r\nVia:", 1)
    assert requester(answer(relayed, 404)) == ("192.0.2.5", 4444)
    assert requester(answer(sent, 404)) is None


@pytest.mark.parametrize(
    ("via", "expected"),
    [
        ("SIP/2.0/UDP 192.0.2.9", ("192.0.2.9", 5060)),
        ("SIP / 2.0 / TCP 192.0.2.9 : 5080;branch=z", ("192.0.2.9", 5080)),
        ("SIP/2.0/TLS [2001:db8::1]:5061", ("2001:db8::1", 5061)),
        ("SIP/2.0/UDP 192.0.2.9:99999", ("192.0.2.9", 65535)),
        ("garbage", None),
    ],
)
def test_vias_as_they_come(via: str, expected: tuple[str, int] | None) -> None:
    head = f"SIP/2.0 404 No\r\nVia: SIP/2.0/UDP 198.51.100.1;branch=z9, {via}\r\n\r\n".encode()
    assert requester(head) == expected
