"""Measures whether the structure of a message can hide an attack: the program behind `make detection-structural`.

Each payload is hidden in each of the ways of `structures.py`; where the structure is legal, harmless texts stand there in the
same way, and must pass.
"""

from __future__ import annotations

import argparse
import collections
import json
import sys
from pathlib import Path
from typing import Final, NamedTuple

sys.path[:0] = [str(Path(__file__).parent)]

from evaluate import decide, engine, outcome  # noqa: E402
from structures import HARMLESS, PAYLOADS, WAYS  # noqa: E402
from thresholds import Threshold, missed  # noqa: E402

from sipsieve.decision.engine import Engine  # noqa: E402

_OUTCOMES: Final = ("refused", "scrubbed", "passed")


class Seen(NamedTuple):
    """By way: how many payloads were refused, scrubbed and passed, and which passed; which harmless texts did not."""

    counts: dict[str, collections.Counter[str]]
    passed: list[tuple[str, bytes]]
    touched: list[tuple[str, bytes, str]]
    twins: int


def measure(guard: Engine) -> Seen:
    """Asks the engine about each payload and each harmless text in each way."""
    seen = Seen({}, [], [], sum(len(HARMLESS) for way in WAYS.values() if way.legal))
    for name, way in WAYS.items():
        counts = seen.counts[name] = collections.Counter()
        for payload in PAYLOADS:
            what = outcome(decide(guard, way.make(payload)), payload)
            counts[what] += 1
            if what == "passed":
                seen.passed.append((name, payload))
        for text in HARMLESS if way.legal else ():
            decision = decide(guard, way.make(text))
            what = outcome(decision)
            if what != "passed":
                rules = ", ".join(sorted({f"{f.rule} in {f.field}" for f in decision.findings if f.score}))
                seen.touched.append((name, text, f"{what}: {rules}"))
    return seen


def figures(seen: Seen) -> dict[str, float]:
    """The figures that a threshold can name."""
    rates = {name: 1 - counts["passed"] / counts.total() for name, counts in seen.counts.items()}
    return {
        "stopped": 1 - len(seen.passed) / sum(counts.total() for counts in seen.counts.values()),
        "way.stopped": min(rates.values()),
        "ways": float(sum(rate == 1 for rate in rates.values())) / len(rates),
        "legal.touched": len(seen.touched) / seen.twins,
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="Exit code: 0, or 1 if a figure given by --at-least or --at-most is not held, 2 if the call is wrong.",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    Threshold.add_arguments(parser)
    options = parser.parse_args()
    seen = measure(engine(text_bodies=True))
    found = figures(seen)
    if options.json:
        document = {"figures": found, "ways": {name: dict(counts) for name, counts in seen.counts.items()}}
        print(json.dumps(document, indent=1))
        return missed(options, found)
    print(f"{len(WAYS)} ways × {len(PAYLOADS)} payloads, {seen.twins} legal twins")
    print(f"  {'':52}" + "".join(f"{what:>10}" for what in _OUTCOMES))
    for name, counts in seen.counts.items():
        print(f"  {name:52}" + "".join(f"{counts[what]:10}" for what in _OUTCOMES))
    print(f"stopped {found['stopped']:.2%}; legal twins touched {found['legal.touched']:.2%}")
    for name, payload in seen.passed:
        print(f"  passed: {name}: {payload!r}")
    for name, text, why in seen.touched:
        print(f"  touched: {name}: {text!r}: {why}")
    return missed(options, found)


if __name__ == "__main__":
    sys.exit(main())
