"""The second opinion: the core says what the trainer says, it decides nothing alone, and training gives the same bytes."""

from __future__ import annotations

import hashlib
import json
import struct
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from harness import ROOT, invite
from sipsieve.config import policy
from sipsieve.decision.engine import Engine
from sipsieve.detection import opinion, ruleset
from sipsieve.model import Decision, Source, Verdict

sys.path.append(str(ROOT / "tests" / "detection"))

import train

SOURCE = Source("192.0.2.4", 5060, "udp", "192.0.2.4")
WEIGHTS = opinion.FOLDER / "weights.bin"
RULES = ruleset.load()

#: A text on which no rule is sure, and one on which a rule is that is not sure of itself; both read like attacks.
ALONE, BESIDE = b"x & ln secret pwn", b"x | patch secret"
#: Fields of free text; and one of no standard, where programs talk to each other.
TEXTS, OTHER = (b"Subject", b"Organization", b"User-Agent"), b"X-Name"


def guard(use: str, more: str = "") -> Engine:
    return Engine(policy.loads(f'[limits]\nenabled = false\n[detection]\nmodel = "{use}"\n{more}'), RULES)


def decide(engine: Engine, *texts: bytes, fields: tuple[bytes, ...] = TEXTS, **more: str) -> Decision:
    raw = invite(**more)  # type: ignore[arg-type]
    for field, text in zip(fields, texts, strict=False):
        raw = raw.replace(b"\r\nCall-ID", b"\r\n%s: %s\r\nCall-ID" % (field, text), 1)
    return engine.decide(raw, SOURCE, 0.0, SimpleNamespace(knows_dialog=lambda _: False))  # type: ignore[arg-type]


def opinions(decision: Decision) -> list[int]:
    return [finding.score for finding in decision.findings if finding.rule == opinion.RULE]


def test_the_core_says_what_the_trainer_says() -> None:
    content = WEIGHTS.read_bytes()
    scale, bias, _ = struct.unpack("<fff", content[8:20])
    trained = train.Weights(np.frombuffer(content[20:], dtype=np.int8).astype(np.int32), scale, bias)
    texts = [text.text for text in train.corpora.own_benign()] + [b"'" + bytes(range(256)) * 3, b"'", b"none", b"\xff;"]
    asked = 0
    for text, odds in zip(texts, trained.scores(texts), strict=True):
        said = opinion.load().score(text)
        assert (said is None) == (odds == -np.inf), text
        if said is not None:
            asked += 1
            assert said == pytest.approx(odds, abs=1e-9)
    assert asked > 100


def test_the_card_is_of_the_weights_that_are_shipped() -> None:
    card = json.loads((opinion.FOLDER / "card.json").read_text())
    content = WEIGHTS.read_bytes()
    assert card["sha256"] == hashlib.sha256(content).hexdigest()
    assert len(content) <= 512 * 1024
    assert card["threshold"] == pytest.approx(struct.unpack("<f", content[16:20])[0])
    assert card["held back"]["ordinary names"]["reads like an attack"] <= 0.0005


def test_training_gives_the_same_bytes() -> None:
    texts = {
        "corpus": [b"' or 1=1--", b"$(reboot)", b"x';drop table a--", b"<script>alert(1)</script>"],
        "names": [b"Bob's Diner", b"Kim; Su", b"Candles, Gifts, & More", b"Max <Smith>"],
    }
    made = [train.fitted(texts).to_bytes(1.5) for _ in range(2)]
    assert made[0] == made[1]
    assert hashlib.sha256(made[0]).hexdigest()[:16] == "9d4ffcd6af7c0688"
    more = {**texts, "names": [*texts["names"], b"O'Brien"]}
    assert train.fitted(more).to_bytes(1.5) != made[0]


def test_off_it_is_not_asked_and_noted_it_decides_nothing() -> None:
    off, note = guard("off"), guard("note")
    for text, verdict in ((ALONE, Verdict.ALLOW), (BESIDE, Verdict.SCRUB)):
        assert opinions(decide(off, text)) == []
        assert len(opinions(decide(note, text))) == 1
        assert decide(off, text).verdict is verdict
        assert decide(note, text).verdict is verdict


def test_alone_it_takes_out_and_refuses_nothing_however_many_values_read_so() -> None:
    for names in ((ALONE,), (ALONE, b"> pwn", b"bob >pwn")):
        decision = decide(guard("scrub"), *names)
        assert decision.verdict is Verdict.SCRUB
        assert decision.replacement is not None
        assert not any(name in decision.replacement for name in names)


def test_what_it_is_unsure_of_adds_nothing_to_what_a_rule_says_of_another_value() -> None:
    unsure, sure = b"bob | tee pwn", ALONE
    weak = b"x | split"
    guarded = guard("scrub")
    assert [opinions(decide(guarded, text)) for text in (unsure, sure)] == [[3], [4]]
    assert decide(guarded, weak).verdict is Verdict.SCRUB and opinions(decide(guarded, weak)) == []
    both = decide(guarded, unsure, weak)
    assert both.verdict is Verdict.SCRUB
    assert both.replacement is not None
    assert unsure not in both.replacement and weak not in both.replacement
    assert decide(guarded, sure, weak).verdict is Verdict.REJECT


def test_what_can_be_taken_out_is_though_something_else_cannot() -> None:
    raw = b"bob | tee pwn"
    decision = decide(guard("scrub"), raw, to="<sip:bob@example.com>;tag=")
    assert {finding.rule for finding in decision.findings} >= {"tag-empty", opinion.RULE}
    assert decision.verdict is Verdict.SCRUB
    assert decision.replacement is not None and raw not in decision.replacement


def test_beside_a_rule_that_is_not_sure_it_decides() -> None:
    decision = decide(guard("scrub"), BESIDE)
    assert opinions(decision) == [5]
    assert decision.verdict is Verdict.REJECT


def test_in_a_field_of_no_standard_it_is_noted_unless_a_rule_says_the_same() -> None:
    engine = guard("scrub")
    alone, beside = (decide(engine, text, fields=(OTHER,)) for text in (ALONE, BESIDE))
    assert opinions(alone) == [0]
    assert alone.verdict is Verdict.ALLOW
    assert opinions(beside) == [5]
    assert beside.verdict is Verdict.REJECT


def test_the_text_of_a_reason_is_asked_about_and_another_parameter_is_not() -> None:
    for value, verdict in (
        (b'SIP;cause=200;text="%s"' % ALONE, Verdict.SCRUB),
        (b"SIP;cause=200;text=bob", Verdict.ALLOW),
    ):
        assert decide(guard("scrub"), value, fields=(b"Reason",)).verdict is verdict


def test_what_a_form_is() -> None:
    assert bytes(train.form(b"x;pkill  kamailio 12")) == b"a;a a 0"
    assert bytes(train.form("José's".encode())) == b"a'a"
    assert bytes(train.form(b"")) == b""


def test_it_can_be_watched_like_a_rule() -> None:
    decision = decide(guard("scrub", '[rules]\nobserve = ["second-opinion"]\n'), ALONE)
    assert decision.verdict is Verdict.SCRUB
    assert not decision.enforced


def test_the_reason_names_what_weighed_most_in_printable_characters() -> None:
    text = b"\x01' or '\xff'"
    (noted,) = [one for one in decide(guard("note"), b'x & "ln" secret').findings if one.rule == opinion.RULE]
    assert "log-odds" in noted.reason
    grams = opinion.load().strongest(text)
    assert 1 <= len(grams) <= 3
    assert all(gram in text for gram in grams)
    strongest = opinion.load().strongest(b'x & "ln" secret')
    assert all(gram.decode().replace('"', '\\"') in noted.reason for gram in strongest)


@pytest.mark.parametrize("content", [None, b"", b"ngrams01" + bytes(12 + (1 << 18))])
def test_weights_that_cannot_be_used_are_refused_with_their_file(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "weights.bin").write_bytes(content)
    with pytest.raises(ruleset.RuleError, match=r"weights\.bin: .*detection\.model"):
        opinion.load(tmp_path)
