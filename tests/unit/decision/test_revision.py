"""A revision that another process packed: rules that are known already are not compiled again."""

from __future__ import annotations

import one_rule
from sipsieve.config import policy
from sipsieve.decision import revision
from sipsieve.detection.ruleset import Exempt, Ruleset


def test_known_rules_are_taken_and_others_compiled() -> None:
    before = one_rule.live()
    after = revision.build(2, policy.loads('mode = "observe"\n'), before.ruleset)
    packed = revision.pack(after)
    taken = revision.unpack(packed, known=before.ruleset)
    assert taken.ruleset is before.ruleset and taken.engine.ruleset is before.ruleset
    assert (taken.number, taken.versions) == (2, after.versions)
    exempt = Exempt(rule=before.ruleset.rules[0].id, reason="another set of rules")
    other = Ruleset(before.ruleset.rules, [exempt])
    for known in (None, other):
        compiled = revision.unpack(packed, known=known).ruleset
        assert compiled is not known and compiled is not before.ruleset
        assert compiled.version == before.ruleset.version
