"""`sipsieve completion`: the script that lets a shell complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_EXAMPLES = """\b
Examples:
  sipsieve completion bash | sudo tee /usr/share/bash-completion/completions/sipsieve
  echo 'eval "$(sipsieve completion zsh)"' >> ~/.zshrc
  sipsieve completion fish > ~/.config/fish/completions/sipsieve.fish

Exit codes: 0 printed, 2 the call was wrong.
"""


@click.command("completion", epilog=_EXAMPLES)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script for SHELL: commands, options and their values are completed."""
    kind = get_completion_class(shell)
    assert kind is not None
    # The group itself is only needed to complete, not to print the script.
    click.echo(kind(click.Group(), {}, "sipsieve", "_SIPSIEVE_COMPLETE").source())
