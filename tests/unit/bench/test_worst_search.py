"""The search for dear messages finds what is dear, small messages included."""

from __future__ import annotations

import sys

from harness import ROOT

sys.path.insert(0, str(ROOT / "bench"))

from worst_search import SIZES, Recipe, class_of, search


def test_it_finds_what_costs_most_in_each_class_of_sizes() -> None:
    pieces = [b"a", b",", b"<", b"%41", b";x"]
    found = search(lambda raw: float(raw.count(b"<") * raw.count(b",")), pieces, 1.0, 3)
    for number, recipes in enumerate(found):
        cost, recipe = recipes[0]
        raw = recipe.message()
        assert class_of(len(raw)) == number
        assert cost == raw.count(b"<") * raw.count(b",")
        # More than any single piece makes of it: only together do they cost.
        assert cost > len(raw), recipe


def test_a_recipe_keeps_to_its_size() -> None:
    parts = (("contact", (b"<",)), ("folded", (b"a",)), ("user-agent", (b"%41", b",")))
    for size in SIZES:
        raw = Recipe(parts, size).message()
        assert size // 2 < len(raw) <= size
        assert raw.startswith(b"INVITE ")
        assert b"Contact: <<" in raw
        assert b"User-Agent: " in raw
