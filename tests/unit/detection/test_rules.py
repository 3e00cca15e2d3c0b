"""Every rule fires on its hits, in whatever part it is for, and keeps off its misses."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "detection"))

from embed import message
from evaluate import decide, engine
from ordinary import ORDINARY_MESSAGES

from sipsieve.config.policy import Actions
from sipsieve.control.scoreboard import FAMILIES
from sipsieve.detection import ruleset
from sipsieve.model import Verdict

RULES = ruleset.load()
GUARD = engine()


@pytest.mark.parametrize("rule", RULES.rules, ids=lambda rule: rule.id)
def test_a_rule_hits_and_misses_what_it_says(rule: ruleset.Rule) -> None:
    for text in rule.hits:
        assert rule in RULES.match(text.encode()), text
    for text in rule.misses:
        assert rule not in RULES.match(text.encode()), text


def test_an_operator_can_say_what_each_family_leads_to_and_sees_it_counted() -> None:
    families = {rule.family for rule in RULES.rules}
    assert families <= set(Actions.__struct_fields__)
    assert families <= set(FAMILIES)


@pytest.mark.parametrize("raw", ORDINARY_MESSAGES, ids=range(len(ORDINARY_MESSAGES)))
def test_what_phones_send_is_ordinary(raw: bytes) -> None:
    assert decide(GUARD, raw).verdict is Verdict.ALLOW
    assert not GUARD.inspector.inspect(raw).findings


@pytest.mark.parametrize(
    ("uri", "stopped"),
    [
        ("sip:annc@ms.example.net;play=file:///prompts/hello.wav;early=yes", False),
        ("sip:dialog@ms.example.net;voicexml=file://ms.example.net/menu.vxml", False),
        ("sip:annc@ms.example.net;play=file:///etc/passwd", True),
        ("sip:annc@ms.example.net;other=file:///prompts/hello.wav", True),
    ],
)
def test_a_media_server_s_file_is_no_attack(uri: str, stopped: bool) -> None:
    """RFC 4240: announcements and scripts are named by URLs, of files of the media server too."""
    verdict = decide(GUARD, message(uri=uri.encode())).verdict
    assert (verdict is Verdict.REJECT) == stopped


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('family = "site', "is not valid TOML"),
        ('[log]\nallow = "each"', "log: no such key. Allowed here: family, rule"),
        ('family = "site"', "object missing required field `rule`; allowed: a table with family"),
        ('family = "site"\n[[rule]]\nscor = 3', "rule[0].scor: no such key. Did you mean 'score'?"),
        ('family = "site"\n[[rule]]\nscore = 99', "rule[0].score: expected `int` <= 10; allowed: a whole number from 0 to 10"),
        ('family = "site"\n[[rule]]\nhits = []', "rule[0].hits: expected `array` of length >= 1; allowed: a list of texts"),
    ],
)  # fmt: skip
def test_a_file_of_rules_that_is_wrong_names_key_and_what_is_allowed(tmp_path: Path, written: str, said: str) -> None:
    path = tmp_path / "site.toml"
    path.write_text(written + "\n")
    with pytest.raises(ruleset.RuleError) as told:
        ruleset.load_file(path)
    assert str(told.value).startswith(f"{path}: ") and said in str(told.value)
