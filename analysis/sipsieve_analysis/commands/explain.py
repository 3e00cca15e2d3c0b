"""`sipsieve explain`: why a message gets its decision, and what holds for an address."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import click

from sipsieve.abuse.sources import Networks
from sipsieve.config import policy as policies
from sipsieve.config.overrides import changed, value_from
from sipsieve.control import geo_files
from sipsieve.decision.engine import Engine
from sipsieve.decision.explain import explain
from sipsieve.detection import ruleset

from ..operate.decisions import Reader
from ..operate.effective import effective, text_of_address
from ..operate.explained import facts_of, text_of
from ..operate.frames import NoMessage, Taken, take
from ..operate.let_pass import let_pass
from ..operate.places import log_path, policy_path
from ..operate.recorded import find, message_of, text_of_record
from ..operate.rpc import RpcError
from ..operate.running import Refused, Running
from ..tuning.trials import ruleset_of

_EXAMPLES = """\b
Examples:
  sipsieve explain 203.0.113.7
  sipsieve explain --message suspicious.sip
  tcpdump -A ... | sipsieve explain --message - --from 203.0.113.7
  sipsieve explain --message capture.pcap --frame 12 --all
  sipsieve explain --decision 6920d3f1-2a1-4

Exit codes: 0 explained, 1 it can't be (no such file, frame, decision, or a broken policy), 2 the call was wrong.
"""


@click.command("explain", epilog=_EXAMPLES)
@click.argument("address", required=False)
@click.option("--message", metavar="FILE", help="Explain the message in this file, - for standard input, or a capture.")
@click.option("--frame", default=1, show_default=True, type=click.IntRange(1), help="Which frame of a capture.")
@click.option("--decision", metavar="ID", help="Explain the decision with this event.id in the decision log.")
@click.option(
    "--from", "sender", metavar="ADDRESS", help="Who sent the message. Default: the capture's, else a stranger."
)
@click.option("--transport", type=click.Choice(["udp", "tcp", "tls", "ws", "wss"]), help="Over what it came.")
@click.option("--all", "every_part", is_flag=True, help="Show every part, also those in which nothing was found.")
@click.option("--policy", "policy_option", metavar="FILE", help="The policy. Default: the one in use.")
@click.option("--log", "log_option", metavar="FILE", help="The decision log, for --decision. Default: the policy's.")
@click.option("--rpc", default="", metavar="FIFO", help="Kamailio's RPC FIFO, for what an ADDRESS stands at now.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def command(
    address: str | None,
    message: str | None,
    frame: int,
    decision: str | None,
    sender: str | None,
    transport: str | None,
    every_part: bool,
    policy_option: str | None,
    log_option: str | None,
    rpc: str,
    as_json: bool,
) -> None:
    """Explain what holds for an ADDRESS, how a message is decided on, or why a logged one was.

    A message is decided on as the first one of its source; limits count nothing here. For an ADDRESS
    the running server is asked for its counters and ban, and for values set for a time.
    """
    if sum(value is not None for value in (address, message, decision)) != 1:
        raise click.UsageError("give one of: an ADDRESS, --message FILE, --decision ID")
    try:
        live = _live(address, rpc) if address is not None else None
        path = policy_path(policy_option)
        if live is not None and not policy_option and os.access(live["policy_file"], os.R_OK):
            path = Path(live["policy_file"])
        policy = policies.load(path)
        if address is not None:
            if live is not None:
                policy = changed(policy, {key: value_from(text) for key, text in live["set"].items()})
            _address(policy, address, live, as_json)
        elif message is not None:
            _message(policy, message, frame, sender, transport, every_part, as_json)
        elif decision is not None:
            _decision(policy, log_path(log_option, policy_option), decision, every_part, as_json)
    except (policies.PolicyError, ruleset.RuleError, NoMessage) as error:
        raise click.ClickException(str(error)) from error


def _address(policy: policies.Policy, address: str, live: dict[str, Any] | None, as_json: bool) -> None:
    try:
        facts = effective(policy, address, geo_files.offline(policy.geo))
    except ValueError:
        raise click.BadParameter(
            f"{address!r} is no address; allowed: 203.0.113.7 or 2001:db8::7", param_hint="ADDRESS"
        ) from None
    facts["live"] = (
        None
        if live is None
        else {
            "counters": live["counters"],
            "ban": live["ban"],
            "standing": live["standing"],
            "feed": live.get("feed"),
        }
    )
    click.echo(json.dumps(facts) if as_json else "\n".join(text_of_address(facts, time.time())))


def _live(address: str, rpc: str) -> dict[str, Any] | None:
    """What the running server says of an address; None where none runs and none was named."""
    try:
        return Running(rpc).ask("source", ip=address)
    except RpcError as error:
        if rpc or os.environ.get("SIPSIEVE_RPC"):
            raise click.ClickException(str(error)) from error
        return None
    except Refused as error:
        raise click.ClickException(str(error)) from error


def _decision(policy: policies.Policy, log: Path, identity: str, every_part: bool, as_json: bool) -> None:
    record = find(Reader(), log, identity)
    rules = ruleset_of(policy)
    taken = message_of(record)
    today = _facts(policy, rules, taken) if taken else None
    if as_json:
        click.echo(json.dumps({"recorded": record, "today": today}))
        return
    lines = text_of_record(record, rules)
    if today is None:
        lines.append(
            'The message itself is not in the log (log.record = "replay" keeps it): this is what was recorded of it.'
        )
    else:
        lines += ["", "The same message with today's policy and rules", "", *text_of(today, every_part)]
    click.echo("\n".join(lines))


def _message(
    policy: policies.Policy,
    name: str,
    frame: int,
    sender: str | None,
    transport: str | None,
    every_part: bool,
    as_json: bool,
) -> None:
    taken = take(name, frame)
    taken = taken._replace(ip=sender or taken.ip, transport=transport or taken.transport)
    rules = ruleset_of(policy)
    facts = _facts(policy, rules, taken)
    click.echo(json.dumps(facts) if as_json else "\n".join(text_of(facts, every_part)))


def _facts(policy: policies.Policy, rules: ruleset.Ruleset, taken: Taken) -> dict[str, Any]:
    networks = Networks(policy, geo_files.offline(policy.geo))
    engine = Engine(policy, rules, networks)
    # A stranger: the address block for documentation belongs to nobody (RFC 5737).
    source = engine.networks.source(taken.ip or "192.0.2.1", taken.port or 5060, taken.transport)
    now = time.time()
    levels = {}
    for level in (1, 2, 3):
        other = Engine(changed(policy, {"detection.paranoia": level}), rules, networks)
        levels[level] = explain(other, taken.raw, source, now).decision
    facts = facts_of(explain(engine, taken.raw, source, now), levels)
    facts["let_pass"] = [one._asdict() for one in let_pass(policy, rules, taken.raw, source, now)]
    return facts
