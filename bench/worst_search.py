"""Searches for the dearest messages by itself: sizes, shapes and mixtures are changed at random, and what costs more than its
like is changed further. A decision and its record are timed together."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sipsieve.config import policy
from sipsieve.decision.engine import Engine
from sipsieve.decision.explain import NoCounters
from sipsieve.decision_log.record import Recorder
from sipsieve.detection import ruleset
from worst_case import PIECES, PLACES, SOURCE, best, pieces_of_rules

#: Upper ends of the classes of sizes: a message is compared with those of its class only, so that small ones count too.
SIZES: Final = (700, 1_500, 4_000, 16_000, 65_000)

#: Recipes kept of each class, and places that one recipe fills.
KEPT: Final = 12
MOST_PLACES: Final = 3


@dataclass(frozen=True)
class Recipe:
    """How a message is made: pieces, repeated in turn, in each of some places, up to a size in bytes."""

    parts: tuple[tuple[str, tuple[bytes, ...]], ...]
    size: int

    def message(self) -> bytes:
        """The message: of all places but the first the header fields are put behind those of the first."""
        raw = b""
        share = max(8, (self.size - 300) // len(self.parts))
        for place, pieces in self.parts:
            unit = b"".join(pieces)
            made = PLACES[place]((unit * (share // len(unit) + 1))[:share])
            if not raw:
                raw = made
                continue
            head, found, rest = raw.partition(b"\r\n\r\n")
            more = [line for line in made.split(b"\r\n\r\n")[0].split(b"\r\n")[1:] if line not in head]
            raw = b"\r\n".join([head, *more]) + found + rest
        return raw[: self.size]


def changed(recipe: Recipe, pieces: list[bytes], r: random.Random) -> Recipe:
    """A recipe with one thing changed."""
    parts = list(recipe.parts)
    size = recipe.size
    at = r.randrange(len(parts))
    place, unit = parts[at]
    what = r.randrange(7)
    if what == 0:
        parts[at] = (r.choice(list(PLACES)), unit)
    elif what == 1:
        parts[at] = (place, (*unit, r.choice(pieces))[-6:])
    elif what == 2:
        parts[at] = (place, tuple(r.sample(unit, max(1, len(unit) - 1))))
    elif what == 3:
        parts[at] = (place, (r.choice(pieces),))
    elif what == 4 and len(parts) < MOST_PLACES:
        parts.append((r.choice(list(PLACES)), (r.choice(pieces),)))
    elif what == 5 and len(parts) > 1:
        del parts[at]
    else:
        size = max(400, min(SIZES[-1], int(size * r.choice((0.5, 0.8, 1.25, 2.0)))))
    return Recipe(tuple(parts), size)


def class_of(size: int) -> int:
    """The class that a message of so many bytes belongs to."""
    return next((number for number, most in enumerate(SIZES) if size <= most), len(SIZES) - 1)


def search(
    cost: Callable[[bytes], float], pieces: list[bytes], seconds: float, seed: int
) -> list[list[tuple[float, Recipe]]]:
    """By class of size, the dearest recipes with what they cost in the unit of `cost`, the dearest first."""
    r = random.Random(seed)
    found: list[list[tuple[float, Recipe]]] = [[] for _ in SIZES]
    end = time.monotonic() + seconds
    tried = 0
    while time.monotonic() < end or tried < 50:
        tried += 1
        known = r.choice(found)
        if known and r.random() < 0.85:
            recipe = changed(r.choice(known)[1], pieces, r)
        else:
            recipe = Recipe(((r.choice(list(PLACES)), (r.choice(pieces),)),), r.choice(SIZES))
        raw = recipe.message()
        held = found[class_of(len(raw))]
        # What one place costs, for each byte above the smallest of its class, is no news: the whole is compared.
        paid = cost(raw)
        if len(held) < KEPT or paid > held[-1][0]:
            # Once is no measure.
            paid = min(paid, cost(raw), cost(raw))
            held.append((paid, recipe))
            held.sort(key=lambda one: -one[0])
            del held[KEPT:]
    return found


def main() -> int:
    """Prints the dearest message of each class, and keeps them where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to search (60)")
    parser.add_argument("--seed", type=int, default=0, help="another search (0)")
    parser.add_argument(
        "--limit", type=float, default=1000.0, help="µs that no message may cost, its record included (1000)"
    )
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="write the dearest of each class there")
    options = parser.parse_args()
    rules = ruleset.load()
    engine = Engine(policy.loads("[limits]\nenabled = false\n"), rules)
    recorder = Recorder(rules.version, "", "enforce")

    def handled(raw: bytes) -> None:
        recorder.decision(engine.decide(raw, SOURCE, 0.0, NoCounters()), raw, SOURCE, 0.0, "")

    found = search(
        lambda raw: best(lambda: handled(raw), 2),
        [*PIECES.values(), *pieces_of_rules(rules).values()],
        options.seconds,
        options.seed,
    )
    worst = 0.0
    print(f"{'bytes':>7} {'µs':>8} {'µs/KiB':>8}  made of")
    for recipes in found:
        # Made before it is timed: putting a long one together takes longer than looking at it.
        made_of = [(one.message(), one) for _, one in recipes[:4]]
        timed = [(best(lambda m=raw: handled(m), 15), one) for raw, one in made_of]  # type: ignore[misc]
        if not timed:
            continue
        cost, recipe = max(timed, key=lambda one: one[0])
        raw = recipe.message()
        worst = max(worst, cost)
        made = "; ".join(f"{place}: {b''.join(pieces)[:40]!r}" for place, pieces in recipe.parts)
        print(f"{len(raw):>7} {cost:>8.0f} {cost / len(raw) * 1024:>8.0f}  {made}")
        if options.keep:
            options.keep.mkdir(parents=True, exist_ok=True)
            (options.keep / f"{len(raw)}.sip").write_bytes(raw)
    print(f"worst message: {worst:.0f} µs of {options.limit:.0f}")
    return 0 if worst <= options.limit else 1


if __name__ == "__main__":
    sys.exit(main())
