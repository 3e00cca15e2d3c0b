"""`sipsieve analyze`: reads logs and captures, and says who wants what."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from contextlib import ExitStack
from datetime import UTC, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from ..analysis import analyze
from ..events import Store
from ..intake import Collector, InputError
from ..report import as_json


def zone_of(name: str) -> tzinfo:
    """The time zone of that name. Raises `click.BadParameter`."""
    try:
        return UTC if name.upper() in ("UTC", "Z") else ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise click.BadParameter(f"{name!r} is no time zone; allowed: a name like Europe/Berlin, or UTC") from error


@click.command(
    epilog="Exit codes: 0 nothing above low was found, 1 something was, 2 an input can't be read or the call was wrong."
)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "json_to", flag_value="-", default=None, help="Print the report as JSON.")
@click.option("--timezone", default="UTC", metavar="NAME", help="Time zone of log lines that name none (default UTC).")
@click.option(
    "--memory", default="1200MB", metavar="SIZE", help="Memory that the engine may use before it spills to disk."
)
@click.option("--quiet", "-q", is_flag=True, help="No progress bar.")
def command(paths: tuple[Path, ...], json_to: str | None, timezone: str, memory: str, quiet: bool) -> None:
    """Read decision logs, raw Kamailio logs and captures; say who wants what.

    PATHS are files or folders, alone or mixed, plain or compressed (gzip, bzip2, xz, zstd); "-" is standard input.
    """
    zone = zone_of(timezone)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sipsieve-")))
        store = Store(folder, memory)
        stack.callback(store.close)
        collector = Collector(store, folder, zone)
        try:
            for path in paths:
                collector.add(_standard_input(folder) if str(path) == "-" else path)
        except InputError as error:
            raise click.UsageError(str(error)) from error
        report = analyze(store, collector.intake)
    if json_to:
        json.dump(as_json(report), sys.stdout, ensure_ascii=True, indent=2)
        sys.stdout.write("\n")
    sys.exit(1 if any(actor.rank.tier != "low" for actor in report.actors) else 0)


def _standard_input(folder: Path) -> Path:
    path = folder / "standard-input"
    with path.open("wb") as out:
        shutil.copyfileobj(sys.stdin.buffer, out)
    return path
