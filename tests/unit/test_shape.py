"""A message of a known shape gets the decision that a full inspection gives it, whatever stands in its holes."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent.parent / "detection"))
sys.path.insert(0, str(Path(__file__).parent.parent.parent / "bench"))

from evaluate import SOURCE, NoCounters, engine
from ordinary import ORDINARY_MESSAGES

from sipsieve import necessity, ruleset
from sipsieve.model import Verdict
from sipsieve.shape import Shapes
from traffic import message

RULES = ruleset.load()
GUARD = engine()
SHAPES = Shapes(RULES)

#: What phones and servers send, as it is and with identifiers of other kinds.
MESSAGES = [*ORDINARY_MESSAGES, *(message(kind, 5060, 1) for kind in ("register", "invite", "reply"))]

#: Words of which rules' hits are made, without the punctuation round them.
WORDS = sorted({word for rule in RULES.rules for text in rule.hits for word in re.findall(r"[A-Za-z0-9]+", text)})

TOKEN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_@+"

tokens = st.lists(st.one_of(st.sampled_from(WORDS), st.text(TOKEN, max_size=6)), max_size=5).map("".join)


def inspected(raw: bytes) -> object:
    decision = GUARD._inspect(raw, SOURCE, 0.0, NoCounters(), lambda: None, False)
    return decision.verdict, decision.findings, decision.method, decision.kind


NEEDED = {rule.id: necessity.words(rule.pattern, TOKEN.encode()) for rule in RULES.rules}


def learned(raw: bytes) -> Shapes:
    SHAPES.forget()
    SHAPES.learn(raw, 0.0)
    return SHAPES


@pytest.mark.parametrize("raw", MESSAGES[-3:], ids=("register", "invite", "reply"))
def test_the_same_client_s_next_message_has_the_shape_of_its_last(raw: bytes) -> None:
    shape = learned(raw).find(raw.replace(b"00000001", b"0000beef"))
    assert shape is not None
    assert shape.head_end == raw.find(b"\r\n\r\n") + 4
    assert shape.method == ("REGISTER" if raw.startswith(b"REG") else "INVITE")
    assert shape.status == (200 if raw.startswith(b"SIP") else 0)


@pytest.mark.parametrize("raw", MESSAGES[-3:], ids=("register", "invite", "reply"))
def test_a_shape_tells_what_else_differs(raw: bytes) -> None:
    shapes = learned(raw)
    for old, new in (
        (b"Max-Forwards: 70", b"Max-Forwards: 7x"),
        (b"User-Agent: Ex", b"User-Agent: $("),
        (b"00000001", b"0000000;"),
        (b"00000001", b"000000\r\n"),
        (b"00000001", b"000%0d%0"),
        (b"0000001\r", b"0000001\0"),
        (b"CSeq: 1", b"CSeq: x"),
        (b"CSeq: 2", b"CSeq: x"),
    ):
        if old in raw:
            assert shapes.find(raw.replace(old, new)) is None, new


def test_nothing_that_an_inspection_finds_is_learned() -> None:
    for raw in (
        MESSAGES[-3].replace(b'"Reception"', b'"a\' or 1=1"'),
        MESSAGES[-3].replace(b"Content-Length: 0", b"Content-Length: 9"),
        MESSAGES[-3].replace(b"Call-ID:", b"Call-IX:"),
    ):
        assert learned(raw).find(raw) is None


@settings(max_examples=500, deadline=None)
@given(base=st.sampled_from(MESSAGES), data=st.data())
def test_a_known_shape_is_as_good_as_an_inspection(base: bytes, data: st.DataObject) -> None:
    shapes = learned(base)
    changed = bytearray(base)
    for _ in range(data.draw(st.integers(1, 4))):
        filling = data.draw(tokens | st.binary(max_size=12).map(lambda some: some.decode("latin-1"))).encode("latin-1")
        # Of a body a shape says nothing: the engine looks at each.
        at = data.draw(st.integers(0, len(changed) - 1))
        # Overwritten, not inserted: another length is another shape.
        changed[at : at + len(filling)] = filling[: len(changed) - at]
    raw = bytes(changed)
    shape = shapes.find(raw)
    if shape is not None and GUARD._passes_body(raw, shape.head_end):
        assert inspected(raw)[1] == (), raw  # type: ignore[index]
        assert inspected(raw) == (*inspected(base)[:2], shape.method, shape.kind)  # type: ignore[index]


@settings(max_examples=500, deadline=None)
@given(data=st.data())
def test_hostile_identifiers_are_seen(data: st.DataObject) -> None:
    base = MESSAGES[-3 + data.draw(st.integers(0, 2))]
    shapes = learned(base)
    filling = data.draw(tokens.filter(lambda text: text.isalnum()))[:8].ljust(8, "0").encode()
    raw = base.replace(b"00000001", filling)
    if shapes.find(raw) is not None:
        assert inspected(raw)[1] == (), raw  # type: ignore[index]


@settings(max_examples=500, deadline=None)
@given(text=tokens)
def test_no_rule_matches_a_token_without_its_needed_words(text: str) -> None:
    for rule in RULES.match(text.encode()):
        needed = NEEDED[rule.id]
        assert needed is None or any(re.search(word, text, re.I | re.M) for word in needed), (rule.id, needed)


@pytest.mark.parametrize("rule", RULES.rules, ids=lambda rule: rule.id)
def test_a_rule_s_hits_hold_its_needed_words(rule: ruleset.Rule) -> None:
    printable = bytes(range(9, 127)) + bytes(range(128, 256))
    needed = necessity.words(rule.pattern, printable)
    for text in rule.hits:
        # Words are written as Latin-1, as the bytes of the text are.
        bytes_text = text.encode().decode("latin-1")
        assert needed is None or not needed or any(re.search(word, bytes_text, re.I | re.M) for word in needed), needed


def test_what_is_needed() -> None:
    plain = TOKEN.encode()
    assert necessity.words("union.{1,20}select", plain) == {"select"}
    assert necessity.words("(?:drop|alter) ?table", plain) == {"droptable", "altertable"}
    assert necessity.words(r"\$\(", plain) == frozenset()
    assert necessity.words(r"\bis\b", plain) == {r"\bis\b"}
    assert necessity.words("a.b", plain) is None
    assert necessity.words("[a-z]{3}", plain) is None
    assert necessity.words("(?P<x>", plain) is None


@pytest.mark.parametrize("line", (b"s=`id`", b"s=$(a)", b"i=a'--"))
def test_the_body_of_a_known_shape_is_looked_at(line: bytes) -> None:
    """Header sections of one shape, and of one length, with another body: the shape once passed them both."""
    guard = engine()
    clean = message("invite", 5060, 1)
    for number in range(3):
        raw = clean.replace(b"00000001", b"0000000%d" % number)
        assert guard.decide(raw, SOURCE, 0.0, NoCounters()).verdict is Verdict.ALLOW
    hostile = clean.replace(b"s=call", line)
    assert len(hostile) == len(clean)
    assert guard.decide(hostile, SOURCE, 0.0, NoCounters()).verdict is Verdict.REJECT


@settings(max_examples=500, deadline=None)
@given(line=st.sampled_from([text for rule in RULES.rules for text in rule.hits]), kind=st.sampled_from("osiue"))
def test_a_body_that_is_plain_hides_nothing(line: str, kind: str) -> None:
    body = f"v=0\r\no=- 1 1 IN IP4 192.0.2.4\r\n{kind}={line}\r\nc=IN IP4 192.0.2.4\r\nt=0 0\r\n".encode()
    raw = message("invite", 5060, 1)
    head = raw[: raw.find(b"Content-Length")]
    whole = head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    if RULES.body_is_plain(body):
        assert inspected(whole)[1] == (), whole  # type: ignore[index]


@pytest.mark.parametrize("rule", RULES.rules, ids=lambda rule: rule.id)
def test_a_plus_for_a_space_hides_nothing(rule: ruleset.Rule) -> None:
    """`bash+-i` once passed as a user where a message with `qqqq+-q` was known."""
    base = MESSAGES[-3]
    for hit in rule.hits:
        for lead in ("", "+"):
            text = re.sub(r"[^A-Za-z0-9.@_+-]", "", lead + hit.replace(" ", "+").replace("\t", "+"))
            user = text.replace("@", "").encode()
            neutral = re.sub(rb"[A-Za-z0-9]", b"7", user)
            if not user or user == neutral:
                continue
            shapes = learned(base.replace(b"sip:4930123456@registrar", b"sip:%b@registrar" % neutral))
            raw = base.replace(b"sip:4930123456@registrar", b"sip:%b@registrar" % user)
            if shapes.find(raw) is not None:
                assert inspected(raw)[1] == (), raw  # type: ignore[index]


def test_numbers_with_a_plus_have_a_shape_too() -> None:
    base = MESSAGES[-3].replace(b"4930123456", b"+493012345")
    assert learned(base).find(base.replace(b"00000001", b"0000beef").replace(b"+493012345", b"+493099999")) is not None
