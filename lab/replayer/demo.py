"""`make demo`: the case's week in small, on this machine alone, with every decision shown."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from sipsieve_analysis.operate.harmless import harmless

from .judge import Report
from .loopback import Loopback
from .replay import replay
from .scenario import Loaded
from .show import WIDTH, Decisions, Follower, table


def demo(scenarios: list[Loaded], folder: Path) -> bool:
    """Replays `scenarios` at a guard on loopback, prints as it goes, and says whether all held."""
    shutil.rmtree(folder, ignore_errors=True)
    began = time.monotonic()
    show = Decisions()
    reports: list[Report] = []
    with Loopback(folder) as stage:
        host, port = stage.target("edge")
        print(f"The guard listens on {host}:{port}; a registrar and call router stands behind it, phones behind that.")
        print("Nothing leaves this machine: all addresses are loopback.\n")
        show.heading()
        for loaded in scenarios:
            show.title(f"{loaded.name}: {loaded.scenario.title}")
            with Follower(stage.records, show) as follower:
                reports.append(replay(loaded, stage, "edge"))
                follower.catch_up()
            show.flush()
            for sentence in reports[-1].broken:
                print(f"   NOT AS EXPECTED: {harmless(sentence)}")
        dead = stage.alive()
    return _summary(reports, dead, stage.log, time.monotonic() - began)


def _summary(reports: list[Report], dead: list[str], log: Path, seconds: float) -> bool:
    attacks = [report for report in reports if report.kind == "attack"]
    passed = sum(report.legitimate[0] for report in reports)
    total = sum(report.legitimate[1] for report in reports)
    rows = [
        [
            report.name,
            report.title,
            "{} of {}".format(*report.legitimate) if report.legitimate[1] else "",
            f"{report.checks - len(report.broken)} of {report.checks}",
            "as expected" if report.held else "NOT AS EXPECTED",
        ]
        for report in reports
    ]
    print("\n" + "═" * WIDTH)
    print(table(["scenario", "what", "legitimate", "expectations", "result"], rows))
    held = all(report.held for report in reports) and not dead and passed == total
    print()
    print(f"attacks stopped             {sum(report.held for report in attacks)} of {len(attacks)} scenarios")
    print(f"legitimate traffic passed   {passed} of {total} requests and calls")
    print(f"decision log                {log}")
    print(f"time                        {seconds:.0f} s")
    for name in dead:
        print(f"PROBLEM: {name} ended by itself; see {log.parent / name}")
    print("All held." if held else "Something did not hold: see NOT AS EXPECTED above.")
    return held
