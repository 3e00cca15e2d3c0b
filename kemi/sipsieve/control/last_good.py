"""Keeps the policy and rules that a server last ran on, and takes them up where the new ones are broken."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from ..config import policy
from ..detection import ruleset
from ..posix import state_file

#: Bytes that the file may have: policy and rules have 100 KB.
_MOST: Final = 8 * 1024 * 1024

_FORMAT: Final = 1

#: The environment's name of the file, and where it is without.
FILE: Final = "SIPSIEVE_LAST_GOOD"
DEFAULT: Final = "/var/lib/sipsieve/last-good.json"

#: With 1, a broken policy or rule stops the start.
STRICT: Final = "SIPSIEVE_STRICT"


class _Content(Struct, frozen=True, forbid_unknown_fields=True):
    policy: str
    #: Texts of the package's rule files, of the operator's own, and of both's exceptions.
    rules: list[str]
    own: list[str]
    exceptions: list[str]


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    format: int
    sha256: str
    content: str


class Loaded(NamedTuple):
    """Policy and rules to run on; `broken` says what is wrong with the new ones, where these are the last good ones."""

    policy: policy.Policy
    rules: ruleset.Ruleset
    broken: str = ""


def load(path: str) -> Loaded:
    """Policy and rules as they are written now. Raises `PolicyError` and `RuleError`."""
    loaded = policy.load(path)
    detection = loaded.detection
    return Loaded(
        loaded, ruleset.load(own=detection.rules, exceptions=detection.exceptions, products=detection.products)
    )


def start(path: str, kept: str, strict: bool, say: Callable[[str], object]) -> Loaded:
    """Policy and rules to start with: the new ones, else the last good ones of the file `kept`, unless `strict`.

    Raises what `load` does where there are no last good ones. `say` is told what an operator must know.
    """
    try:
        loaded = load(path)
    except (policy.PolicyError, ruleset.RuleError) as error:
        before = None if strict else _restored(kept, say)
        if before is None:
            raise
        return before._replace(broken=str(error))
    if problem := keep(path, loaded.policy, kept):
        say(
            f"{kept}: can't be written: {problem}. A broken policy has no last good one to fall back to: name a place in {FILE}"
        )
    return loaded


def keep(path: str, loaded: policy.Policy, kept: str) -> str:
    """Writes down what was just loaded, replaced in one step, unless it stands there already; says why it can't be kept, else ""."""

    def text(name: str | Path) -> str:
        return state_file.content(name, _MOST).decode()

    try:
        content = msgspec.json.encode(
            _Content(
                text(path),
                [text(file) for file in sorted(ruleset.RULES_FOLDER.glob("*.toml"))],
                [text(name) for name in loaded.detection.rules],
                [text(file) for file in (ruleset.EXCEPTIONS, *ruleset.pack_files(loaded.detection.products))]
                + [text(name) for name in loaded.detection.exceptions],
            )
        ).decode()
        whole = msgspec.json.encode(_File(_FORMAT, hashlib.sha256(content.encode()).hexdigest(), content))
        with suppress(OSError):
            if state_file.content(kept, _MOST) == whole:
                return ""
        descriptor, new = tempfile.mkstemp(prefix=".last-good-", dir=os.path.dirname(kept))
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(whole)
                file.flush()
                os.fsync(file.fileno())
            os.replace(new, kept)
        except BaseException:
            os.unlink(new)
            raise
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
    return ""


def _restored(kept: str, say: Callable[[str], object]) -> Loaded | None:
    try:
        # What another user wrote is not believed: root does not load what a worker may have left.
        descriptor = os.open(kept, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid() or about.st_mode & 0o022:
                say(f"{kept}: not used: it is not this user's own file")
                return None
            outer = msgspec.json.decode(file.read(_MOST), type=_File)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, ValueError) as error:
        say(f"{kept}: not used: {error}")
        return None
    try:
        if outer.format != _FORMAT or hashlib.sha256(outer.content.encode()).hexdigest() != outer.sha256:
            raise ValueError("its checksum is wrong")
        content = msgspec.json.decode(outer.content, type=_Content)
        return _built(content, kept)
    except (msgspec.MsgspecError, ValueError, OSError) as error:
        say(f"{kept}: damaged{state_file.set_aside(kept)}: {error}")
        return None


def _built(content: _Content, name: str) -> Loaded:
    with tempfile.TemporaryDirectory(prefix="sipsieve-") as folder:

        def written(part: str, texts: list[str]) -> list[str]:
            place = Path(folder, part)
            place.mkdir()
            files = [place / f"{number:04}.toml" for number in range(len(texts))]
            for file, text in zip(files, texts, strict=True):
                file.write_text(text)
            return [str(file) for file in files]

        written("rules", content.rules)
        own, exceptions = written("own", content.own), written("exceptions", content.exceptions)
        return Loaded(policy.loads(content.policy, name), ruleset.load(Path(folder, "rules"), own, exceptions))
