"""The commands of `sipsieve bans` that bring bans to others and take CrowdSec's."""

from __future__ import annotations

import ipaddress
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from sipsieve.config.policy import Policy

from ..operate.decisions import Reader
from ..operate.harmless import harmless
from ..operate.keeping import replace, until_signal
from ..operate.rpc import Rpc, RpcError
from ..operate.selection import network
from . import abuse as reports
from . import origin
from .crowdsec import Api, ApiError, Bouncer
from .server import Lists, OutOfReachError, Server


def _place(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    try:
        address = ipaddress.ip_address(host.strip("[]"))
        if not (port.isascii() and port.isdigit() and int(port) < 65536):
            raise ValueError
    except ValueError:
        raise click.UsageError(
            f"--listen {text!r}: allowed: ADDRESS:PORT, as in 127.0.0.1:8060 or [::1]:8060"
        ) from None
    return str(address), int(port)


def _secret(option: str, path: Path) -> str:
    try:
        text = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise click.UsageError(f"{option} {path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        text = ""
    if not 16 <= len(text) <= 4096 or not text.isprintable():
        raise click.UsageError(f"{option} {path}: needs one line of 16 characters or more, ASCII")
    return text


def serve(
    listen: str, state: Path | None, with_udp: bool, token_file: Path | None, open_: bool, rpc_path: str, policy: Policy
) -> None:  # fmt: skip
    """Listens until SIGTERM or Ctrl-C."""
    place = _place(listen)
    token = _secret("--token-file", token_file) if token_file is not None else ""
    if not ipaddress.ip_address(place[0]).is_loopback and not token and not open_:
        raise click.UsageError(
            f"--listen {listen}: others reach this address: ask them for a token (--token-file), or say --open"
        )

    def ask() -> list[Any]:
        try:
            return origin.entries(state, rpc_path, policy)[0]
        except (origin.StateFileError, RpcError) as error:
            raise OutOfReachError(harmless(str(error))) from error

    said = [""]

    def warn(text: str) -> None:
        if text != said[0]:
            said[0] = text
            click.echo(f"sipsieve bans serve: {text}", err=True)

    try:
        server = Server(place, Lists(ask, time.time, with_udp), token, warn)
    except OSError as error:
        raise click.ClickException(f"--listen {listen}: {error.strerror or error}") from error
    import threading

    with server, until_signal() as stop:
        answering = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
        answering.start()
        port = server.server_address[1]
        click.echo(f"http://{f'[{place[0]}]' if ':' in place[0] else place[0]}:{port}/bans.txt")
        stop.wait()
        server.shutdown()
        answering.join()


def abuse(
    chosen: tuple[str, ...], logs: tuple[Path, ...], state: Path | None, output: Path | None, reporter: str, target: str,
    with_udp: bool, as_json: bool, rpc_path: str, policy: Policy,
) -> None:  # fmt: skip
    """Writes the reports."""
    try:
        wanted = [network(text) for text in chosen]
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if not wanted:
        from ..operate import blocklist

        try:
            rows = blocklist.rows(origin.entries(state, rpc_path, policy)[0], time.time())
        except origin.StateFileError as error:
            raise click.UsageError(str(error)) from error
        except RpcError as error:
            click.echo(f"Error: {harmless(str(error))}; name the sources, or --state", err=True)
            raise SystemExit(2) from error
        wanted = [ipaddress.ip_network(row["network"]) for row in rows if with_udp or not row["udp_only"]]
    reader = Reader()
    try:
        found = reports.cases(reader.read(logs), wanted, with_udp)
    except (OSError, EOFError) as error:
        raise click.UsageError(f"{error}") from error
    if reader.bad:
        click.echo(f"{reader.bad} of {reader.lines} lines are no decision records", err=True)
    if as_json:
        click.echo(json.dumps([{"network": str(c.network), "addresses": dict(c.addresses), "rules": dict(c.rules), "first": c.first, "last": c.last, "text": reports.text(c, reporter, target)} for c in found], indent=2))  # fmt: skip
    elif output is not None:
        try:
            output.mkdir(parents=True, exist_ok=True)
            for case in found:
                name = str(case.network).replace("/", "_").replace(":", "-")
                replace(output / f"{name}.txt", reports.text(case, reporter, target), 0o644)
        except OSError as error:
            raise click.ClickException(f"--output {output}: cannot be written: {error.strerror}") from error
        click.echo(f"{len(found)} reports in {output}")
    else:
        click.echo("\n".join(reports.text(case, reporter, target) for case in found), nl=False)
    if not found:
        click.echo(
            "the log says nothing against them over a connection; --with-udp takes datagrams, which can be forged",
            err=True,
        )
        raise SystemExit(1)


def crowdsec(url: str, key_file: Path, every: float, own: bool, once: bool, rpc_path: str, policy: Policy) -> None:
    """Follows until SIGTERM or Ctrl-C."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise click.UsageError(
            f"--url {url!r}: is no http or https URL; the local API is http://127.0.0.1:8080 by default"
        )
    bouncer = Bouncer(Api(url, _secret("--key-file", key_file)), Rpc(rpc_path), policy, own)
    trouble = left = ""
    with until_signal() as stop:
        while True:
            try:
                put, lifted = bouncer.once()
                if put or lifted:
                    click.echo(f"{put} banned, {lifted} lifted")
                said = ", ".join(f"{number} {why}" for why, number in bouncer.left_out.items())
                if said != left and said:
                    click.echo(f"decisions left out: {said}", err=True)
                left, trouble = said, ""
            except (ApiError, RpcError) as error:
                if isinstance(error, ApiError) and error.hopeless:
                    raise click.ClickException(harmless(str(error))) from error
                if once:
                    click.echo(f"Error: {harmless(str(error))}", err=True)
                    raise SystemExit(2) from error
                if str(error) != trouble:
                    trouble = str(error)
                    click.echo(f"sipsieve bans crowdsec: {harmless(trouble)}; bans stand as they are", err=True)
            if once or stop.wait(every):
                return
