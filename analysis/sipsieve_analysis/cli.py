"""The `sipsieve` command: finds its subcommands in `commands/`, loads only the one that is asked for."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Final

import click

import sipsieve

from . import commands

#: What `sipsieve-packages` installs a package with, where that is not --analyze.
_OPTION: Final = {"openai": "--narrate", "apprise": "--alerts", "mcp": "--mcp"}


class _Commands(click.Group):
    """Subcommands by module name; `_` in a module's name is `-` in the command's."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(commands.__path__))

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in self.list_commands(context):
            return None
        try:
            module = importlib.import_module(f"{commands.__name__}.{name.replace('-', '_')}")
        except ModuleNotFoundError as error:
            if _missing(name, error) is error:
                raise
            return _without_packages(name, error)
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def invoke(self, context: click.Context) -> object:
        try:
            return super().invoke(context)
        except KeyboardInterrupt:
            # Ctrl-C ends any command quietly, with the code that shells give it.
            click.echo("", err=True)
            raise click.exceptions.Exit(130) from None
        except ModuleNotFoundError as error:
            # Some commands import the heavy packages only when they run.
            raise _missing(context.invoked_subcommand, error) from None


def _without_packages(name: str, error: ModuleNotFoundError) -> click.Command:
    """Stands in for a command whose packages this machine does not have, so that the others go on."""

    def refuse(arguments: tuple[str, ...]) -> None:
        raise _missing(name, error)

    return click.Command(
        name,
        callback=refuse,
        params=[click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)],
        context_settings={"ignore_unknown_options": True},
        help=f"Needs packages that are not installed: sipsieve-packages {_OPTION.get(error.name or '', '--analyze')}.",
    )


def _missing(name: str | None, error: ModuleNotFoundError) -> Exception:
    """What to say of a module that is not there; the error itself where it is one of ours."""
    if error.name is None or error.name.split(".")[0] in ("sipsieve", "sipsieve_analysis"):
        return error
    option = _OPTION.get(error.name.split(".")[0], "--analyze")
    return click.ClickException(
        f"`sipsieve {name}` needs the package {error.name}, which is not installed. Install what it needs: "
        f"sipsieve-packages {option} (as root), or in a checkout: make venv"
    )


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(sipsieve.__version__, prog_name="sipsieve")
def main() -> None:
    """Understand, tune and operate the sipsieve guard.

    Exit codes: 0 all is well, 1 something was found or refused, 2 the call was wrong, 130 interrupted.
    """


if __name__ == "__main__":
    main()
