"""Places that people name things in, or programs, beside a caller's name: what is lawful there stays, and what is hostile is taken out."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable
from typing import Final

import pytest

from harness import ROOT
from sipsieve.model import Verdict

sys.path[:0] = [str(ROOT / "tests/detection")]

from by_hand import PLACES  # noqa: E402
from corpora import CASES  # noqa: E402
from embed import message  # noqa: E402
from evaluate import decide, engine, outcome  # noqa: E402

GUARD = engine(text_bodies=True)
TEXTS: Final = tomllib.loads((CASES / "places.toml").read_text())


def named(name: bytes) -> Callable[[bytes], bytes]:
    return lambda text: message(more=name + b": " + text + b"\r\n")


#: Where the texts of a list stand.
WHERE: Final = {
    "session": {name: PLACES[name] for name in ("sdp.s", "sdp.i")},
    "text_message": {name: PLACES[name] for name in ("message.body", "info.body")},
    "other_header": {name: named(name.encode()) for name in ("X-Foo", "Foo", "P-Vendor-Data")},
}
#: What no rule is sure of, and a second opinion is.
ALONE: Final = b"x & ln secret pwn"


@pytest.mark.parametrize("kind", sorted(WHERE))
def test_what_is_lawful_there_stays_as_it_is(kind: str) -> None:
    assert len(TEXTS[kind]) >= 150
    touched = [
        (place, text, [finding.rule for finding in decision.findings if finding.score])
        for place, make in WHERE[kind].items()
        for text in TEXTS[kind]
        if outcome(decision := decide(GUARD, make(text.encode()))) != "passed"
    ]
    assert touched == []


@pytest.mark.parametrize("kind", sorted(WHERE))
def test_what_is_said_to_be_touched_is(kind: str) -> None:
    """So that the list of what detection costs there is neither too long nor too short."""
    for text in TEXTS["touched"][kind]:
        for make in WHERE[kind].values():
            assert outcome(decide(GUARD, make(text.encode()))) != "passed", text


@pytest.mark.parametrize("kind", sorted(WHERE))
@pytest.mark.parametrize("text", [b"-T s*t", b"9 or(subscriber.id)"])
def test_what_is_hostile_is_taken_out_and_the_call_goes_on(kind: str, text: bytes) -> None:
    for place, make in WHERE[kind].items():
        assert outcome(decide(GUARD, make(text)), text) == "scrubbed", place


@pytest.mark.parametrize("text", [ALONE, b"x&pr secret"])
def test_a_session_s_name_is_taken_out_by_a_second_opinion_alone(text: bytes) -> None:
    for place, make in WHERE["session"].items():
        assert outcome(decide(GUARD, make(text)), text) == "scrubbed", place


@pytest.mark.parametrize("place", ["sdp.s", "sdp.i", "X-Foo"])
def test_beside_a_rule_that_is_not_sure_a_second_opinion_refuses(place: str) -> None:
    make = {**PLACES, "X-Foo": named(b"X-Foo")}[place]
    assert outcome(decide(GUARD, make(b"x | patch secret"))) == "refused"


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("X-Foo", b'{"note":"x & ln secret pwn"}'),
        ("X-Foo", ALONE),
        ("message.body", ALONE),
        ("X-Foo", b"SIP/100&SIP/101"),
        ("X-Foo", b"Alice Smith " * 60 + b"-> sales"),
        ("message.body", b"Alice Smith " * 60 + b"-> sales"),
        ("info.body", b"SIP/2.0 200 OK\r\nX: x & ln secret pwn"),
    ],
)
def test_what_programs_may_have_written_is_only_noted(place: str, value: bytes) -> None:
    decision = decide(GUARD, {**PLACES, "X-Foo": named(b"X-Foo")}[place](value))
    assert {finding.score for finding in decision.findings if finding.rule == "second-opinion"} <= {0}


def test_a_form_of_programs_is_no_way_around_for_what_a_rule_is_sure_of() -> None:
    for value in (b'{"a":"$(reboot)"}', b"a=1;b=$(reboot)", b"http://a.example/?x=$(reboot)"):
        assert outcome(decide(GUARD, named(b"X-Foo")(value))) == "refused", value


@pytest.mark.parametrize("name", [b"Geolocation", b"Feature-Caps", b"P-Visited-Network-ID", b"Resource-Priority"])
def test_a_field_of_a_standard_loses_nothing_for_a_second_opinion(name: bytes) -> None:
    decision = decide(GUARD, named(name)(ALONE))
    assert outcome(decision) == "passed"
    assert [finding.score for finding in decision.findings if finding.rule == "second-opinion"] == [0]


#: What stands in lines that people read, or programs of one maker.
LINES: Final = (
    b"e=admin@example.com (NOC > 24h)",
    b"p=+1 555 (h) > 5pm",
    b"p=-ext 5",
    b"a=title:Top 10 > Hits",
    b"a=title:-live show",
    b"a=tool:ffmpeg -re -i in.mp4",
    b"a=tool:-v2 player",
    b'a=ssrc:1 label:"Stage > 1"',
    b"a=fmtp:96 0-5/3>2",
)
SESSION: Final = (
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.4\r\ns=%s\r\nc=IN IP4 192.0.2.4\r\nt=0 0\r\n%sm=audio 40000 RTP/AVP 0\r\n"
    b"a=rtpmap:0 PCMU/8000\r\n"
)


@pytest.mark.parametrize("line", LINES)
def test_what_other_lines_say_to_people_stays(line: bytes) -> None:
    assert outcome(decide(GUARD, described(b"-", line + b"\r\n"))) == "passed"


def described(name: bytes, more: bytes = b"") -> bytes:
    return message(more=b"Content-Type: application/sdp\r\n", body=SESSION % (name, more))


@pytest.mark.parametrize("name", [ALONE, b"-T *"])
def test_a_session_loses_its_name_and_nothing_else(name: bytes) -> None:
    raw = described(name)
    decision = decide(GUARD, raw)
    assert decision.verdict is Verdict.SCRUB
    assert decision.replacement is not None
    assert decision.replacement == raw.replace(b"s=" + name, b"s=" + b"removed".ljust(len(name))[: len(name)])


def test_lines_that_are_not_read_one_by_one_are_never_taken_out() -> None:
    """They come as one value, which begins with a name and goes on with where the media is sent to."""
    raw = described(b"-", b"i=a\r\n" * 70 + b"i=" + ALONE + b"\r\n")
    decision = decide(GUARD, raw)
    assert decision.verdict in (Verdict.ALLOW, Verdict.REJECT)
    assert decision.replacement is None


@pytest.mark.parametrize("text", [b"http://www.example.com/a.jpg?x='1'&y=2", b"uri", b"http://192.0.2.4/pics/bob;id=1"])
def test_a_url_of_call_info_is_not_asked_about(text: bytes) -> None:
    decision = decide(GUARD, message(more=b"Call-Info: <" + text + b">;purpose=icon\r\n"))
    assert [finding for finding in decision.findings if finding.rule == "second-opinion"] == []


def test_what_stands_there_and_is_no_url_is_taken_out() -> None:
    raw = message(more=b"Call-Info: <" + ALONE + b">;purpose=icon\r\n")
    decision = decide(GUARD, raw)
    assert decision.replacement == raw.replace(ALONE, b"removed")
