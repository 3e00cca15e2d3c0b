"""`sipsieve mcp`: offers status, explain, bans, report and ask to agents, by the Model Context Protocol."""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import click

import sipsieve

from ..operate.harmless import harmless

if TYPE_CHECKING:
    from mcp.server import MCPServer

_EXAMPLES = """\b
Examples:
  sipsieve mcp /srv/sipsieve/archive
  sipsieve mcp --allow-changes /var/log/sipsieve/decisions.jsonl

Exit codes: 0 the agent went away, 2 the call was wrong, 130 interrupted.
"""


@click.command("mcp", epilog=_EXAMPLES)
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--allow-changes", is_flag=True, help="Also offer ban and unban. Without it nothing can be changed.")
@click.option("--policy", metavar="FILE", help="The policy. Default: the one in use.")
@click.option("--rpc", metavar="FIFO", help="Kamailio's RPC FIFO. Default: SIPSIEVE_RPC, else Debian's.")
def command(paths: tuple[Path, ...], allow_changes: bool, policy: str | None, rpc: str | None) -> None:
    """Serve an agent on standard input and output by the Model Context Protocol; read only unless told otherwise.

    PATHS are archives and logs that `ask` and `report` look at; without any, the policy's decision log.
    """
    from ..archive.names import is_there

    # An agent would be told at its first question only, and nobody else.
    for path in paths:
        if not is_there(path):
            raise click.UsageError(f"{harmless(str(path))}: no such file, folder or archive")
    made = server(paths, allow_changes, policy, rpc)
    # What serves waits for its input in a thread that no exception reaches.
    signal.signal(signal.SIGINT, _end)
    if sys.stdin.isatty():
        click.echo("Waits for an agent that speaks the Model Context Protocol (docs/mcp.md); Ctrl-C ends it.", err=True)
    made.run("stdio")


def _end(number: int, frame: FrameType | None) -> NoReturn:
    """Ends at once, as Ctrl-C ends any command."""
    os._exit(130)


def server(paths: tuple[Path, ...], allow_changes: bool, policy: str | None, rpc: str | None) -> MCPServer[Any]:
    """What serves. Its tools are commands of this program, with arguments that were checked."""
    from mcp.server import MCPServer
    from mcp.types import ToolAnnotations

    from .. import agents
    from ..archive.names import is_archive
    from ..operate.places import log_path

    made = MCPServer(
        "sipsieve", version=sipsieve.__version__, log_level="CRITICAL",
        instructions="Reads a SIP guard. " + agents.NOTE,
    )  # fmt: skip
    asked = [f"--policy={policy}"] if policy else []
    live = [f"--rpc={rpc}"] if rpc else []
    reading = ToolAnnotations(read_only_hint=True, open_world_hint=False)
    changing = ToolAnnotations(read_only_hint=False, destructive_hint=True, open_world_hint=False)

    def status() -> dict[str, Any]:
        """The running server: versions, workers, counts, what is set for a time."""
        return agents.run(["status", "--json", *live])

    def explain(address: str = "", decision: str = "", message: str = "") -> dict[str, Any]:
        """What holds for an address, why a logged decision (its event.id) was made, or how a SIP message would be decided on. Give one."""
        given = [bool(address), bool(decision), bool(message)]
        if sum(given) != 1:
            raise agents.ToolError("give one of address, decision and message")
        base = ["explain", "--json", *asked]
        if message:
            return agents.run([*base, "--message", "-"], message)
        if decision:
            return agents.run([*base, f"--decision={agents.decision(decision)}"])
        return agents.run([*base, *live, "--", agents.address(address)])

    def bans() -> dict[str, Any]:
        """Who is banned, why, since when and for how long still."""
        return agents.run(["bans", "list", "--json", *live])

    def report(would_block: bool = False) -> dict[str, Any]:
        """What was blocked, or would have been, by source, rule and field."""
        logs = [str(path) for path in paths if not is_archive(path)]
        more = ["--would-block"] if would_block else []
        return agents.run(["report", "--json", *more, *asked, "--", *logs])

    def ask(question: str) -> dict[str, Any]:
        """A question in the documented words, as: which sources tried premium numbers last week? An error names what was not understood."""
        looked = [str(path) for path in paths] or [str(log_path(None, policy))]
        return agents.run(["ask", "--json", "--", question, *looked])

    def ban(source: str, time: str = "1h", reason: str = "by an agent") -> dict[str, Any]:
        """Bans an address for a time, as 10m, 24h or 7d."""
        why = f"--reason={harmless(reason, 100)}"
        return agents.run(
            ["bans", "add", f"--for={agents.duration(time)}", why, *live, *asked, "--", agents.address(source)]
        )

    def unban(source: str) -> dict[str, Any]:
        """Lifts the ban on an address."""
        return agents.run(["bans", "remove", *live, "--", agents.address(source)])

    tools: list[Callable[..., dict[str, Any]]] = [status, explain, bans, report, ask]
    for tool in tools:
        made.tool(annotations=reading)(_saying(tool))
    for tool in (ban, unban) if allow_changes else ():
        made.tool(annotations=changing)(_saying(tool))
    return made


def _saying(tool: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """The same, whose errors the agent is told: of others the protocol's library says only that there was one."""
    from mcp.server.mcpserver.exceptions import ToolError

    from .. import agents

    @functools.wraps(tool)
    def told(*arguments: Any, **named: Any) -> dict[str, Any]:
        try:
            return tool(*arguments, **named)
        except agents.ToolError as error:
            raise ToolError(str(error)) from error

    return told
