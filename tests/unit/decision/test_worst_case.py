"""The worst messages stay cheap, and cost grows no faster than size. `make bench-worst` has the figures."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "bench"))

import worst_case
from sipsieve.config import policy
from sipsieve.decision.engine import Engine
from sipsieve.decision.explain import NoCounters
from sipsieve.detection import ruleset
from worst_case import PIECES, PLACES, SOURCE, best, message, pieces_of_rules, transforms

RULES = ruleset.load()
GUARD = Engine(policy.loads("[limits]\nenabled = false\n"), RULES)

#: Five times the goal: a busy machine is no reason to fail, a quadratic pattern is.
LIMIT = 5000.0


def cost(raw: bytes) -> float:
    return best(lambda: GUARD.decide(raw, SOURCE, 0.0, NoCounters()), 2)


@pytest.mark.parametrize("place", PLACES)
def test_no_message_costs_much(place: str) -> None:
    costs = {name: cost(message(place, piece, 65000)) for name, piece in PIECES.items()}
    worst = max(costs, key=lambda name: costs[name])
    # Once more, in case that something else ran meanwhile.
    assert min(costs[worst], cost(message(place, PIECES[worst], 65000))) < LIMIT, worst


def test_no_rule_can_be_made_to_cost_much() -> None:
    costs = {name: cost(message("headers", piece, 65000)) for name, piece in pieces_of_rules(RULES).items()}
    worst = max(costs, key=lambda name: costs[name])
    assert costs[worst] < LIMIT, worst


@pytest.mark.parametrize("name", transforms())
def test_a_transform_is_linear(name: str) -> None:
    transform = transforms()[name]

    def time(text: bytes) -> float:
        return best(lambda: transform(text))

    for piece in PIECES.values():
        whole = (piece * 65536)[:65536]
        short, long = time(whole[:8192]), time(whole)
        # Eight times the bytes: eight times the time, and something for the clock.
        assert long < 40 * short + 2000, (name, piece)


def test_the_bench_knows_every_rule_that_has_a_plain_hit() -> None:
    assert len(pieces_of_rules(RULES)) > 0.9 * len(RULES.rules)
    assert worst_case.MATCHED > 1
