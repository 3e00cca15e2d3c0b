"""Shells that run a command line with a value pasted into it, and tell whether the value did anything.

It did if a file was made, changed or removed, a secret was printed, or a program ran that stands in for another. Runs
inside the namespace that `execution.py` makes, as a user that owns nothing else, with limits on time, memory and files.
"""

from __future__ import annotations

import contextlib
import os
import resource
import secrets
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Final

from payloads import STOOD_IN_FOR

SHELLS: Final = ("dash", "bash")
#: Name → a command line with a place, `?`, for a text.
LINES: Final = {
    "unquoted": ("echo call from ?", "set_caller=?; export set_caller"),
    "double": ('echo "call from ?"',),
    "single": ("echo 'call from ?'",),
    "argument": ("sort ? </dev/null",),
    "find": ("find ?", "find . -newer / ?"),
    "tar": ("tar -cf /dev/null secret ?",),
    "sed": ("sed ? </dev/null",),
    "dd": ("dd ? </dev/null",),
    **{
        name: (f"v=$(cat <<'END OF TEXT'\n?\nEND OF TEXT\n); {line}",)
        for name, line in (
            ("sed-replace", 'echo NAME | sed "s/NAME/$v/"'),
            ("awk", 'awk "BEGIN { name = \\"$v\\"; print name }" </dev/null'),
            ("perl", 'perl -e "print qq($v)"'),
            ("python", "python3 -c \"print('$v')\""),
            ("xargs", 'printf "%s\\n" "$v" | xargs sort'),
        )
    },
}
_USER: Final = 64_123
_SECONDS: Final = 1.0


def _limit() -> None:
    for what, value in (
        (resource.RLIMIT_CPU, 1),
        (resource.RLIMIT_FSIZE, 1 << 20),
        (resource.RLIMIT_AS, 1 << 29),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_NPROC, 64),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (value, value))


class Shells:
    """Runs command lines in a folder that is made anew for each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._token = secrets.token_hex(8)
        self._stand_ins = folder / "stand-ins"
        self._stand_ins.mkdir(parents=True)
        self._ran = folder / "ran"
        self._ran.touch()
        self._ran.chmod(0o666)
        for name in STOOD_IN_FOR:
            program = self._stand_ins / name
            program.write_text(f"#!/bin/dash\necho {name} >>{self._ran}\n")
            program.chmod(0o755)

    def effective(self, shell: str, line: str) -> bool:
        """Whether a command line has an effect beside what it prints of itself."""
        home = self._folder / "home"
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        secret = home / "secret"
        secret.write_text(f"{self._token}\n")
        os.utime(secret, (0, 0))
        for path in (home, secret):
            os.chown(path, _USER, _USER)
        home.chmod(0o700)
        before = self._look(home)
        ran = self._ran.stat().st_size
        process = subprocess.Popen(
            [f"/bin/{shell}", "-c", line],
            cwd=home,
            env={"PATH": f"{self._stand_ins}:/usr/bin:/bin", "HOME": str(home), "SHELL": f"/bin/{shell}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            user=_USER,
            group=_USER,
            extra_groups=[],
            start_new_session=True,
            preexec_fn=_limit,
        )
        try:
            output, _ = process.communicate(timeout=_SECONDS)
        except subprocess.TimeoutExpired as expired:
            output = expired.stdout or b""
        finally:
            _end_all()
            process.wait()
            _reap()
            if process.stdout:
                process.stdout.close()
        return (
            self._look(home) != before
            or self._ran.stat().st_size != ran
            or self._token.encode() in output.replace(b" ", b"")
        )

    @staticmethod
    def _look(home: Path) -> list[tuple[str, int, int, float]]:
        return sorted((p.name, *_facts(p.lstat())) for p in home.iterdir())


def _facts(status: os.stat_result) -> tuple[int, int, float]:
    return status.st_mode, status.st_size, status.st_mtime


def _end_all() -> None:
    """Ends what a line left running: all of the namespace's processes of that user."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if entry.stat().st_uid == _USER:
                    os.kill(int(entry.name), signal.SIGKILL)
            except (FileNotFoundError, ProcessLookupError):
                pass


def _reap() -> None:
    """Takes leave of those whose parents are gone: they count against the limit on processes until then."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
