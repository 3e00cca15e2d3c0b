"""`sipsieve hep`: decides on what SIP servers report by HEP."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
import ssl
import time
from pathlib import Path
from typing import Any

import click

from sipsieve.config import policy as policies
from sipsieve.detection.ruleset import RuleError

from ..operate.harmless import harmless
from ..operate.places import log_path, policy_path

_EPILOG = """
\b
Examples:
  sipsieve hep --server 198.51.100.10
  sipsieve hep --udp 0.0.0.0:9060 --sender 192.0.2.0/28 --server 198.51.100.10 --nft inet/sipsieve
  sipsieve hep --udp none --tls 0.0.0.0:9061 --certificate hep.pem --private-key hep.key --key-file hep.secret --server 198.51.100.10

Exit codes: 0 ended by signal, 1 it can't listen, keep the sets or use the policy, 2 the call was wrong.
"""

_SECONDS = 1.0


def _place(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, int] | None:
    if value == "none":
        return None
    host, _, port = value.rpartition(":")
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        raise click.BadParameter(
            f"{value!r}: allowed: ADDRESS:PORT, as in 127.0.0.1:9060 or [::1]:9060, or none"
        ) from None
    if not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise click.BadParameter(f"{value!r}: {port!r} is no port from 0 to 65535")
    return str(address), int(port)


def _addresses(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> list[str]:
    try:
        return [str(ipaddress.ip_address(text)) for text in value]
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _networks(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> list[Any]:
    try:
        return [ipaddress.ip_network(text, strict=False) for text in value]
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command(epilog=_EPILOG)
@click.option(
    "--udp",
    metavar="WHERE",
    default="127.0.0.1:9060",
    show_default=True,
    callback=_place,
    help="Listen for datagrams; none: don't.",
)
@click.option(
    "--tcp", metavar="WHERE", default="none", show_default=True, callback=_place, help="Listen for connections."
)
@click.option(
    "--tls", metavar="WHERE", default="none", show_default=True, callback=_place, help="Listen for TLS connections."
)
@click.option(
    "--certificate",
    type=click.Path(path_type=Path, dir_okay=False),
    help="For --tls: the certificate and its chain, PEM.",
)
@click.option("--private-key", type=click.Path(path_type=Path, dir_okay=False), help="For --tls: its key, PEM.")
@click.option(
    "--server",
    "servers",
    multiple=True,
    metavar="ADDRESS",
    callback=_addresses,
    required=True,
    help="An address of a watched server; repeat. What it sends is left out, and it is never banned.",
)
@click.option(
    "--sender",
    "senders",
    multiple=True,
    metavar="NETWORK",
    callback=_networks,
    help="Who may report; repeat. Default: everybody who reaches the socket.",
)
@click.option(
    "--key-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file with the key that each packet must carry (HEP's authenticate key).",
)
@click.option("--policy", "policy_option", metavar="FILE", help="The policy. Default: the one in use.")
@click.option("--log", "log_option", metavar="FILE", help="The decision log. Default: the policy's.")
@click.option("--nft", metavar="FAMILY/TABLE", default="", help="Keep these nftables sets, see docs/bans.md.")
@click.option(
    "--state",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep bans in this file across restarts.",
)
@click.option(
    "--threads", default=1, show_default=True, type=click.IntRange(1, 64), help="Cores that look at messages."
)
def command(
    udp: tuple[str, int] | None,
    tcp: tuple[str, int] | None,
    tls: tuple[str, int] | None,
    certificate: Path | None,
    private_key: Path | None,
    servers: list[str],
    senders: list[Any],
    key_file: Path | None,
    policy_option: str | None,
    log_option: str | None,
    nft: str,
    state: Path | None,
    threads: int,
) -> None:
    """Decide on what SIP servers report by HEP3: Kamailio's siptrace, OpenSIPS, Asterisk's res_hep, FreeSWITCH, heplify.

    For servers that can't load the guard. The decision log is the guard's own; nothing is answered or changed. Who goes over
    a limit is banned by the policy: in the log, for fail2ban, and with --nft in the kernel of the machine that this runs on.
    """
    from ..hep.sensor import Sensor
    from ..operate.kernel import Kernel, KernelError

    context = _tls(tls, certificate, private_key)
    if udp is None and tcp is None and tls is None:
        raise click.UsageError("nothing to listen on: give --udp, --tcp or --tls")
    try:
        key = key_file.read_bytes().strip() if key_file is not None else b""
    except OSError as error:
        raise click.UsageError(f"--key-file {key_file}: cannot be read: {error.strerror}") from error
    if key_file is not None and not key:
        raise click.UsageError(f"--key-file {key_file}: is empty")
    try:
        policy = policies.load(policy_path(policy_option))
        sensor = Sensor(policy, log_path(log_option, policy_option), servers, key, threads)
        kernel = Kernel(nft) if nft else None
    except (policies.PolicyError, RuleError, KernelError) as error:
        raise click.ClickException(str(error)) from error
    if state is not None and state.exists():
        try:
            sensor.restore(state.read_text())
        except (OSError, ValueError) as error:
            click.echo(f"sipsieve hep: {state}: bans can't be taken up: {harmless(str(error))}", err=True)
    try:
        asyncio.run(_run(sensor, (udp, tcp, tls), context, senders, kernel, state))
    except KernelError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"can't listen: {error.strerror or error}") from error
    finally:
        sensor.close()


def _tls(where: tuple[str, int] | None, certificate: Path | None, private_key: Path | None) -> ssl.SSLContext | None:
    if where is None:
        return None
    if certificate is None:
        raise click.UsageError("--tls needs --certificate, and --private-key where the certificate's file has none")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, private_key)
    except (OSError, ssl.SSLError) as error:
        raise click.UsageError(f"--certificate {certificate}: can't be used: {error}") from error
    return context


async def _run(
    sensor: Any,
    places: tuple[Any, Any, Any],
    tls: ssl.SSLContext | None,
    senders: list[Any],
    kernel: Any,
    state: Path | None,
) -> None:
    from ..hep.listen import Listener
    from ..operate.keeping import write
    from ..operate.kernel import KernelError

    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)

    def skip(what: str, count: int) -> None:
        sensor.skipped[what] += count

    def say(text: str) -> None:
        click.echo(f"sipsieve hep: {harmless(text)}", err=True)

    listener = Listener(sensor.take, senders, skip)
    for name, place, context in zip(("udp", "tcp", "tls"), places, (None, None, tls), strict=True):
        if place is not None:
            host, wanted = place
            port = await (listener.udp(host, wanted) if name == "udp" else listener.tcp(host, wanted, context))
            say(f"listens on {name} {host} port {port}")
    written: object = None
    trouble = ""
    told = dict(sensor.skipped)
    lost = 0
    try:
        while not stop.is_set():
            try:
                async with asyncio.timeout(_SECONDS):
                    await stop.wait()
            except TimeoutError:
                pass
            entries = sensor.bans()
            try:
                if state is not None and entries != written:
                    write(state, entries, time.time())
                    written = entries
                if kernel is not None:
                    # nft is another program: messages are received on while it works.
                    await asyncio.to_thread(kernel.follow, entries, time.time())
                trouble = ""
            except (KernelError, OSError) as error:
                if isinstance(error, KernelError) and error.hopeless:
                    raise
                if str(error) != trouble:
                    trouble = str(error)
                    say(trouble)
            for what in sensor.skipped.keys() - told.keys():
                say(f"not taken: {what}; the count follows at the end")
            told = dict(sensor.skipped)
            if sensor.lost > lost:
                if not lost:
                    say("the decision log can't be written: records are lost")
                lost = sensor.lost
    finally:
        listener.close()
    counts = "".join(f"; {count} {what}" for what, count in sorted(sensor.skipped.items()))
    messages, bans = sensor.messages, len(sensor.bans())
    say(f"{messages} message{'s'[: messages != 1]} taken, {bans} ban{'s'[: bans != 1]} last{counts}")
