"""`sipsieve tail`: the decision log as it grows, readable and safe to look at."""

from __future__ import annotations

import time
from pathlib import Path

import click
from rich.console import Console

from sipsieve.config.policy import PolicyError

from ..operate import selection
from ..operate.decisions import Growing, Reader
from ..operate.lines import line_of
from ..operate.places import log_path

#: Seconds between looks at the file: soon enough for a person, and nothing for the machine.
_LOOK_EVERY = 0.2

_EXAMPLES = """\b
Examples:
  sipsieve tail
  sipsieve tail --source 203.0.113.0/24 --decision reject --decision drop
  sipsieve tail --rule 'sql-*' -n 100 --no-follow
  sipsieve tail --family shell --json | jq .sipsieve.excerpt

Exit codes: 0 done, 1 the log can't be read, 2 the call was wrong, 130 interrupted.
"""


@click.command("tail", epilog=_EXAMPLES)
@click.option("--log", "log_option", metavar="FILE", help="The decision log. Default: the policy's.")
@click.option("--policy", "policy_option", metavar="FILE", help="The policy that names the log.")
@click.option("--source", "sources", metavar="NETWORK", multiple=True, help="Only from this address or network.")
@click.option(
    "--decision", "decisions", multiple=True,
    type=click.Choice(["allow", "scrub", "reject", "drop", "error", "banned"]), help="Only these decisions.",
)  # fmt: skip
@click.option("--rule", "rules", metavar="ID", multiple=True, help="Only where this rule fired; * stands for anything.")
@click.option("--family", "families", metavar="NAME", multiple=True, help="Only where a rule of this family fired.")
@click.option(
    "-n", "--lines", "last", default=10, show_default=True, type=click.IntRange(0), help="Begin so many lines back."
)
@click.option("--follow/--no-follow", default=True, help="Go on as the log grows (the default), or stop at its end.")
@click.option("--json", "as_json", is_flag=True, help="Print the records as they are, one JSON object a line.")
def command(
    log_option: str | None,
    policy_option: str | None,
    sources: tuple[str, ...],
    decisions: tuple[str, ...],
    rules: tuple[str, ...],
    families: tuple[str, ...],
    last: int,
    follow: bool,
    as_json: bool,
) -> None:
    """Show the decision log live.

    Whatever a sender wrote is made harmless: escape sequences, bidi and invisible characters are
    shown as \\x1b or \\u202e, and long text is cut. Options of one kind are alternatives, options of
    different kinds must all hold.
    """
    try:
        networks = tuple(selection.network(text) for text in sources)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--source") from error
    try:
        path = log_path(log_option, policy_option)
    except PolicyError as error:
        raise click.ClickException(str(error)) from error
    wanted = selection.Selection(networks, frozenset(decisions), rules, frozenset(families))
    _show(path, wanted, last, follow, as_json)


def _show(path: Path, wanted: selection.Selection, last: int, follow: bool, as_json: bool) -> None:
    console = Console(highlight=False, soft_wrap=True)
    reader = Reader()
    growing = Growing(path, last)
    waiting = False
    while True:
        try:
            lines = growing.lines()
        except OSError as error:
            raise click.ClickException(f"{path}: cannot be read: {error.strerror}") from error
        for line in lines:
            record = reader.decode(line)
            if record is None or not wanted.wants(record):
                continue
            if as_json:
                click.echo(line.decode("ascii", "backslashreplace"))
            else:
                console.print(line_of(record))
        if not follow:
            if not path.exists():
                raise click.ClickException(f"{path}: there is no such file; name the decision log with --log")
            break
        if not lines and not path.exists() and not waiting:
            waiting = True
            click.echo(f"{path} is not there yet; waiting for it", err=True)
        time.sleep(_LOOK_EVERY)
    if reader.bad:
        click.echo(f"{reader.bad} lines were no records and are not shown", err=True)
