"""`sipsieve archive`: puts logs into an archive of Parquet files."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from sipsieve.config import policy as policies
from sipsieve.decision_log import privacy

from ..engine_memory import DEFAULT, checked
from ..operate.harmless import harmless
from ..operate.places import policy_path
from ..render import progress
from .analyze import zone_of

_EXAMPLES = """\b
Examples:
  sipsieve archive /srv/sipsieve/archive /var/log/sipsieve/decisions.jsonl*
  sipsieve archive 's3://sip-archive/eu?region=eu-central-1' --edge fra-1 decisions.jsonl.1.gz
  sipsieve analyze /srv/sipsieve/archive

Exit codes: 0 done, 1 the archive or an input could not be read or written, 2 the call was wrong, 130 interrupted.
"""


@click.command("archive", epilog=_EXAMPLES)
@click.argument("archive")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--edge", default=socket.gethostname(), help="Name of the edge that wrote the logs. Default: this machine's."
)
@click.option(
    "--policy", "policy_option", metavar="FILE", help="The policy whose [privacy] holds. Default: the one in use."
)
@click.option("--timezone", default="UTC", metavar="NAME", help="Time zone of log lines that name none (default UTC).")
@click.option(
    "--memory", default=DEFAULT, metavar="SIZE", help="Memory that the engine may use before it spills to disk."
)
@click.option(
    "--temporary",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder for working files (default: the system's).",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
@click.option("--quiet", "-q", is_flag=True, help="No progress bar.")
def command(
    archive: str,
    paths: tuple[Path, ...],
    edge: str,
    policy_option: str | None,
    timezone: str,
    memory: str,
    temporary: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Put what is new in logs into ARCHIVE: Parquet by day and edge, in a folder or s3://BUCKET/PREFIX.

    A second run adds nothing that is there already, whether a log has grown, was rotated or was compressed since. A run
    that is cut short leaves nothing half. privacy.mask and privacy.retention_days of the policy hold here too.
    """
    from ..archive.manifests import check_edge
    from ..archive.masking import Masking
    from ..archive.place import ArchiveError, Place
    from ..archive.writing import Writer
    from ..intake import Collector, InputError

    zone = zone_of(timezone)
    try:
        policy = policies.load(policy_path(policy_option)).privacy
        if policy.mask != "off" and not policy.key_file:
            raise policies.PolicyError(
                "privacy.key_file is needed to archive with privacy.mask: without it masks differ from run to run"
            )
        mask = privacy.mask_of(policy, privacy.key_of(policy))
    except policies.PolicyError as error:
        raise click.ClickException(str(error)) from error
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sipsieve-", dir=temporary)))
        watch = progress.watch(progress.bar(stack, quiet))
        stack.enter_context(checked(memory))
        try:
            place = Place(archive)
            stack.enter_context(place.held(check_edge(edge)))
            today = datetime.now(UTC).date()
            writer = Writer(place, edge, today, policy.retention_days, Masking(mask) if mask else None, folder)
            expired = writer.expire()
            added = [
                writer.add(path, lambda store, near: Collector(store, near, zone, watch), memory) for path in paths
            ]
        except (ArchiveError, InputError, OSError) as error:
            raise click.ClickException(harmless(str(error))) from error
    if as_json:
        facts = {"archive": place.name, "edge": edge, "mask": policy.mask, "retention_days": policy.retention_days,
                 "expired_parts": expired, "swept": writer.swept, "inputs": [asdict(one) for one in added]}  # fmt: skip
        json.dump(facts, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    for one in added:
        said = "is in the archive already" if one.known else f"{one.rows:,} events in {one.parts} parts"
        if one.expired:
            said += f"; {one.expired:,} older than {policy.retention_days} days were left out"
        click.echo(f"{harmless(one.path)}: {said}")
    if expired:
        click.echo(f"{expired} parts older than {policy.retention_days} days were taken away")
    if writer.swept:
        click.echo(f"{writer.swept} files that a run before had not finished were taken away")
