"""The bench's traffic: valid, of many makes, reproducible, and nothing in it is odd to the guard."""

from __future__ import annotations

import collections
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "bench"))
sys.path.insert(0, str(Path(__file__).parents[2] / "detection"))

from evaluate import decide, engine

from mix import MAKES, METHODS, NAMES, Traffic
from sipsieve import _core
from sipsieve.model import Verdict

SOME = Traffic(seed=5, subscribers=480).requests(0, 4000)


def test_it_is_the_same_again_and_other_in_each_round() -> None:
    one, other = Traffic(seed=5, subscribers=480), Traffic(seed=5, subscribers=480)
    assert one.requests(3, 50) == other.requests(3, 50)
    assert one.requests(4, 50) != other.requests(3, 50)


def test_every_make_method_and_kind_of_name_is_in_it() -> None:
    assert len(MAKES) >= 20
    for wanted, place in ((METHODS, 3), (NAMES, 4), ([make.name for make in MAKES], 2)):
        seen = collections.Counter(one[place] for one in SOME)
        assert set(seen) == set(wanted)


def test_each_message_is_sound_sip() -> None:
    for one in SOME:
        assert _core.check(one.raw, 65535) == [], one.raw


def test_none_of_it_is_touched() -> None:
    guard = engine()
    touched = [
        (one.raw, decision.reason) for one in SOME if (decision := decide(guard, one.raw)).verdict is not Verdict.ALLOW
    ]
    assert touched == []
