"""Reads a TOML file of rules, exceptions or patches by the form that it must have."""

from __future__ import annotations

from pathlib import Path
from typing import Final, TypeVar

import msgspec

from ..config.explained import explain
from ..posix import state_file
from .rule import RuleError

#: Bytes of a file: the longest of the package has 60 KB.
_MOST: Final = 8 * 1024 * 1024

Form = TypeVar("Form", bound=msgspec.Struct)


def read(path: Path, form: type[Form]) -> Form:
    """The file's content. Raises `RuleError` with the file and the reason."""
    try:
        return msgspec.toml.decode(state_file.content(path, _MOST), type=form)
    except OSError as error:
        raise RuleError(f"{path}: cannot be read: {error.strerror}") from error
    except msgspec.ValidationError as error:
        raise RuleError(f"{path}: {explain(str(error), form)}") from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise RuleError(f"{path}: is not valid TOML: {error}") from error
