"""Each command is in the man page, shows examples and exit codes, and is completed by the shell."""

from __future__ import annotations

import shutil
import subprocess

import click
import pytest
from click.testing import CliRunner

from harness import ROOT
from sipsieve_analysis import manual
from sipsieve_analysis.cli import main

PAGE = ROOT / "packaging" / "sipsieve.1"
COMMANDS = main.list_commands(click.Context(main))


@pytest.mark.parametrize("name", COMMANDS)
def test_the_man_page_has_the_command(name: str) -> None:
    heading = f".SS {name}".replace("-", "\\-")
    assert heading in PAGE.read_text().splitlines(), "the man page is old; write it anew: make man"


@pytest.mark.debian
def test_the_man_page_is_good_roff() -> None:
    text = manual.page()
    groff = shutil.which("groff")
    assert groff is not None
    ran = subprocess.run([groff, "-man", "-Tutf8", "-ww", "-z"], input=text, capture_output=True, text=True, check=True)
    assert ran.stderr == ""


@pytest.mark.parametrize("name", ["check", "explain", "reload", "report", "retention", "set", "status", "tail"])
def test_help_has_examples_and_exit_codes(name: str) -> None:
    ran = CliRunner().invoke(main, [name, "--help"])
    assert ran.exit_code == 0
    assert f"sipsieve {name}" in ran.output.partition("Examples:")[2]
    assert "Exit codes: 0 " in ran.output
    assert "--json" in ran.output


def test_the_shell_completes_commands_and_options() -> None:
    script = CliRunner().invoke(main, ["completion", "bash"])
    assert "_SIPSIEVE_COMPLETE=bash_complete" in script.output
    sipsieve = str(ROOT / ".venv/bin/sipsieve")

    def complete(*words: str) -> str:
        environment = {
            "_SIPSIEVE_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(("sipsieve", *words)),
            "COMP_CWORD": str(len(words)), "PATH": "/usr/bin:/bin",
        }  # fmt: skip
        return subprocess.run([sipsieve], env=environment, capture_output=True, text=True, check=True).stdout

    assert "plain,status" in complete("sta")
    assert "plain,--decision" in complete("tail", "--d")
    assert "plain,reject" in complete("tail", "--decision", "re")
