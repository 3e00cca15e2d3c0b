"""Measures the analysis over networks in the field: `python tests/worlds/measure.py --help`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from worlds import plain
from worlds.intruders import is_held_back, make
from worlds.run import report_of
from worlds.world import Truth, World

#: Said beside another campaign of the same attacker, without being wrong.
_BESIDE = {"mover", "scan"}

#: The more general name of a campaign is half an answer, and counts as none; these differ by the number of addresses alone.
_SAME = ({"flood", "distributed_flood"},)


@dataclass
class Tally:
    """Counts over worlds: pairs of addresses, intents and campaigns that are right, wrong and missing."""

    pairs: list[int] = field(default_factory=lambda: [0, 0, 0])
    intents: list[int] = field(default_factory=lambda: [0, 0, 0])
    campaigns: list[int] = field(default_factory=lambda: [0, 0, 0])
    accused: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def line(self) -> str:
        """In one line."""
        return (
            f"grouping F1 {_f1(self.pairs):.3f} (precision {_part(self.pairs, 1):.2f}, recall {_part(self.pairs, 2):.2f}), intent F1 {_f1(self.intents):.3f}, "
            f"campaigns found {_part(self.campaigns, 2):.3f} at precision {_part(self.campaigns, 1):.3f}, {len(self.accused)} lawful accused"
        )


def _f1(counts: list[int]) -> float:
    right, wrong, missing = counts
    return 2 * right / (2 * right + wrong + missing) if right + wrong + missing else 1.0


def _part(counts: list[int], other: int) -> float:
    total = counts[0] + counts[other]
    return counts[0] / total if total else 1.0


def _count(into: list[int], said: set[Any], true: set[Any]) -> None:
    into[0] += len(said & true)
    into[1] += len(said - true)
    into[2] += len(true - said)


def _pairs(groups: Iterable[Iterable[str]], known: set[str]) -> set[tuple[str, str]]:
    return {pair for group in groups for pair in combinations(sorted(set(group) & known), 2)}


def score(report: dict[str, Any], world: World, into: Tally, name: str) -> None:
    """Adds one report. Whom a forged address belongs to is not asked; whether it is blamed, is."""
    real = [attacker for attacker in world.attackers if not attacker.spoofed]
    known = {ip for attacker in real for ip in attacker.addresses}
    owner: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for actor in report["actors"]:
        for ip in actor["addresses"]:
            owner[ip].append(actor)
    _count(
        into.pairs,
        _pairs((a["addresses"] for a in report["actors"]), known),
        _pairs((a.addresses for a in real), known),
    )
    claimed = {ip: attacker for attacker in world.attackers for ip in attacker.addresses}
    for number, attacker in enumerate(world.attackers):
        actors = {a["id"]: a for ip in attacker.addresses for a in owner.get(ip, [])}
        said = {intent for actor in actors.values() for intent in actor["intents"]}
        _count(into.intents, said, attacker.intents)
        if said != attacker.intents:
            into.notes.append(f"{name} {attacker.name}: intents {sorted(said)} instead of {sorted(attacker.intents)}")
        if len(actors) > 1 and not attacker.spoofed:
            into.notes.append(f"{name} {attacker.name}: {len(attacker.addresses)} addresses in {len(actors)} actors")
        for kind in sorted(attacker.campaigns):
            same = next((group for group in _SAME if kind in group), {kind})
            hits = [
                c
                for c in report["campaigns"]
                if c["type"] in same and 2 * len(attacker.addresses & set(c["sources"])) >= len(attacker.addresses)
            ]
            into.campaigns[0] += bool(hits)
            into.campaigns[2] += not hits
            if not hits:
                types = sorted({c["type"] for c in report["campaigns"] if attacker.addresses & set(c["sources"])})
                into.notes.append(f"{name} {attacker.name}{number}: no {kind}, but {types}")
    for actor in report["actors"]:
        names = {claimed[ip].name for ip in actor["addresses"] if ip in claimed}
        if len(names) > 1:
            into.notes.append(f"{name}: {actor['links']} joins {sorted(names)}")
    for campaign in report["campaigns"]:
        owners = [claimed[ip] for ip in campaign["sources"] if ip in claimed]
        allowed = {kind for attacker in owners for kind in attacker.campaigns}
        allowed |= {kind for group in _SAME if group & allowed for kind in group}
        if "account_takeover" in allowed:
            allowed.add("brute_force")
        tier = next(a["tier"] for a in report["actors"] if a["id"] == campaign["actor"])
        if campaign["type"] in _BESIDE or campaign["type"] in allowed or (not campaign["sources"]) or tier == "low":
            continue
        into.campaigns[1] += 1
        into.notes.append(
            f"{name}: {campaign['type']} said of {sorted({a.name for a in owners}) or campaign['sources'][:2]}: {campaign['why']}"
        )
    for actor in report["actors"]:
        if actor["tier"] != "low":
            for ip in set(actor["addresses"]) & world.legitimate:
                into.accused.append(
                    f"{name} {ip}: {actor['tier']} {actor['campaigns']} {actor['note']} {[e['text'] for e in actor['evidence']][:2]}"
                )


def _without_answers(attacker: Truth) -> None:
    """Takes from the truth what only answers tell: who got in, and whose calls were answered."""
    if "account_takeover" in attacker.campaigns:
        # The numbers that he dialled are in the log all the same.
        attacker.campaigns = {"brute_force", "toll_fraud"}
    elif attacker.name == "account_thief":
        attacker.campaigns, attacker.intents = set(), set()


def measured(
    seeds: Iterable[int], scale: int, answers: bool, held_back: bool, raw: bool = False, strangers: bool = False
) -> Tally:
    """The tally over worlds of these seeds, by decision log or by a plain Kamailio's log."""
    tally = Tally()
    for seed in seeds:
        world = make(seed, scale, answers, held_back, strangers)
        if not answers:
            for attacker in world.attackers:
                _without_answers(attacker)
        with tempfile.TemporaryDirectory() as text:
            folder = Path(text)
            log = plain.write(world, folder / "log") if raw else world.write(folder / "decisions.jsonl", "observe")
            report = report_of(log, folder / "work")
        score(report, world, tally, f"seed {seed}")
    return tally


def main() -> int:
    """Prints a line for each setting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=4, help="how many (default 4)")
    parser.add_argument("--scale", type=int, default=1)
    parser.add_argument("--held-back", action="store_true", help="the seeds and kinds that development does not see")
    parser.add_argument("--raw", action="store_true", help="by the log of a plain Kamailio, which holds no answers")
    parser.add_argument("--strangers", action="store_true", help="with those who act by other principles")
    parser.add_argument("--answers", choices=("with", "without", "both"), default="both")
    parser.add_argument("--notes", action="store_true", help="what was wrong")
    options = parser.parse_args()
    seeds = [seed for seed in range(200) if is_held_back(str(seed)) == options.held_back][: options.seeds]
    for answers in (
        (False,) if options.raw else {"with": (True,), "without": (False,), "both": (True, False)}[options.answers]
    ):
        tally = measured(seeds, options.scale, answers, options.held_back, options.raw, options.strangers)
        kept = "held-back" if options.held_back else "development"
        print(
            f"{kept}, scale {options.scale}, {'raw log' if options.raw else 'with answers' if answers else 'without answers'}: {tally.line()}",
            flush=True,
        )
        for text in (*tally.accused, *(tally.notes if options.notes else ())):
            print(f"    {text[:260]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
