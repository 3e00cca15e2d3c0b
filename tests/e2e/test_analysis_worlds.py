"""Grouping, intents and campaigns over labelled worlds; `make worlds` runs twenty."""

from __future__ import annotations

import pytest

from worlds.run import scored


@pytest.mark.parametrize("seed", [2, 5, 7])
def test_a_world_is_read_right(seed: int) -> None:
    found = scored(seed)
    assert found.grouping >= 0.95, found.notes
    assert found.intents >= 0.95, found.notes
    assert not found.missed
    assert not found.accused
