"""What stage one calls ordinary, the closer look finds nothing in: in whatever field, however it is written."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent.parent / "detection"))

from embed import FIELDS, MORE_FIELDS, message, quoted
from evaluate import engine, own_attacks, own_benign

from sipsieve import detect as detect_module
from sipsieve import ruleset, structure
from sipsieve.detect import detect
from sipsieve.message import parse
from sipsieve.sieve import SUSPECT

RULES = ruleset.load()
GUARD = engine()


def header(start: bytes) -> Callable[[bytes], bytes]:
    return lambda text: message(more=start + text + b"\r\n")


PLACES: Final = {
    **FIELDS,
    **MORE_FIELDS,
    "subscription-state": header(b"Subscription-State: active;"),
    "session-expires": header(b"Session-Expires: 90;"),
    "reason": lambda text: message(more=b'Reason: SIP;cause=200;text="' + quoted(text) + b'"\r\n'),
    "warning": header(b"Warning: 399 host "),
    "accept": header(b"Accept: "),
    "refer-to": header(b"Refer-To: <sip:a@example.com>;x="),
    "from tag": lambda text: message(from_=b"<sip:a@example.com>;tag=" + text),
    "raw user": lambda text: message(from_=b"<sip:a" + text + b"@example.com>;tag=1"),
    "via host": lambda text: message(via=b"SIP/2.0/UDP h" + text + b";branch=z9hG4bKx"),
    "branch": lambda text: message(via=b"SIP/2.0/UDP 192.0.2.4;branch=z9hG4bK" + text),
}

SPELLINGS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "as it is": lambda t: t,
    "plus": lambda t: t.replace(b" ", b"+"),
    "tab": lambda t: t.replace(b" ", b"\t"),
    "wide": lambda t: t.replace(b" ", b"  "),
    "after a word": lambda t: b"Ann " + t,
    "before a word": lambda t: t + b" Ann",
    "after a semicolon": lambda t: b"a;" + t,
}

TEXTS: Final = sorted(
    {text.encode() for rule in RULES.rules for text in (*rule.hits, *rule.misses)}
    | {attack.text for attack in own_attacks()}
    | {case.text for case in own_benign() if case.kind != "message"}
)


def disagreement(raw: bytes) -> str:
    """What the closer look finds in a message that stage one calls ordinary."""
    head_end = raw.find(b"\r\n\r\n") + 4
    if GUARD._sieve.look(raw[:head_end]) & SUSPECT:
        return ""
    read = parse(raw)
    structure.check(read, 65535)
    found = [finding.rule for finding in detect(read, RULES) if finding.score]
    return ", ".join(found + [defect.rule for defect in read.defects])


def test_texts_of_rules_and_cases() -> None:
    wrong = []
    for text in TEXTS:
        for name, spell in SPELLINGS.items():
            spelled = spell(text)
            if (spelled == text and name != "as it is") or b"\n" in spelled or b"\r" in spelled:
                continue
            wrong += [(found, place, spelled) for place, put in PLACES.items() if (found := disagreement(put(spelled)))]
    assert not wrong, wrong[:20]


def test_what_is_passed_over_in_a_long_message_is_found_in_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(raw: bytes) -> list[tuple[str, str]]:
        read = parse(raw)
        structure.check(read, 65535)
        return [(finding.rule, finding.field) for finding in detect_module.detect(read, RULES) if finding.score]

    wrong = []
    messages = [put(text) for text in TEXTS if b"\n" not in text for put in PLACES.values()]
    for whatever, long in ((1.0, 65536), (0.0, 0)):
        monkeypatch.setattr(detect_module, "WHATEVER", whatever)
        monkeypatch.setattr(detect_module, "LONG", long)
        wrong.append([found(raw) for raw in messages])
    assert len(messages) > 10000
    assert any(wrong[0])
    differences = [(raw, one, other) for raw, one, other in zip(messages, *wrong, strict=True) if one != other]
    # What is left has no room for all of it in the first way.
    assert not [d for d in differences if "value-overlong" not in dict(d[1])], differences[:5]
    assert len(differences) < len(messages) / 1000


def test_what_made_the_stages_disagree_once() -> None:
    for place, text in (
        ("subscription-state", b"onerror0expires=3599"),
        ("from.display", b"cat & mouse"),
        ("from.display", b"Open (24h)"),
        ("user-agent", b"ls+-la"),
        ("subject", b"Sed & Awk"),
        ("reason", b"id=5"),
        ("from.user", b"&id"),
    ):
        assert not disagreement(PLACES[place](text)), (place, text)


_WORDS: Final = st.sampled_from(
    [word for text in TEXTS for word in text.split()] + [b";", b"&", b"|", b"'", b'"', b"=", b"(", b")", b"--", b"/"]
)


@settings(max_examples=1500, deadline=None, derandomize=True)
@given(
    st.lists(_WORDS, min_size=1, max_size=4),
    st.sampled_from([b" ", b"", b"+", b"  "]),
    st.sampled_from(sorted(PLACES)),
)
def test_words_of_attacks_in_any_order(words: list[bytes], between: bytes, place: str) -> None:
    raw = PLACES[place](between.join(words))
    assert not disagreement(raw), (place, between.join(words))
