"""Where an archive is: a folder or an S3-compatible store, its files written whole or not at all."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import pyarrow as pa
from pyarrow import fs

from .names import is_remote

#: Version of the columns and of the manifests. A reader refuses what is newer than itself.
SCHEMA: Final = 1

#: What a file is called until it is whole.
_UNFINISHED: Final = ".unfinished-"


class ArchiveError(Exception):
    """An archive that can't be used: says where, what is wrong, and what to do."""


def _holds_keys(address: str) -> bool:
    """Whether a store's address, behind its scheme, has keys in it: `KEY@BUCKET`, `KEY:SECRET@BUCKET`, of which a secret may hold
    strokes, or as parameters."""
    where, _, parameters = address.partition("?")
    bucket = where.partition("/")[0]
    named = parameters.lower().replace("-", "_")
    return (
        "@" in bucket
        or "@" in where.partition(":")[2]
        or any(key in named for key in ("access_key", "secret", "token"))
    )


class Place:
    """One archive's files, by their names relative to it."""

    def __init__(self, name: str | Path) -> None:
        """A folder's path, or `s3://BUCKET/PREFIX?region=…&endpoint_override=HOST:PORT&scheme=http`; keys come from
        the environment as other S3 clients read them. Raises `ArchiveError`."""
        self.name = str(name)
        self._local: Path | None = None
        if is_remote(name):
            # A path loses one of the two strokes.
            self.name = "s3://" + self.name.removeprefix("s3:").lstrip("/")
            if _holds_keys(self.name.removeprefix("s3://")):
                raise ArchiveError(
                    "an address of a store holds no keys, which lists of processes, reports and logs would show: give them as "
                    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment"
                )
            try:
                self.filesystem, self._root = fs.FileSystem.from_uri(self.name)
            except (OSError, pa.ArrowInvalid) as error:
                raise ArchiveError(f"{self.name}: {error}") from error
        else:
            self._local = Path(name).absolute()
            self.filesystem, self._root = fs.LocalFileSystem(), str(self._local)

    @property
    def local(self) -> Path | None:
        """The folder, `None` in a store."""
        return self._local

    def at(self, name: str) -> str:
        """The name that the file system knows a file by."""
        return f"{self._root}/{name}"

    def url(self, name: str) -> str:
        """What another program finds a file by."""
        return self.at(name) if self._local else f"s3a://{self.at(name)}"

    def names(self, folder: str) -> list[str]:
        """The files below a folder, relative to the archive, sorted. Raises `ArchiveError`."""
        try:
            found = self.filesystem.get_file_info(
                fs.FileSelector(self.at(folder), recursive=True, allow_not_found=True)
            )
        except OSError as error:
            raise self.wrong(folder, error) from error
        skip = len(self._root) + 1
        return sorted(item.path[skip:] for item in found if item.type == fs.FileType.File)

    def read_json(self, name: str) -> dict[str, Any] | None:
        """A file of JSON, `None` where there is none. Raises `ArchiveError`."""
        try:
            if self.filesystem.get_file_info(self.at(name)).type != fs.FileType.File:
                return None
            with self.filesystem.open_input_stream(self.at(name)) as stream:
                found = json.loads(stream.read())
        except OSError as error:
            raise self.wrong(name, error) from error
        except ValueError as error:
            raise ArchiveError(f"{self.name}/{name}: is damaged: {error}; restore it from a copy") from error
        if not isinstance(found, dict):
            raise ArchiveError(f"{self.name}/{name}: is damaged: no object; restore it from a copy")
        return found

    def write_json(self, name: str, value: dict[str, Any]) -> None:
        """Puts an object there, whole or not at all. Raises `ArchiveError`."""
        with self.written(name) as stream:
            stream.write(json.dumps(value, indent=1, sort_keys=True).encode() + b"\n")

    @contextmanager
    def written(self, name: str) -> Iterator[Any]:
        """A stream of bytes into a file that is there only once all is written and on the disk. Raises `ArchiveError`.

        A store shows an object once its upload is complete; in a folder another name stands in until then.
        """
        try:
            if self._local is None:
                with self.filesystem.open_output_stream(self.at(name)) as stream:
                    yield stream
                return
            path = self._local / name
            path.parent.mkdir(parents=True, exist_ok=True)
            near = path.parent / f"{_UNFINISHED}{os.getpid()}-{path.name}"
            try:
                with near.open("wb") as file:
                    yield file
                    _sync(file)
                near.rename(path)
            finally:
                near.unlink(missing_ok=True)
            _sync_folder(path.parent)
        except OSError as error:
            raise self.wrong(name, error) from error

    def delete(self, name: str) -> None:
        """Takes a file away; one that is gone is no error. Raises `ArchiveError`."""
        try:
            self.filesystem.delete_file(self.at(name))
        except FileNotFoundError:
            return
        except OSError as error:
            raise self.wrong(name, error) from error

    def wrong(self, name: str, error: OSError) -> ArchiveError:
        """What to say of a file that can't be reached."""
        hint = "; see that the bucket is there, and AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment"
        said = str(error).split("\n", 1)[0] if self._local is None else error.strerror or str(error)
        return ArchiveError(f"{self.name}/{name}: {said}" + (hint if self._local is None else ""))

    @contextmanager
    def held(self, edge: str) -> Iterator[None]:
        """In this, nobody else on this machine writes what is of that edge. Raises `ArchiveError`."""
        if self._local is None:
            yield
            return
        try:
            self._local.mkdir(parents=True, exist_ok=True)
            lock = os.open(self._local / f".lock-{edge}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise self.wrong("", error) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise ArchiveError(f"{self.name}: another run writes for the edge {edge}; wait for its end") from error
        finally:
            os.close(lock)


def is_unfinished(name: str) -> bool:
    """Whether a file is what a crash left."""
    return name.rpartition("/")[2].startswith(_UNFINISHED)


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
