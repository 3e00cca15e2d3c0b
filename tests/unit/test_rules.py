"""Every rule fires on its hits, in whatever part it is for, and keeps off its misses."""

from __future__ import annotations

import pytest

from sipsieve import ruleset

RULES = ruleset.load()


@pytest.mark.parametrize("rule", RULES.rules, ids=lambda rule: rule.id)
def test_a_rule_hits_and_misses_what_it_says(rule: ruleset.Rule) -> None:
    for text in rule.hits:
        assert rule in RULES.match(text.encode()), text
    for text in rule.misses:
        assert rule not in RULES.match(text.encode()), text


@pytest.mark.parametrize("rule", RULES.rules, ids=lambda rule: rule.id)
def test_a_prefilter_sees_every_hit_inside_a_message(rule: ruleset.Rule) -> None:
    database = ruleset.compile_patterns([(rule.id, rule.prefilter)])
    for text in rule.hits:
        seen: list[int] = []
        raw = b'From: "' + text.encode() + b'" <sip:a@example.com>\r\n'
        database.scan(raw, lambda *match: match[-1].append(match[0]), 0, seen)
        assert seen, text
