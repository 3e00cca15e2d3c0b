"""`make lab`: every scenario at the unprotected edge and at the guarded one, side by side."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.etree import ElementTree as tree

from sipsieve_analysis.operate.harmless import harmless

from .containers import HONEYPOT, LOG, Containers
from .judge import Report
from .kamailio import StartError, wait_for
from .replay import replay
from .scenario import Loaded, job
from .show import table

TARGETS = ("edge-plain", "edge")


def compare(
    scenarios: Sequence[Loaded], stage: Containers, targets: Sequence[str], say: Callable[[str], None]
) -> list[Report]:
    """Replays each scenario at each target, and tells of it as it goes."""
    reports = []
    for number, loaded in enumerate(scenarios, 1):
        for target in targets:
            began = time.monotonic()
            report = replay(loaded, stage, target)
            reports.append(report)
            result = "as expected" if report.held else "NOT AS EXPECTED"
            say(
                f"[{number:2}/{len(scenarios)}] {loaded.name:<22} {target:<11} {result:<16} {time.monotonic() - began:4.1f} s"
            )
            for sentence in report.broken:
                say(f"        {harmless(sentence)}")
    return reports


def summary(reports: Sequence[Report]) -> str:
    """The table of scenario × (unprotected, parameterized, guarded)."""
    by_name: dict[str, dict[str, Report]] = {}
    for report in reports:
        by_name.setdefault(report.name, {})[report.target] = report
    rows = []
    for name, found in by_name.items():
        plain, guarded = found.get("edge-plain"), found.get("edge")
        rows.append(
            [
                name,
                _achieved(plain, ("", "vulnerable")),
                _achieved(plain, ("parameterized",)),
                _achieved(guarded, ("", "vulnerable", "parameterized")),
                _served(plain, guarded),
                "as expected" if all(report.held for report in found.values()) else "NOT AS EXPECTED",
            ]
        )
    heading = [
        "scenario",
        "unprotected: the attacker",
        "…with parameters",
        "guarded: the attacker",
        "legitimate",
        "result",
    ]
    return table(heading, rows, widest=60)


def _achieved(report: Report | None, variants: tuple[str, ...]) -> str:
    if report is None:
        return "not replayed"
    if not report.goals:
        return "—"
    reached = list(dict.fromkeys(say for variant in variants for say in report.reached.get(variant, [])))
    if not reached and variants == ("parameterized",) and "vulnerable" not in report.reached:
        return "—"
    return "; ".join(reached) or "nothing"


def _served(*reports: Report | None) -> str:
    shown = ["{}/{}".format(*report.legitimate) for report in reports if report and report.legitimate[1]]
    return ", ".join(shown)


def junit(reports: Sequence[Report], file: Path) -> None:
    """Writes the reports as a test report that a build server reads: one case for each replay."""
    suite = tree.Element("testsuite", name="lab", tests=str(len(reports)), errors="0")
    suite.set("failures", str(sum(not report.held for report in reports)))
    for report in reports:
        case = tree.SubElement(suite, "testcase", classname=f"lab.{report.target}", name=report.name)
        if report.broken:
            tree.SubElement(case, "failure", message=f"{len(report.broken)} expectations").text = "\n".join(
                harmless(sentence) for sentence in report.broken
            )
    tree.ElementTree(suite).write(file, encoding="utf-8", xml_declaration=True)


def collect(stage: Containers, folder: Path) -> Path:
    """Copies the decision log out of the edge."""
    log = folder / "decisions.jsonl"
    log.write_text(stage.run("edge", ["cat", LOG]))
    return log


def analyze(log: Path, folder: Path, say: Callable[[str], None]) -> bool:
    """Runs `sipsieve analyze` on the collected log, with its HTML report. Says whether it worked."""
    program = Path(sys.executable).parent / "sipsieve"
    report = folder / "report.html"
    done = subprocess.run(
        [program, "analyze", "--quiet", "--html", report, log], capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "COLUMNS": "140"},
    )  # fmt: skip
    say(done.stdout.rstrip())
    # 1 says that something above low was found; in this log anything else would be wrong.
    if done.returncode != 1 or not report.is_file():
        say(f"`sipsieve analyze` ended with {done.returncode}: {harmless(done.stderr[-2000:])}")
        return False
    say(f"\nreport                      {report}")
    return True


def monitored(stage: Containers) -> bool:
    """Whether Prometheus, in its own container, saw the edge refuse messages."""
    query = 'sum(kamailio_sipsieve_messages_total{job="sipsieve",decision="reject"})'

    def seen() -> bool:
        text = stage.run(
            "monitor", ["curl", "-sf", "-G", "http://127.0.0.1:9090/api/v1/query", "--data-urlencode", f"query={query}"]
        )
        result = json.loads(text)["data"]["result"]
        return bool(result) and float(result[0]["value"][1]) > 0

    try:
        return bool(wait_for(seen, "Prometheus has scraped the edge"))
    except TimeoutError:
        return False


def shut_in(stage: Containers) -> bool:
    """Whether those who attack and call have no route but to the lab's networks."""
    return not any(stage.run(service, ["ip", "route", "show", "default"]).strip() for service in ("attacker", "phones"))


def honeypot(stage: Containers, loaded: Loaded) -> bool:
    """Whether the honeypot, hardened as it is in the compose file, answers an attack and keeps the message."""
    stage.target("honeypot")
    addresses = stage.addresses(loaded)
    step = loaded.scenario.step[0]
    outcome = stage.play(job(loaded, step, addresses, HONEYPOT, 5060, stage.uas), step, loaded)

    def kept() -> bool:
        lines = stage.run("honeypot", ["cat", LOG]).splitlines()
        source = addresses[step.source]
        return any(source in line and '"raw"' in line and '"outcome":"unknown"' in line for line in lines)

    try:
        return outcome.answers[:1] == [401] and bool(wait_for(kept, "the honeypot's record"))
    except TimeoutError:
        return False


def run(scenarios: Sequence[Loaded], everything: Sequence[Loaded], folder: Path, keep: bool) -> bool:
    """Up, replay everything, report, down. Says whether every expectation held."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    began = time.monotonic()
    stage = Containers()
    held = False
    try:
        stage.down()
        print("starting the containers …", flush=True)
        stage.up()
        print(f"all are healthy after {time.monotonic() - began:.0f} s", flush=True)
        if not shut_in(stage):
            raise StartError("attacker or phones have a route out of the lab; nothing was replayed")
        reports = compare(scenarios, stage, TARGETS, lambda line: print(line, flush=True))
        junit(reports, folder.parent / "junit-lab.xml")
        log = collect(stage, folder)
        print("\n" + summary(reports) + "\n")
        analyzed = analyze(log, folder, lambda line: print(line, flush=True))
        scraped = monitored(stage)
        print(f"the monitor saw it          {'yes' if scraped else 'NO: see its log'}")
        trapped = honeypot(stage, next(loaded for loaded in everything if loaded.name == "eaglesip-sqli"))
        print(f"the honeypot recorded       {'yes' if trapped else 'NO: see its log'}")
        held = analyzed and scraped and trapped and all(report.held for report in reports)
        print(f"decision log                {log}")
        print(f"time                        {time.monotonic() - began:.0f} s")
        for report in reports:
            for sentence in report.broken:
                print(f"{report.name} at {report.target}: {harmless(sentence)}")
        print("All held." if held else "Something did not hold: see above.")
    finally:
        # Whatever happened, what the containers said is kept.
        stage.logs(folder / "containers.log")
        if not held:
            print(f"what the containers said    {folder / 'containers.log'}")
        if not keep:
            stage.down()
    return held
