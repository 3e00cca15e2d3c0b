"""Modules that are imported when something of theirs is first asked for: what takes long to import need not be there for all."""

from __future__ import annotations

import importlib
from typing import Any


class _Later:
    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self._name), name)


def later(name: str) -> Any:
    """Stands for the module of that name."""
    return _Later(name)
