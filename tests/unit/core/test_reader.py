"""The reader: what it makes of messages that parsers read differently, and where its parts stand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipsieve import _core as core

SOUND = (
    b"INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport\r\nMax-Forwards: 70\r\n"
    b'From: "Alice" <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: 1@192.0.2.1\r\n'
    b"CSeq: 1 INVITE\r\nContact: <sip:alice@192.0.2.1>\r\nContent-Type: application/sdp\r\nContent-Length: 20\r\n\r\n"
    b"v=0\r\no=x\r\ns=a call\r\n"
)
PIECES = [
    b"\r",
    b"\n",
    b"\r\n",
    b"\n ",
    b"\t",
    b'"',
    b";",
    b"<",
    b">",
    b"[",
    b"]",
    b",",
    b":",
    b"\\",
    b"\xff",
    b"%41",
    b"=",
]
SPACE = b" \t\r\n"


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    raw = SOUND
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(raw)))
        raw = raw[:at] + draw(st.sampled_from([*PIECES, b""])) + raw[at + draw(st.integers(0, 2)) :]
    return raw


def body(raw: bytes) -> bytes:
    return raw[core.parse(raw)[7] :]


def test_a_sound_message_has_no_defect() -> None:
    assert core.check(SOUND, 65535) == []


@pytest.mark.parametrize(
    ("end", "rest"),
    [
        (b"\r\n\r\n", b"body"),
        (b"\n\n", b"body"),
        (b"\r\n\n", b"body"),
        (b"\n\r\n", b"body"),
        (b"\r\n\n", b"\r\nbody"),
        (b"\r\n\r\n", b"\nbody"),
    ],
)
def test_the_first_empty_line_ends_the_header_section(end: bytes, rest: bytes) -> None:
    assert body(b"OPTIONS sip:a@b SIP/2.0\r\nSubject: x" + end + rest) == rest


@settings(max_examples=500, deadline=None)
@given(damaged())
def test_a_part_is_what_stands_there_and_no_foreign_byte_of_a_value_is_left_out(raw: bytes) -> None:
    covered = bytearray(len(raw))
    for _, _, _, start, end, value, _ in core.parts(raw, True, True):
        assert end == start or raw[start:end] == value
        covered[start:end] = b"\1" * (end - start)
    for name, _, _, _, start, end, _ in core.parse(raw)[6]:
        for at in range(start, end):
            # Separators and the names of parameters are no values, nor is a scheme.
            assert covered[at] or raw[at] < 0x80, (name, raw[start:end])


@settings(max_examples=300, deadline=None)
@given(damaged())
def test_header_fields_stand_where_they_are_said_to(raw: bytes) -> None:
    last = 0
    for _, raw_name, value, start, value_start, end, folded in core.parse(raw)[6]:
        assert last <= start < value_start <= end <= len(raw)
        assert raw[start:value_start].rstrip(b" \t\r\n:") == raw_name.rstrip(b" \t\r\n:")
        assert folded or raw[value_start:end].strip(SPACE) == value
        last = end


def test_a_defect_shows_the_value_that_it_is_about() -> None:
    raw = SOUND.replace(b";tag=1", b";tag=")
    assert ("tag-empty", "from", "a tag without a value", b'"Alice" <sip:alice@example.com>;tag=') in core.check(
        raw, 65535
    )
