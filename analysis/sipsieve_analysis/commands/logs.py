"""`sipsieve logs`: the decision log in other words, for those who collect logs."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Final

import click
import msgspec

from ..operate import ecs, eve
from ..operate.decisions import Reader, Record
from ..operate.harmless import harmless
from ..operate.keeping import replace, until_signal

_LOOK_EVERY: Final = 0.5

_FORMS: Final[dict[str, Callable[[Record], Record]]] = {"ecs": ecs.to_ecs, "eve": eve.to_eve, "decisions": ecs.from_ecs}

_EPILOG = """
\b
Examples:
  sipsieve logs convert --to ecs decisions.jsonl decisions.jsonl.1.gz > ecs.jsonl
  sipsieve logs convert --to ecs --follow --output /var/log/sipsieve/ecs.jsonl --state /var/lib/sipsieve/ecs.position decisions.jsonl
  sipsieve logs convert --to decisions ecs.jsonl > decisions.jsonl

Exit codes: 0 done, 1 lines were left out or a file can't be read or written, 2 the call was wrong, 130 interrupted.
"""


@click.group()
def command() -> None:
    """Bring the decision log to those who collect logs: Elastic, Splunk, Loki, Wazuh (docs/collectors.md)."""


@command.command(epilog=_EPILOG)
@click.argument("logs", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--to", "form", type=click.Choice(list(_FORMS)), default="ecs", show_default=True,
    help="ecs: Elastic Common Schema 8.11 with Packetbeat's sip.*; eve: as Suricata writes alerts; decisions: back from ecs.",
)  # fmt: skip
@click.option("--output", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="Append to FILE.")
@click.option("--follow", is_flag=True, help="Go on as the (one) log grows, through rotation.")
@click.option(
    "--state", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help="With --follow: keep the position here, and go on there.",
)  # fmt: skip
def convert(logs: tuple[Path, ...], form: str, output: Path | None, follow: bool, state: Path | None) -> None:
    """Write LOGS in another form, a record a line. `.gz` files are read, too."""
    if follow and (len(logs) != 1 or logs[0].suffix == ".gz"):
        raise click.UsageError("--follow: takes one log that grows")
    if state is not None and not (follow and output is not None):
        raise click.UsageError("--state: belongs to --follow and --output")
    reader, left = Reader(), 0
    change = _FORMS[form]
    try:
        with _opened(output) as out:
            if follow:
                left = _followed(logs[0], change, out, state, reader)
            else:
                for record in reader.read(logs):
                    left += not _write(out, change, record)
    except BrokenPipeError:
        # Who read has read enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    except (OSError, EOFError) as error:
        name = getattr(error, "filename", None)
        if name is None:
            raise click.ClickException(f"a log can't be read to its end: {error}") from error
        done = "written" if Path(name) in (output, state) else "read"
        raise click.ClickException(
            f"{harmless(str(name))}: can't be {done}: {getattr(error, 'strerror', error)}"
        ) from error
    if left + reader.bad:
        click.echo(
            f"{left + reader.bad} of {reader.lines} lines left out: no records of the form that is read", err=True
        )
        raise SystemExit(1)


class _Appended:
    """A file under its name: what rotation has moved away is left to it, and the name is opened anew."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = self._open()

    def _open(self) -> IO[bytes]:
        file = self._path.open("ab")
        os.fchmod(file.fileno(), 0o640)
        return file

    def write(self, data: bytes) -> None:
        self._file.write(data)

    def flush(self) -> None:
        self._file.flush()

    def sync(self) -> None:
        """Has the lines on disk, where the file can say so: a pipe can't."""
        self._file.flush()
        with contextlib.suppress(OSError):
            os.fsync(self._file.fileno())

    def stand(self) -> None:
        """Opens the name anew where another file, or none, stands there."""
        here = os.fstat(self._file.fileno())
        with contextlib.suppress(FileNotFoundError):
            there = self._path.stat()
            if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino):
                return
        self.close()
        self._file = self._open()

    def close(self) -> None:
        self._file.close()


@contextlib.contextmanager
def _opened(output: Path | None) -> Iterator[IO[bytes] | _Appended]:
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with contextlib.closing(_Appended(output)) as file:
        yield file


def _write(out: IO[bytes] | _Appended, change: Callable[[Record], Record], record: Record) -> bool:
    try:
        made = change(record)
    except (ValueError, KeyError, TypeError, AttributeError):
        return False
    # ASCII, as the log itself.
    out.write(json.dumps(made, separators=(",", ":")).encode() + b"\n")
    return True


def _followed(
    log: Path, change: Callable[[Record], Record], out: IO[bytes] | _Appended, state: Path | None, reader: Reader
) -> int:
    from ..watch.follow import Follower, Position

    at = Position()
    if state is not None and state.exists():
        try:
            at = msgspec.json.decode(state.read_bytes(), type=Position)
        except (msgspec.DecodeError, OSError) as error:
            raise click.UsageError(f"--state {state}: holds no position: {error}; remove it to begin anew") from error
    follower = Follower(log, at)
    left = 0
    with until_signal() as stop:
        while True:
            if isinstance(out, _Appended):
                out.stand()
            for chunk in follower.read():
                for line in chunk.data.splitlines():
                    if line.strip() and (record := reader.decode(line)) is not None:
                        left += not _write(out, change, record)
                out.flush()
                if state is not None and isinstance(out, _Appended):
                    # Written after the lines are on disk: after a crash some may come twice, none is lost.
                    out.sync()
                    replace(state, _text(chunk.position), 0o640)
            if stop.wait(_LOOK_EVERY):
                return left


def _text(position: Any) -> str:
    return msgspec.json.encode(position).decode()
