"""`sipsieve learn`: a site's own normal, and what is unusual beside it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.text import Text

from sipsieve.detection import ruleset

from ..operate.harmless import harmless
from ..render import progress
from .analyze import zone_of

if TYPE_CHECKING:
    from ..novelty.model import Model
    from ..novelty.proposal import Proposal
    from ..novelty.reviews import Review

_MODEL = click.option(
    "--model",
    "model_path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("/var/lib/sipsieve/normal.model"),
    show_default=True,
    help="The model's file.",
)
_PATHS = click.argument(
    "paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True)
)

_EPILOG = """\b
Examples:
  sipsieve learn from /var/log/sipsieve/decisions.jsonl* --model normal.model
  sipsieve learn judge decisions.jsonl --model normal.model --propose proposals.toml
  sipsieve learn accept site-from-display-name-1a2b3c --proposals proposals.toml --into /etc/sipsieve/site.toml
  sipsieve analyze --model normal.model decisions.jsonl

Exit codes: 0 done and nothing unusual, 1 something is unusual, 2 a file can't be read or the call was wrong.
"""


@click.group("learn", epilog=_EPILOG)
def command() -> None:
    """Learn what is normal at this site, and say what is unusual and why. It never blocks.

    Learned are accepted dialogs only, of senders with nothing against them: the form of values by field, header fields and
    their order by make of client, habits by account. What is unusual is for a person to look at; a rule that would find it
    can be proposed, and holds only once a person has accepted it.
    """


@command.command("from")
@_PATHS
@_MODEL
@click.option("--timezone", default="UTC", metavar="NAME", help="The zone of the site's hours (default UTC).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object (docs/learn.schema.json).")
@click.option("--quiet", "-q", is_flag=True, help="No progress bar.")
def learn_from(paths: tuple[Path, ...], model_path: Path, timezone: str, as_json: bool, quiet: bool) -> None:
    """Learn a model from recorded traffic: decision logs and captures of some weeks, with answers.

    With `log.raw_bytes` in the policy, and in captures, every header field is learned; of records without the message only
    URIs, Call-ID, User-Agent and accounts are.
    """
    from ..novelty import learner, model
    from ..novelty.source import Source
    from ..readers.kinds import InputError

    zone = zone_of(timezone)
    try:
        with contextlib.ExitStack() as stack:
            shown = progress.bar(stack, quiet or as_json)
            watch = progress.watch(shown)
            source = Source(paths, watch)
            learned = learner.learn(
                source.lines, zone, timezone, lambda done, total: watch("learning fields", done, total)
            )
        model.save(learned, model_path)
    except (InputError, learner.LearnError, model.ModelError) as error:
        raise _refused(error) from error
    except OSError as error:
        raise click.UsageError(f"{harmless(str(error.filename or model_path))}: {error.strerror}") from error
    _show(learned, model_path, as_json)


@command.command("show")
@_MODEL
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object (docs/learn.schema.json).")
def show(model_path: Path, as_json: bool) -> None:
    """Show what a model was learned from, and what it holds."""
    _show(_load(model_path), model_path, as_json)


@command.command("judge")
@_PATHS
@_MODEL
@click.option(
    "--propose", type=click.Path(path_type=Path, dir_okay=False), help="Write rules that would find it into this file."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object (docs/learn.schema.json).")
@click.option("--quiet", "-q", is_flag=True, help="No progress bar.")
def judge(paths: tuple[Path, ...], model_path: Path, propose: Path | None, as_json: bool, quiet: bool) -> None:
    """Say what is unusual in traffic that the guard let through.

    What has one reason, or one sender, is one review. `sipsieve learn usual ID` says that a review was nothing.
    """
    from ..novelty.judge import Judge
    from ..novelty.reviews import Looker
    from ..novelty.source import Source
    from ..readers.kinds import InputError

    known = _load(model_path)
    looker = Looker(Judge(known))
    try:
        with contextlib.ExitStack() as stack:
            looker.feed(Source(paths, progress.watch(progress.bar(stack, quiet or as_json))).lines())
    except (InputError, OSError) as error:
        raise _refused(error) from error
    reviews = looker.reviews()
    proposals = _proposals(reviews, known, looker.ordinary)
    if propose is not None:
        from ..novelty.proposal import document

        try:
            propose.write_text(document(proposals), encoding="utf-8")
        except OSError as error:
            raise click.UsageError(f"{propose}: cannot be written: {error.strerror}") from error
    if as_json:
        click.echo(
            json.dumps(
                {
                    "messages": looker.messages,
                    "not_shown": looker.beyond,
                    "reviews": [review.as_json() for review in reviews],
                    "proposals": [one.as_json() for one in proposals],
                }
            )
        )
    else:
        console = Console(highlight=False)
        draw(reviews, console)
        _draw_proposals(proposals, propose, console)
        console.print(Text(f"{looker.messages:,} messages looked at, {len(reviews)} reviews.", style="dim"))
    raise SystemExit(1 if reviews else 0)


@command.command("accept")
@click.argument("identity", metavar="ID")
@click.option(
    "--proposals",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    required=True,
    help="What `judge --propose` wrote.",
)
@click.option(
    "--into",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="A file of your own rules, made if it is not there.",
)
def accept(identity: str, proposals: Path, into: Path) -> None:
    """Accept a proposed rule: write it into a file of your own rules.

    The guard uses it once the file is named in `detection.rules` of the policy, after `sipsieve reload`.
    """
    from ..novelty import proposal

    try:
        before = into.read_text(encoding="utf-8") if into.exists() else ""
        after = proposal.accept(proposals.read_text(encoding="utf-8"), identity, before, str(proposals))
        part = into.with_name(f".{into.name}.part")
        part.write_text(after, encoding="utf-8")
        try:
            ruleset.load(own=[str(part)])
        except ruleset.RuleError as error:
            part.unlink()
            raise _refused(error) from error
        part.replace(into)
    except (proposal.RuleFileError, UnicodeDecodeError) as error:
        raise _refused(error) from error
    except OSError as error:
        raise click.UsageError(f"{error.filename}: {error.strerror}") from error
    click.echo(f'{identity} is in {into}. Next: detection.rules = ["{into}"] in the policy, then sipsieve reload')


@command.command("usual")
@click.argument("identities", metavar="ID...", nargs=-1, required=True)
@_MODEL
def usual(identities: tuple[str, ...], model_path: Path) -> None:
    """Say that reviews were nothing: they are not shown again while this model is in use."""
    from ..novelty import model

    known = _load(model_path)
    known.usual = sorted({*known.usual, *(identity[:64] for identity in identities)})[-10_000:]
    try:
        model.save(known, model_path)
    except OSError as error:
        raise click.UsageError(f"{model_path}: cannot be written: {error.strerror}") from error
    click.echo(f"{len(known.usual)} reviews are known as nothing")


def draw(reviews: list[Review], console: Console) -> None:
    """Prints reviews: why, who, and what it looked like."""
    for review in reviews:
        who = ", ".join(review.sources[:3]) + (
            f" and {review.source_count - 3} more" if review.source_count > 3 else ""
        )
        console.print()
        console.print(Text.assemble((f"unusual here {review.id}", "bold"), f"  {review.messages:,} messages from {who}"))  # fmt: skip
        for why in review.why[:3]:
            console.print(Text(f"  because {harmless(why, 400)}"))
        for example in review.examples[:3]:
            if example.excerpt:
                console.print(
                    Text.assemble(f"  {example.method} {example.field}  ", (harmless(example.excerpt, 120), "cyan"))
                )


def _draw_proposals(proposals: list[Proposal], target: Path | None, console: Console) -> None:
    if not proposals:
        return
    console.print()
    console.print(Text("Rules that would find it", style="bold"))
    for one in proposals:
        console.print(Text(f"  {one.rule.id}  {harmless(one.rule.pattern, 120)}  hits {one.caught} of {one.values}"))
    where = target or "FILE"
    option = "" if target else "with --propose FILE, then "
    console.print(Text(f"  Next: {option}sipsieve learn accept ID --proposals {where} --into YOUR-RULES.toml", style="dim"))  # fmt: skip


def _proposals(reviews: list[Review], known: Model, ordinary: Callable[[str], list[str]]) -> list[Proposal]:
    from ..novelty.proposal import propose

    made: dict[str, Proposal] = {}
    for review in reviews[:100]:
        fields = list(dict.fromkeys(field for field, _, _, _ in review.values))
        one = propose(review, known, [text for field in fields for text in ordinary(field)])
        if one is not None:
            made.setdefault(one.rule.id, one)
    return list(made.values())


def _load(path: Path) -> Model:
    from ..novelty import model

    try:
        return model.load(path)
    except model.ModelError as error:
        raise _refused(error) from error


def _refused(error: Exception) -> click.UsageError:
    return click.UsageError("\n".join(harmless(line) for line in str(error).split("\n")))


def facts(known: Model, path: Path) -> dict[str, Any]:
    """What a model is, as `docs/learn.schema.json` describes it."""
    from ..report import when

    return {
        "model": str(path),
        "made_by": known.made_by,
        "from": when(known.first_us),
        "to": when(known.last_us),
        "messages": known.messages,
        "whole_messages": known.whole,
        "left_out": known.left_out,
        "fields": len(known.fields),
        "makes": {name: make.messages for name, make in known.makes.items()},
        "accounts": len(known.accounts),
        "accounts_known": sum(account.is_known for account in known.accounts.values()),
        "usual": known.usual,
    }


def _show(known: Model, path: Path, as_json: bool) -> None:
    told = facts(known, path)
    if as_json:
        click.echo(json.dumps(told))
        return
    console = Console(highlight=False)
    console.print(Text(f"{harmless(str(path))}: learned of {known.messages:,} accepted messages, {told['from']} to {told['to']}"))  # fmt: skip
    for why, number in known.left_out.items():
        console.print(Text(f"  left out: {number:,} {why}"))
    console.print(Text(f"  {told['fields']} fields, {len(known.makes)} makes of clients, {told['accounts']} accounts, of which {told['accounts_known']} are known well enough to judge"))  # fmt: skip
    if known.whole < known.messages:
        console.print(Text(f"  of {known.messages - known.whole:,} messages only what a record tells is learned: log.raw_bytes keeps all of it"))  # fmt: skip
    if (known.last_us - known.first_us) < 7 * 86_400_000_000:
        console.print(Text("  less than a week: give it more days before you rely on it", style="yellow"))
