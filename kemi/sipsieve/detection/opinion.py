"""The second opinion on free text as it is shipped: its weights, which the core evaluates."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Final

from .._core import Model
from .rule import RuleError

#: The family and rule of its findings.
FAMILY: Final = "model"
RULE: Final = "second-opinion"
FOLDER: Final = Path(__file__).with_name("model")

_MEND: Final = 'Install the package anew, or set detection.model = "off" in the policy'


@functools.cache
def load(folder: Path = FOLDER) -> Model:
    """The model, read once. Raises `RuleError`."""
    path = folder / "weights.bin"
    try:
        return Model(path.read_bytes())
    except OSError as error:
        raise RuleError(f"{path}: cannot be read: {error.strerror}. {_MEND}") from error
    except ValueError as error:
        raise RuleError(f"{path}: {error}. {_MEND}") from None


@functools.cache
def version(folder: Path = FOLDER) -> str:
    """Twelve hex digits of the weights' digest. Raises `OSError`."""
    return hashlib.sha256((folder / "weights.bin").read_bytes()).hexdigest()[:12]
