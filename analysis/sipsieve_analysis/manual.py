"""Writes the man page sipsieve(1) from the commands' own help texts."""

from __future__ import annotations

import inspect
import re
import sys
from typing import Final

import click

from .cli import main

_HEAD: Final = """.TH SIPSIEVE 1 "" sipsieve "User commands"
.SH NAME
sipsieve \\- understand, tune and operate the sipsieve guard in Kamailio
.SH SYNOPSIS
.B sipsieve
\\fICOMMAND\\fR [\\fIOPTION\\fR]... [\\fIARGUMENT\\fR]...
.SH DESCRIPTION
.B sipsieve
reads what the guard has logged, says what it would do and why, and changes it while it runs.
Commands that talk to the running server use Kamailio's own RPC, a FIFO that root and Kamailio's group may write.
Every command takes \\fB\\-\\-help\\fR; most take \\fB\\-\\-json\\fR.
.SH COMMANDS
"""

_FOOT: Final = """.SH EXIT STATUS
0 all is well; 1 something was found or refused; 2 the call was wrong; 130 interrupted.
.SH ENVIRONMENT
.TP
.B SIPSIEVE_POLICY
The policy. Default: /etc/sipsieve/sipsieve.toml.
.TP
.B SIPSIEVE_LOG
The decision log. Default: the policy's.
.TP
.B SIPSIEVE_RPC
The FIFO of the running server (Kamailio's jsonrpcs module). Default: the one in /run/kamailio.
.SH FILES
.TP
.I /etc/sipsieve/sipsieve.toml
The policy.
.TP
.I /var/log/sipsieve/decisions.jsonl
The decision log.
.SH SEE ALSO
.BR sipsieve\\-packages (8),
.BR kamailio (8)
"""


def page() -> str:
    """The man page as roff."""
    context = click.Context(main, info_name="sipsieve")
    lines = [_HEAD]
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        if command is not None:
            lines += _command(name, command, click.Context(command, info_name=name, parent=context))
    return "".join(lines) + _FOOT


def _command(name: str, command: click.Command, context: click.Context) -> list[str]:
    pieces = " ".join(command.collect_usage_pieces(context))
    lines = [f".SS {_roff(name)}\n.B sipsieve {_roff(name)}\n{_roff(pieces)}\n.PP\n", _text(command.help or "")]
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and record[1] and "--help" not in record[0]:
            lines.append(f".TP\n.B {_roff(record[0])}\n{_roff(record[1])}\n")
    if isinstance(command, click.Group):
        for sub in command.list_commands(context):
            inner = command.get_command(context, sub)
            if inner is not None:
                lines += _command(f"{name} {sub}", inner, click.Context(inner, info_name=sub, parent=context))
    lines.append(_text(command.epilog or ""))
    return lines


def _text(text: str) -> str:
    """Paragraphs; those that begin with `\\b` as they stand."""
    out = []
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text)):
        body = paragraph.strip("\n")
        if not body:
            continue
        if body.startswith("\b"):
            out.append(f".PP\n.nf\n{_roff(body[1:].strip(chr(10)))}\n.fi\n")
        else:
            out.append(f".PP\n{_roff(' '.join(body.split()))}\n")
    return "".join(out)


def _roff(text: str) -> str:
    """Text that roff shows as it is."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(f"\\&{line}" if line[:1] in (".", "'") else line for line in escaped.split("\n"))


if __name__ == "__main__":
    sys.stdout.write(page())
