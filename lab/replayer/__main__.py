"""The replayer's commands."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from . import loopback, target
from .audited import audited as run_audited
from .containers import Containers
from .demo import demo as run_demo
from .elsewhere import Elsewhere
from .kamailio import ROOT, StartError
from .lab import TARGETS, compare, summary
from .lab import run as run_lab
from .replay import replay
from .scenario import Loaded, ScenarioError, load_all

SCENARIOS = ROOT / "lab" / "scenarios"


def _chosen(names: Sequence[str], default: Sequence[Loaded], everything: Sequence[Loaded]) -> list[Loaded]:
    if unknown := set(names) - {loaded.name for loaded in everything}:
        known = ", ".join(loaded.name for loaded in everything)
        raise click.UsageError(f"no scenario {', '.join(sorted(unknown))}; there are {known}")
    return [loaded for loaded in everything if loaded.name in names] if names else list(default)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Replays the scenarios of lab/scenarios.

    Exit codes: 0 every expectation held, 1 one did not, 2 the call was wrong, 130 interrupted.
    """


@main.command()
@click.option("--folder", type=click.Path(path_type=Path), default=ROOT / "build" / "demo", show_default=True,
              help="Where logs go; emptied first.")  # fmt: skip
@click.argument("names", nargs=-1)
def demo(folder: Path, names: tuple[str, ...]) -> None:
    """The case's week in small on loopback: all demo scenarios, or those NAMED."""
    if missing := loopback.usable():
        raise click.ClickException(missing)
    everything = load_all(SCENARIOS)
    chosen = _chosen(names, [loaded for loaded in everything if loaded.scenario.demo], everything)
    sys.exit(0 if run_demo(chosen, folder.resolve()) else 1)


@main.command()
@click.option("--folder", type=click.Path(path_type=Path), default=ROOT / "build" / "audited", show_default=True,
              help="Where logs and databases go; emptied first.")  # fmt: skip
def audited(folder: Path) -> None:
    """What `sipsieve audit` finds in lab/audited/kamailio.cfg, fired at it: as it is, guarded, and corrected."""
    sys.exit(0 if run_audited(folder.resolve()) else 1)


@main.command()
@click.option("--folder", type=click.Path(path_type=Path), default=ROOT / "build" / "lab", show_default=True,
              help="Where logs and the report go; emptied first.")  # fmt: skip
@click.option("--keep", is_flag=True, help="Leave the containers running.")
@click.argument("names", nargs=-1)
def lab(folder: Path, keep: bool, names: tuple[str, ...]) -> None:
    """Every scenario in containers, without the guard and with it: up, replay, report, down."""
    everything = load_all(SCENARIOS)
    sys.exit(0 if run_lab(_chosen(names, everything, everything), everything, folder.resolve(), keep) else 1)


@main.command()
@click.option("--target", "where", default="edge", show_default=True,
              help="edge, edge-plain, both, or ADDRESS:PORT of a system that the lab did not start.")  # fmt: skip
@click.option("--foreign-target", "foreign", default="", metavar="ADDRESS",
              help="Repeats the address of a target that is not the lab's own.")  # fmt: skip
@click.option("--owner-consents", "consent", default="", metavar="WHO, WHEN", help="Who owns it, and when they agreed.")
@click.argument("name", metavar="SCENARIO")
def play(where: str, foreign: str, consent: str, name: str) -> None:
    """Replays one SCENARIO at the running lab (`make lab-up`), or at ADDRESS:PORT."""
    loaded = _chosen([name], [], load_all(SCENARIOS))[0]
    if where not in (*TARGETS, "both"):
        _elsewhere(loaded, where, foreign, consent)
        return
    stage = Containers()
    if not stage.running():
        raise click.ClickException("the lab is not running: `make lab-up` starts it")
    targets = TARGETS if where == "both" else (where,)
    reports = compare([loaded], stage, targets, click.echo)
    click.echo("\n" + summary(reports))
    sys.exit(0 if all(report.held for report in reports) else 1)


def _elsewhere(loaded: Loaded, where: str, foreign: str, consent: str) -> None:
    host, colon, port = where.rpartition(":")
    if not colon or not port.isdigit() or not 0 < int(port) < 65536:
        raise click.UsageError(f"--target {where}: write edge, edge-plain, both, or ADDRESS:PORT")
    with tempfile.TemporaryDirectory(prefix="sipsieve-") as folder:
        stage = Elsewhere(host.strip("[]"), int(port), Path(folder), foreign, consent)
        replay(loaded, stage, "elsewhere")
    for number, (step, outcome) in enumerate(zip(loaded.scenario.step, stage.outcomes, strict=False), 1):
        answers = ", ".join(map(str, outcome.answers)) or f"exit code {outcome.exit}"
        click.echo(f"step {number}: {step.say or step.source}: {outcome.error or answers}")


def run() -> None:
    """Runs a command; errors that a person can mend are said in one line."""
    try:
        main.main(standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except target.ForeignTargetError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)
    except (ScenarioError, StartError, TimeoutError) as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    run()
