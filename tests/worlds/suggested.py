"""Measures what `sipsieve suggest` proposes over held-back networks in the field: `python tests/worlds/suggested.py --help`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sipsieve.config import policy as policies
from sipsieve.config.policy import Policy
from sipsieve.detection import ruleset
from sipsieve_analysis.tuning.backtest import Backtest, Row
from sipsieve_analysis.tuning.recording import Recording
from sipsieve_analysis.tuning.suggest import suggest
from sipsieve_analysis.tuning.trials import Trial
from worlds import intruders
from worlds.server import Server
from worlds.world import World

RULES = ruleset.load()


def rows(path: Path, policy: Policy) -> dict[str, Row]:
    """Sources of which something is blocked."""
    trial = Trial(policy, RULES, 2)
    result = Backtest(trial)
    result.run(Recording([path], trial))
    return {row.ip: row for row in result.rows.values() if row.blocked}


def shut_out(found: dict[str, Row], world: World) -> set[str]:
    """Legitimate sources of whose own messages any is blocked. What was forged in a name may be, by what stands in it."""
    mine = {ip: row for ip, row in found.items() if ip in world.legitimate}
    # Each forged message may be sent twice.
    return {ip for ip, row in mine.items() if row.blocking or row.banning or row.blocked > 2 * world.forged[ip]}


def main() -> None:
    """Prints a line for each seed: before and after what is proposed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", type=int, nargs="*", default=[13, 15, 24], help="(default 13 15 24)")
    print("seed  legitimate shut out  attackers' addresses  their messages")
    for seed in parser.parse_args().seeds:
        world = intruders.make(seed, held_back=True)
        with tempfile.TemporaryDirectory() as folder:
            path = Server('mode = "observe"\n').write(world, Path(folder, "decisions.jsonl"))
            base = policies.loads("")
            made = suggest(base, RULES, lambda trial, path=path: Recording([path], trial))  # type: ignore[misc]
            found = [rows(path, base), rows(path, made.policy)]
        attackers = {ip for attacker in world.attackers for ip in attacker.addresses}
        lawful = [len(shut_out(one, world)) for one in found]
        stopped = [len(attackers & one.keys()) for one in found]
        messages = [sum(one[ip].blocked for ip in attackers & one.keys()) for one in found]
        print(
            f"{seed:>4}  {lawful[0]:>8}, {lawful[1]:<9} {stopped[0]:>9}, {stopped[1]:<9} {messages[0]:>8,}, {messages[1]:,}"
        )


if __name__ == "__main__":
    main()
