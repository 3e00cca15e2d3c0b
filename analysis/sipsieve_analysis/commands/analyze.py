"""`sipsieve analyze`: reads logs and captures, and says who wants what."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click
import msgspec

from ..engine_memory import DEFAULT, checked, is_small
from ..garbage import seldom
from ..operate.harmless import harmless
from ..render import progress

if TYPE_CHECKING:
    from ..novelty.reviews import Looker
    from ..report import Report


def zone_of(name: str) -> tzinfo:
    """The time zone of that name. Raises `click.BadParameter`."""
    try:
        return UTC if name.upper() in ("UTC", "Z") else ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise click.BadParameter(f"{name!r} is no time zone; allowed: a name like Europe/Berlin, or UTC") from error


def narrator_of(path: Path) -> Callable[[Report], str]:
    """What narrates a report and says what went wrong ("" if nothing), by a file of settings. Raises `click.BadParameter`."""
    from ..narrate import settings as settings_
    from ..narrate.endpoint import Endpoint, NarrationError
    from ..narrate.narrator import narrate

    try:
        settings = settings_.read(path)
        endpoint = Endpoint(settings)
    except settings_.SettingsError as error:
        raise click.BadParameter(harmless(str(error)), param_hint="--narrate") from error

    def tell(report: Report) -> str:
        try:
            report.narration = narrate(report, settings, endpoint)
        except NarrationError as error:
            return str(error)
        return ""

    return tell


def looker_of(path: Path) -> Looker:
    """What says what is unusual, by a model's file. Raises `click.BadParameter`."""
    from ..novelty import model
    from ..novelty.judge import Judge
    from ..novelty.reviews import Looker

    try:
        return Looker(Judge(model.load(path)))
    except model.ModelError as error:
        raise click.BadParameter(harmless(str(error)), param_hint="--model") from error


_EPILOG = """
\b
Examples:
  sipsieve analyze /var/log/sipsieve/decisions.jsonl
  sipsieve analyze --html report.html --csv indicators.csv week.pcap /var/log/kamailio.log.*.gz
  sipsieve analyze --xlog '$rm from $si:$sp fu=$fu ua=$ua' /var/log/kamailio.log
  sipsieve analyze --pdf report.pdf --appendix report/ --scope scope.toml --client "Example Telecom" decisions.jsonl
  journalctl -u kamailio -o json | sipsieve analyze --json -
  sipsieve analyze --narrate /etc/sipsieve/narration.toml --html report.html decisions.jsonl

Exit codes: 0 nothing above low was found, 1 something was, 2 an input can't be read or the call was wrong.
"""


@click.command(epilog=_EPILOG)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON (docs/report.schema.json).")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write the report as one HTML page.")
@click.option("--markdown", type=click.Path(path_type=Path, dir_okay=False), help="Write the report as Markdown.")
@click.option(
    "--pdf", type=click.Path(path_type=Path, dir_okay=False), help="Write the report as PDF (needs WeasyPrint)."
)
@click.option("--csv", type=click.Path(path_type=Path, dir_okay=False), help="Write the indicators as CSV.")
@click.option(
    "--appendix",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write everything as CSV files into this folder: actors, addresses, campaigns, evidence, indicators.",
)
@click.option(
    "--scope",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="What stands on the cover, as TOML: title, client, author, date, classification, purpose, systems, excluded.",
)
@click.option(
    "--title", default="", metavar="TEXT", help="Title of the report; goes before --scope, as the next two do."
)
@click.option("--client", default="", metavar="TEXT", help="For whom the report is.")
@click.option("--author", default="", metavar="TEXT", help="Who made it.")
@click.option("--all", "everything", is_flag=True, help="Show every actor on the terminal, not only the gravest.")
@click.option(
    "--known",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="File that names own scanners, monitors, carriers and sites: ADDRESS-OR-NETWORK KIND NAME, one a line.",
)
@click.option("--timezone", default="UTC", metavar="NAME", help="Time zone of log lines that name none (default UTC).")
@click.option(
    "--year",
    type=click.IntRange(0, 2999),
    default=0,
    help="Year of the last line of logs that name none (default: by the file's time).",
)
@click.option(
    "--memory", default=DEFAULT, metavar="SIZE", help="Memory that the engine may use before it spills to disk."
)
@click.option(
    "--temporary",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder for working files (default: the system's).",
)
@click.option(
    "--xlog",
    multiple=True,
    metavar="FORMAT",
    help="The format of an xlog line in your routing script, as '$rm from $si:$sp ua=$ua'; may be given several times.",
)
@click.option(
    "--narrate",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Settings (TOML) of a language model that puts the report into words; each sentence is checked (docs/narration.md).",
)
@click.option(
    "--model",
    "model_path",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="What is normal here, as `sipsieve learn from` wrote it: also say what is unusual (docs/learn.md).",
)
@click.option(
    "--engine",
    type=click.Choice(["duckdb", "spark"]),
    default="duckdb",
    help="What counts: DuckDB in this process, or Apache Spark over an archive (docs/fleet.md).",
)
@click.option(
    "--spark-master", default="local[*]", metavar="URL", help="Where Spark runs, as spark://HOST:7077 (default: here)."
)
@click.option(
    "--spark-conf", multiple=True, metavar="KEY=VALUE", help="A setting of Spark; may be given several times."
)
@click.option("--quiet", "-q", is_flag=True, help="No progress bar.")
@seldom()
def command(
    paths: tuple[Path, ...],
    as_json: bool,
    html: Path | None,
    markdown: Path | None,
    pdf: Path | None,
    csv: Path | None,
    appendix: Path | None,
    scope: Path | None,
    title: str,
    client: str,
    author: str,
    everything: bool,
    known: Path | None,
    timezone: str,
    year: int,
    memory: str,
    temporary: Path | None,
    xlog: tuple[str, ...],
    narrate: Path | None,
    model_path: Path | None,
    engine: str,
    spark_master: str,
    spark_conf: tuple[str, ...],
    quiet: bool,
) -> None:
    """Read decision logs, captures and other servers' logs; say who wants what.

    Known beside the guard's own: Kamailio, OpenSIPS, Asterisk, FreeSWITCH, fail2ban, Suricata, Zeek, HOMER, pcap, HEP.

    PATHS are files or folders, alone or mixed, plain or compressed (gzip, bzip2, xz, zstd); "-" is standard input.
    """
    if model_path is None:
        # Arrow loads numpy, and that makes threads for sums of matrices, which wait for some by turning in circles.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # The engine takes half a second to import; --help need not wait for it.
    from .. import report as report_
    from ..analysis import analyze
    from ..archive.names import is_archive
    from ..asking import Events
    from ..attribution import known as known_
    from ..events import Store
    from ..handover import scope as scope_
    from ..intake import Collector, InputError, form_lines

    zone = zone_of(timezone)
    storyteller = narrator_of(narrate) if narrate else None
    looker = looker_of(model_path) if model_path else None
    if looker and any(is_archive(path) for path in paths):
        raise click.UsageError("--model needs logs or captures: an archive holds no whole records")
    try:
        declared = known_.read(known) if known else None
    except (known_.KnownError, OSError) as error:
        raise click.BadParameter(harmless(str(error)), param_hint="--known") from error
    try:
        cover = (scope_.read(scope) if scope else scope_.Scope()).over(title=title, client=client, author=author)
    except (scope_.ScopeError, OSError) as error:
        raise click.BadParameter(harmless(str(error)), param_hint="--scope") from error
    if pdf is not None:
        from ..render import pdf as pdf_

        try:
            pdf_.check()
        except pdf_.PdfError as error:
            raise click.UsageError(f"--pdf: {error}") from error
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sipsieve-", dir=temporary)))
        bar = progress.bar(stack, quiet)
        files = [_standard_input(folder) if str(path) == "-" else path for path in paths]
        store: Events
        failures: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext
        try:
            if engine == "spark":
                from ..spark import SparkStore, check, collect, failures

                check(files)
                store = spark = SparkStore(spark_master, spark_conf)
                stack.callback(spark.close)
                with failures():
                    intake = collect(spark, files, progress.watch(bar))
            else:
                stack.enter_context(checked(memory))
                store = duck = Store(folder, memory, small=is_small(files, memory))
                stack.callback(duck.close)
                collector = Collector(duck, folder, zone, progress.watch(bar), year, xlog)
                for path in files:
                    collector.add(path)
                collector.finish()
                intake = collector.intake
        except (InputError, OSError) as error:
            raise click.UsageError("\n".join(harmless(line) for line in str(error).split("\n"))) from error
        for name, _ in intake.unread:
            click.echo(f"{harmless(name)}: nothing in it could be read; the report is without it", err=True)
        if intake.forms and not quiet:
            for line in form_lines(intake.forms, "…"):
                click.echo(harmless(line), err=True)
        if bar:
            bar.add_task("grouping and ranking", total=None)
        try:
            with failures():
                report = analyze(store, intake, declared)
        except InputError as error:
            raise click.UsageError(harmless(str(error))) from error
        if looker is not None:
            from ..novelty.source import Source

            looker.feed(Source(files, progress.watch(bar)).lines())
            report.unusual = looker.reviews()
        if storyteller is not None:
            if bar:
                bar.add_task("waiting for the language model", total=None)
            if problem := storyteller(report):
                click.echo(f"--narrate: {harmless(problem)}; the report is without a narration", err=True)
    report.scope = cover
    # Each form of the report imports its own: a tenth of what the analysis of a small log takes.
    outputs: list[tuple[Path | None, Callable[[], str | bytes]]] = []
    if html is not None:
        from ..render import html as html_

        outputs.append((html, lambda: html_.write(report)))
    if markdown is not None:
        from ..render import markdown as markdown_

        outputs.append((markdown, lambda: markdown_.write(report)))
    if csv is not None or appendix is not None:
        from ..render import table

        outputs.append((csv, lambda: table.write(report)))
    if pdf is not None:
        outputs.append((pdf, lambda: pdf_.write(report)))
    if appendix is not None:
        outputs += [(appendix / name, lambda text=text: text) for name, text in table.appendix(report).items()]  # type: ignore[misc]
    for target, made in outputs:
        if target is not None:
            _write(target, made(), target.parent == appendix)
    if as_json:
        # With an indent Python's own encoder is ten times as slow.
        packed = json.dumps(report_.as_json(report), ensure_ascii=True)
        sys.stdout.write(msgspec.json.format(packed, indent=2) + "\n")
    else:
        from rich.console import Console

        from ..render import terminal

        terminal.draw(report, Console(highlight=False), everything)
    sys.exit(1 if any(actor.rank.tier != "low" for actor in report.actors) else 0)


def _write(target: Path, content: str | bytes, makes_folder: bool = False) -> None:
    try:
        if makes_folder:
            target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    except OSError as error:
        raise click.UsageError(f"{target}: cannot be written: {error.strerror}") from error


def _standard_input(folder: Path) -> Path:
    path = folder / "standard-input"
    with path.open("wb") as out:
        shutil.copyfileobj(sys.stdin.buffer, out)
    return path
