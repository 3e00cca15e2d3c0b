"""`sipsieve watch`: follows a live log and tells what is new in it."""

from __future__ import annotations

import json
import signal
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from rich.console import Console
from rich.text import Text

from ..engine_memory import DEFAULT, checked
from ..operate.harmless import harmless
from .analyze import looker_of, narrator_of, zone_of

_EPILOG = """
\b
Examples:
  sipsieve watch /var/log/sipsieve/decisions.jsonl --reports /var/lib/sipsieve/reports
  sipsieve watch decisions.jsonl --webhook https://soc.example.net/sip --syslog local --alerts alerts.jsonl
  sipsieve watch decisions.jsonl --notify /etc/sipsieve/alerts.toml --timezone Europe/Berlin

Exit codes: 0 ended by signal or --once, 2 the call was wrong, or its --memory too little.
"""


def _url(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and (urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).hostname):
        raise click.BadParameter(f"{value!r} is no http or https URL")
    return value


def _syslog(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and value != "local" and not value.rpartition(":")[2].isdigit():
        raise click.BadParameter(f"{value!r}: allowed: local, or host:port")
    return value


@click.command(epilog=_EPILOG)
@click.argument("log", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("/var/lib/sipsieve/watch"),
    show_default=True,
    help="Folder that remembers what was read and told.",
)
@click.option(
    "--alerts", type=click.Path(path_type=Path, dir_okay=False), help="Append alerts to this file, as lines of JSON."
)
@click.option("--webhook", metavar="URL", callback=_url, help="Post alerts as JSON.")
@click.option(
    "--notify",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Tell the channels of this file (TOML): mail, chat, signed webhooks (docs/alerts.md).",
)
@click.option("--syslog", metavar="WHERE", callback=_syslog, help="Send alerts to syslog: local, or host:port (UDP).")
@click.option(
    "--reports",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write a daily and a weekly report into this folder.",
)
@click.option(
    "--tier",
    type=click.Choice(["medium", "high", "immediate"]),
    default="medium",
    show_default=True,
    help="Tell from this tier on.",
)
@click.option(
    "--interval", type=click.FloatRange(0.1, 3600), default=10.0, show_default=True, help="Seconds between looks."
)
@click.option("--timezone", default="UTC", metavar="NAME", help="Time zone of days, and of log lines that name none.")
@click.option(
    "--memory", default=DEFAULT, metavar="SIZE", help="Memory that the engine may use before it spills to disk."
)
@click.option(
    "--xlog",
    multiple=True,
    metavar="FORMAT",
    help="The format of an xlog line in your routing script; see analyze --help.",
)
@click.option(
    "--narrate",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Settings (TOML) of a language model that puts the weekly report into words (docs/narration.md).",
)
@click.option(
    "--model",
    "model_path",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="What is normal here, as `sipsieve learn from` wrote it: also tell what is unusual (docs/learn.md).",
)
@click.option("--once", is_flag=True, help="Read what is there, tell, and end.")
@click.option("--json", "as_json", is_flag=True, help="Print alerts as lines of JSON.")
def command(
    log: Path,
    state: Path,
    alerts: Path | None,
    webhook: str | None,
    notify: Path | None,
    syslog: str | None,
    reports: Path | None,
    tier: str,
    interval: float,
    timezone: str,
    memory: str,
    xlog: tuple[str, ...],
    narrate: Path | None,
    model_path: Path | None,
    once: bool,
    as_json: bool,
) -> None:
    """Follow LOG, a decision log or a raw Kamailio log; print new actors and campaigns as they form.

    What was read and told is kept in the state folder, so that a restart loses nothing and repeats nothing.
    """
    from ..ranking import Tier
    from ..watch.alerts import FileSink, Sink, SyslogSink, WebhookSink
    from ..watch.memory import Memory, StateError
    from ..watch.watcher import Watcher

    zone = zone_of(timezone)
    if narrate and reports is None:
        raise click.UsageError("--narrate is for the weekly report: give --reports too")
    storyteller = narrator_of(narrate) if narrate else None
    looker = looker_of(model_path) if model_path else None
    sinks: list[Sink] = []
    if alerts is not None:
        sinks.append(FileSink(alerts))
    if syslog is not None:
        sinks.append(SyslogSink(syslog))
    if webhook is not None:
        sinks.append(WebhookSink(webhook))
    if notify is not None:
        from ..watch import channels

        try:
            sinks.extend(channels.read(notify, zone))
        except channels.ChannelError as error:
            raise click.UsageError(f"--notify {error}") from error
    try:
        with checked(memory):
            kept = Memory(state, memory)
    except StateError as error:
        raise click.UsageError(str(error)) from error
    console, errors = Console(highlight=False), Console(stderr=True, highlight=False)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())

    def tell(alert: dict[str, Any]) -> None:
        if as_json:
            click.echo(json.dumps(alert, ensure_ascii=True))
        else:
            console.print(_line(alert))

    def warn(text: str) -> None:
        errors.print(Text(f"sipsieve watch: {harmless(text)}"))

    try:
        with checked(memory, "too little for what is watched by now; start it with more, it goes on where it stopped"):
            watcher = Watcher(
                log, kept, sinks, reports, Tier(tier), zone, tell, warn, xlog=xlog, narrate=storyteller, looker=looker
            )
            while not stop.is_set():
                began = time.monotonic()
                watcher.round(datetime.now(UTC))
                if once:
                    break
                # A look that takes long is followed by a longer rest.
                stop.wait(max(interval, 3 * (time.monotonic() - began)))
            watcher.finish(datetime.now(UTC))
    finally:
        kept.close()


def _line(alert: dict[str, Any]) -> Text:
    styles = {"immediate": "bold white on red", "high": "bold red", "medium": "yellow"}
    who = harmless(alert["addresses"][0], 45) if alert["addresses"] else "no address in the log"
    if alert["address_count"] > 1:
        who += f" +{alert['address_count'] - 1}"
    line = Text.assemble((f" {alert['tier']} ", styles.get(alert["tier"], "")), f" {alert['kind']} ", (who, "bold"))
    line.append(f"  {', '.join(alert['intents']).replace('_', ' ')}: {harmless('; '.join(alert['why']), 160)}")
    return line
