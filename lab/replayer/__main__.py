"""The replayer's commands."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from . import loopback
from .demo import demo as run_demo
from .kamailio import ROOT, StartError
from .scenario import ScenarioError, load_all

SCENARIOS = ROOT / "lab" / "scenarios"


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
    loaded = [scenario for scenario in load_all(SCENARIOS) if scenario.scenario.demo or scenario.name in names]
    unknown = set(names) - {scenario.name for scenario in loaded}
    if unknown:
        raise click.UsageError(
            f"no scenario {', '.join(sorted(unknown))}; there are {', '.join(s.name for s in loaded)}"
        )
    if names:
        loaded = [scenario for scenario in loaded if scenario.name in names]
    sys.exit(0 if run_demo(loaded, folder.resolve()) else 1)


def run() -> None:
    """Runs a command; errors that a person can mend are said in one line."""
    try:
        main.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except KeyboardInterrupt:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code if isinstance(error, click.UsageError) else 1)
    except (ScenarioError, StartError, TimeoutError) as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    run()
