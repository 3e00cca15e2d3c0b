"""The `sipsieve` command: finds its subcommands in `commands/`, loads only the one that is asked for."""

from __future__ import annotations

import importlib
import pkgutil

import click

import sipsieve

from . import commands


class _Commands(click.Group):
    """Subcommands by module name; `_` in a module's name is `-` in the command's."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(commands.__path__))

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in self.list_commands(context):
            return None
        module = importlib.import_module(f"{commands.__name__}.{name.replace('-', '_')}")
        command = module.command
        assert isinstance(command, click.Command)
        return command


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(sipsieve.__version__, prog_name="sipsieve")
def main() -> None:
    """Understand, tune and operate the sipsieve guard.

    Exit codes: 0 all is well, 1 something was found or refused, 2 the call was wrong, 130 interrupted.
    """


if __name__ == "__main__":
    main()
