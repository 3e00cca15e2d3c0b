"""`sipsieve bans`: who is shut out of a running server, and changing that."""

from __future__ import annotations

import ipaddress
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from sipsieve.abuse import bans as sentences
from sipsieve.abuse import sources
from sipsieve.config import policy

from ..lists import commands as others
from ..lists import origin
from ..operate import banlist, blocklist, keeping
from ..operate.harmless import harmless
from ..operate.kernel import KernelError
from ..operate.rpc import Rpc, RpcError

#: Where an installed policy stands.
_POLICY: Final = "/etc/sipsieve/sipsieve.toml"

_rpc = click.option("--rpc", "rpc_path", metavar="FIFO", default="", help="The server's jsonrpcs FIFO (SIPSIEVE_RPC).")
_policy = click.option(
    "--policy", "policy_path", metavar="FILE", default="",
    help=f"The policy: trusted networks and prefix lengths (SIPSIEVE_POLICY, {_POLICY}).",
)  # fmt: skip
_json = click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")


@click.group()
def command() -> None:
    """List, add and lift bans on a running server.

    Exit codes: 0 done, 1 there was no such ban or it is refused, 2 the call was wrong or the server can't be asked.
    """


@command.command("list")
@_rpc
@_json
def list_(rpc_path: str, as_json: bool) -> None:
    """Who is banned, why, since when and for how long still.

    \b
    Example: sipsieve bans list --json | jq -r '.[].source'
    """
    found = _asked(lambda: banlist.read(Rpc(rpc_path), time.time()))
    if as_json:
        click.echo(json.dumps([ban.as_dict() for ban in found], indent=2))
        return
    if not found:
        click.echo("nobody is banned")
        return
    width = max(len(ban.source) for ban in found)
    click.echo(f"{'source':<{width}}  {'left':>8}  {'dropped':>8}  {'first seen':19}  {'last seen':19}  rule, reason")
    for ban in found:
        scope = "" if ban.scope == "all" else f" ({ban.scope})"
        click.echo(
            f"{ban.source:<{width}}  {_span(ban.remaining):>8}  {ban.dropped:>8}  {_when(ban.first):19}  "
            f"{_when(ban.last):19}  {ban.rule}: {harmless(ban.reason)}{scope}"
        )


@command.command()
@click.argument("source")
@click.option("--for", "duration", metavar="TIME", default="1h", show_default=True, help="As in 90s, 10m, 24h, 7d.")
@click.option("--reason", default="by hand", show_default=True, help="What the list and the log will say.")
@_rpc
@_policy
def add(source: str, duration: str, reason: str, rpc_path: str, policy_path: str) -> None:
    """Bans SOURCE: an IPv4 address, or an IPv6 address with its whole /64.

    \b
    Example: sipsieve bans add 203.0.113.7 --for 24h --reason "ticket 4711"
    """
    loaded = _loaded(policy_path)
    key = _key(source, loaded)
    if sources.Networks(loaded).never_banned(key):
        raise click.ClickException(f"{key} is, or holds, a trusted network of the policy: it is never banned")
    now = time.time()
    length = _seconds(duration)
    entry = sentences.Entry(key, "manual", int(now), int(now) + length, reason=reason)
    _asked(lambda: Rpc(rpc_path).call("htable.setxs", banlist.BANS, key, entry.value, length))
    click.echo(f"{key} is banned for {_span(length)}")


@command.command()
@click.argument("source")
@_rpc
@_policy
def remove(source: str, rpc_path: str, policy_path: str) -> None:
    """Lifts the ban on SOURCE and forgets its earlier offences."""
    key = _key(source, _loaded(policy_path))
    if not _asked(lambda: banlist.lift(Rpc(rpc_path), key)):
        raise click.ClickException(f"{key} is not banned")
    click.echo(f"{key} is free")


@command.command()
@_rpc
def flush(rpc_path: str) -> None:
    """Lifts all bans, key by key, so that the other nodes of a cluster lift them too."""
    rpc = Rpc(rpc_path)
    keys = [ban.source for ban in _asked(lambda: banlist.read(rpc, time.time()))]
    lifted = sum(bool(_asked(lambda key=key: banlist.lift(rpc, key))) for key in keys)  # type: ignore[misc]
    click.echo(f"{lifted} bans lifted")


@command.command()
@_rpc
def announce(rpc_path: str) -> None:
    """Tells the other nodes of a cluster of all bans once more, as after a cut of the network between them.

    A ban that another node lifted in the meantime comes back by this.
    """
    told = _asked(lambda: banlist.announce(Rpc(rpc_path), time.time()))
    click.echo(f"{told} bans announced")


@command.command()
@click.option(
    "--state", metavar="FILE", default="", help="Where bans are kept (SIPSIEVE_STATE, the policy's [bans] state)."
)
@click.option("--nft", metavar="FAMILY/TABLE", default="", help="Keep these nftables sets too, see docs/bans.md.")
@click.option("--no-state", is_flag=True, help="Write no file: only the nftables sets.")
@click.option("--every", metavar="SECONDS", default=0.5, show_default=True, type=click.FloatRange(0.05, 60))
@_rpc
@_policy
def keep(state: str, nft: str, no_state: bool, every: float, rpc_path: str, policy_path: str) -> None:
    """Runs beside the server: writes its bans to a file, from which it restores them when it starts.

    With --nft the bans reach the kernel as well. Ends on SIGTERM and Ctrl-C; the file stays.
    """
    path = state or os.environ.get("SIPSIEVE_STATE") or _loaded(policy_path).bans.state
    try:
        keeper = keeping.Keeper(Rpc(rpc_path), None if no_state else Path(path), nft)
        keeper.run(every, lambda text: click.echo(text, err=True))
    except (keeping.KeepError, KernelError) as error:
        raise click.ClickException(str(error)) from error


@command.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(list(blocklist.FORMATS)),
    default="plain",
    show_default=True,
    help="plain: a network a line; csv and json: with rule, beginning and end; stix: a bundle of 2.1; misp: an event.",
)
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Replace FILE in one step, instead of standard output.",
)
@click.option(
    "--state",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Read a file that `bans keep` or `hep` writes, instead of asking the server.",
)
@click.option("--with-udp", is_flag=True, help="Take bans, too, that rest on datagrams, whose source can be forged.")
@_rpc
@_policy
def export(
    form: str, output: Path | None, state: Path | None, with_udp: bool, rpc_path: str, policy_path: str
) -> None:  # fmt: skip
    """Writes the bans as a block list for other devices.

    A device that blocks everything from an address does more than a ban that rests on datagrams, so these are left out unless
    asked for. Trusted networks of the policy are never on a list. A list is of the moment: write it anew at least once a minute, and let devices forget what is not in it.

    \b
    Example: sipsieve bans export --format csv --output /srv/www/sipsieve.csv
    """
    now = time.time()
    try:
        entries, trusted = _asked(lambda: origin.entries(state, rpc_path, _loaded(policy_path)))
    except origin.StateFileError as error:
        raise click.UsageError(str(error)) from error
    found = blocklist.rows(entries, now)
    kept = [row for row in found if with_udp or not row["udp_only"]]
    text = blocklist.FORMATS[form](kept, now)
    if trusted:
        click.echo(f"{trusted} bans on trusted networks of the policy left out", err=True)
    if len(kept) < len(found):
        click.echo(f"{len(found) - len(kept)} bans that rest on datagrams left out; --with-udp takes them", err=True)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        keeping.replace(output, text, 0o644)
    except OSError as error:
        raise click.ClickException(f"--output {output}: cannot be written: {error.strerror}") from error


@command.command()
@click.option("--listen", metavar="WHERE", default="127.0.0.1:8060", show_default=True, help="ADDRESS:PORT.")
@click.option("--state", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="As for export.")
@click.option("--with-udp", is_flag=True, help="As for export.")
@click.option(
    "--token-file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help="Answer only who shows the token in this file (Authorization: Bearer TOKEN).",
)  # fmt: skip
@click.option("--open", "open_", is_flag=True, help="Answer anybody, on an address that others reach.")
@_rpc
@_policy
def serve(
    listen: str, state: Path | None, with_udp: bool, token_file: Path | None, open_: bool, rpc_path: str, policy_path: str
) -> None:  # fmt: skip
    """Serves the block lists by HTTP: /bans.txt, .csv, .json, .stix.json and .misp.json.

    Read only. A list has an ETag, and says how long it holds: until its first ban ends, a minute at the most. While the bans can't
    be had the answer is 503, never an empty list. Trusted networks of the policy, read at the start, are on none. No TLS: put it behind a web server for other networks.

    \b
    Example: sipsieve bans serve --listen 192.0.2.10:8060 --token-file /etc/sipsieve/lists.token
    """
    others.serve(listen, state, with_udp, token_file, open_, rpc_path, _loaded(policy_path))


@command.command()
@click.argument("sources", nargs=-1)
@click.option(
    "--log", "logs", multiple=True, required=True, metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False, exists=True), help="A decision log, .gz too; repeat.",
)  # fmt: skip
@click.option("--state", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="As for export.")
@click.option(
    "--output", metavar="FOLDER", type=click.Path(path_type=Path, file_okay=False), help="A file for each network."
)
@click.option("--reporter", default="", metavar="TEXT", help="Who reports: name and address for answers.")
@click.option("--target", default="", metavar="TEXT", help="The attacked server, as the report names it.")
@click.option("--with-udp", is_flag=True, help="Take datagrams as evidence, too: their source can be forged.")
@_json
@_rpc
@_policy
def abuse(
    sources: tuple[str, ...], logs: tuple[Path, ...], state: Path | None, output: Path | None, reporter: str, target: str,
    with_udp: bool, as_json: bool, rpc_path: str, policy_path: str,
) -> None:  # fmt: skip
    """Writes abuse reports about SOURCES (addresses or networks), or about all who are banned: one text for each /24 or /48.

    Nothing that a sender wrote is quoted. Nothing is sent: look up the network's abuse contact (whois), and read before you send.

    \b
    Example: sipsieve bans abuse --log /var/log/sipsieve/decisions.jsonl --output reports --reporter "NOC <noc@example.net>"
    """
    others.abuse(sources, logs, state, output, reporter, target, with_udp, as_json, rpc_path, _loaded(policy_path))


@command.command()
@click.option("--url", default="http://127.0.0.1:8080", show_default=True, help="CrowdSec's local API.")
@click.option(
    "--key-file", metavar="FILE", required=True, type=click.Path(path_type=Path, dir_okay=False),
    help="The key of `cscli bouncers add sipsieve`.",
)  # fmt: skip
@click.option("--every", metavar="SECONDS", default=10.0, show_default=True, type=click.FloatRange(0.2, 3600))
@click.option("--own", is_flag=True, help="Take decisions, too, that CrowdSec made of this guard's own bans.")
@click.option("--once", is_flag=True, help="One look, then end.")
@_rpc
@_policy
def crowdsec(
    url: str, key_file: Path, every: float, own: bool, once: bool, rpc_path: str, policy_path: str
) -> None:  # fmt: skip
    """Runs beside the server and bans whom CrowdSec decided to ban, for as long as it says; lifts what it lifts.

    Trusted networks are never banned, nor are the guard's own bans changed.

    \b
    Example: cscli bouncers add sipsieve -o raw > /etc/sipsieve/crowdsec.key
             sipsieve bans crowdsec --key-file /etc/sipsieve/crowdsec.key
    """
    others.crowdsec(url, key_file, every, own, once, rpc_path, _loaded(policy_path))


def _asked(question: Callable[[], Any]) -> Any:
    try:
        return question()
    except RpcError as error:
        click.echo(f"Error: {harmless(str(error))}", err=True)
        raise SystemExit(2) from error


def _loaded(path: str) -> policy.Policy:
    name = path or os.environ.get("SIPSIEVE_POLICY", "")
    if not name and not Path(_POLICY).exists():
        return policy.Policy()
    try:
        return policy.load(name or _POLICY)
    except policy.PolicyError as error:
        raise click.UsageError(str(error)) from error


def _key(source: str, loaded: policy.Policy) -> str:
    """The key of an address; a key as `list` prints it stays as it is."""
    try:
        return sources.Networks(loaded).source(str(ipaddress.ip_address(source.strip("[]"))), 0, "udp").key
    except ValueError:
        if sentences.network(source) is not None:
            return source
        raise click.UsageError(
            f"{source!r} is no address; allowed: an IPv4 or IPv6 address, or a source as `list` prints it"
        ) from None


def _seconds(text: str) -> int:
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    number, unit = (text[:-1], text[-1:]) if text[-1:] in units else (text, "s")
    if not (number.isascii() and number.isdigit() and 0 < int(number) * units[unit] <= 31_536_000):
        raise click.UsageError(f"--for {text!r}: allowed is a time as in 90s, 10m, 24h or 7d, a year at most")
    return int(number) * units[unit]


def _span(seconds: int) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def _when(moment: int | None) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment)) if moment else "-"
