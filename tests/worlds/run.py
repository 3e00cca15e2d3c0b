"""Scores `sipsieve analyze` over labelled worlds, from the command line."""

from __future__ import annotations

import argparse
import sys
import tempfile
from datetime import UTC
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sipsieve_analysis.analysis import analyze
from sipsieve_analysis.events import Store
from sipsieve_analysis.intake import Collector
from sipsieve_analysis.report import as_json
from worlds.score import Score, make, score


def report_of(path: Path, folder: Path) -> dict[str, Any]:
    """The JSON report on one file."""
    folder.mkdir()
    store = Store(folder)
    try:
        collector = Collector(store, folder, UTC)
        collector.add(path)
        return as_json(analyze(store, collector.intake))
    finally:
        store.close()


def scored(seed: int) -> Score:
    """The score of one world."""
    world = make(seed)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        return score(report_of(world.write(folder / "decisions.jsonl"), folder / "work"), world)


def main() -> int:
    """Prints a line for each seed; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=20)
    arguments = parser.parse_args()
    scores = []
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        found = scored(seed)
        scores.append(found)
        print(
            f"seed {seed}: grouping {found.grouping:.3f}, intents {found.intents:.3f}, {len(found.missed)} campaigns missed, {len(found.accused)} accused",
            flush=True,
        )
        for note in (
            *found.notes,
            *(f"missed {text}" for text in found.missed),
            *(f"accused {text}" for text in found.accused),
        ):
            print(f"    {note[:240]}")
    grouping = sum(s.grouping for s in scores) / len(scores)
    intents = sum(s.intents for s in scores) / len(scores)
    missed, accused = sum(len(s.missed) for s in scores), sum(len(s.accused) for s in scores)
    print(
        f"grouping F1 {grouping:.3f}, intent macro-F1 {intents:.3f}, {missed} campaigns missed, {accused} lawful sources accused"
    )
    return int(grouping < 0.95 or intents < 0.95 or missed > 0 or accused > 0)


if __name__ == "__main__":
    sys.exit(main())
