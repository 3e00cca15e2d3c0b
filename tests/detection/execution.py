"""Tells which texts do something when databases and shells run them, in a throw-away namespace without a network.

As a program it is that namespace's only process tree: it reads candidates as JSON Lines, and writes where each had an effect.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

#: What of the machine the namespace does not share.
_UNSHARE: Final = ("unshare", "--net", "--pid", "--ipc", "--uts", "--mount", "--fork", "--kill-child", "--mount-proc")


class Execution:
    """The running namespace: give it candidates, it says where they did something."""

    def __init__(self, databases: Sequence[str]) -> None:
        if os.geteuid() != 0:
            raise PermissionError("payloads are executed in a namespace of their own, which only root can make")
        self._process = subprocess.Popen(
            [*_UNSHARE, sys.executable, __file__, ",".join(databases)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def where(self, symbol: str, text: str) -> list[str]:
        """Engine and place of each effect, as `dash double`."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([symbol, text]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the namespace ended while it ran {text!r}, with {self._process.wait()}")
        found: list[str] = json.loads(line)
        return found

    def __enter__(self) -> Execution:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _run(lines: Iterable[str], names: list[str], folder: Path) -> Iterator[list[str]]:
    import databases
    import shells

    runner = shells.Shells(folder / "shells")
    with databases.engines(names, folder) as engines:
        for line in lines:
            symbol, text = json.loads(line)
            if symbol in shells.LINES:
                yield [
                    f"{shell} {symbol}"
                    for shell in shells.SHELLS
                    if any(runner.effective(shell, form.replace("?", text)) for form in shells.LINES[symbol])
                ]
                continue
            queries = databases.NUMBER if symbol == "number" else databases.STRING
            found = []
            quote = '"' if symbol == "string-double" else "'"
            for engine in engines:
                if quote == '"' and engine.name == "postgresql":  # a name there, not a text
                    continue
                for name, query in queries.items():
                    if databases.effective(engine, query, text, quote):
                        found.append(f"{engine.name} {name}")
                        break
            yield found


def main() -> None:
    folder = Path("/tmp/executed")
    # Whatever is imported must be before the file system changes.
    for module in ("databases", "shells", *(["psycopg2"] if "postgresql" in sys.argv[1] else [])):
        importlib.import_module(module)
    if "mariadb" in sys.argv[1]:
        importlib.import_module("pymysql.constants")
    for place in ("/tmp", "/var/tmp", "/dev/shm", "/run"):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512m,mode=1777", "tmpfs", place], check=True)
    folder.mkdir()
    for found in _run(sys.stdin, [name for name in sys.argv[1].split(",") if name], folder):
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
