"""Appends lines to the decision log: never blocks, never raises, counts what it could not write."""

from __future__ import annotations

from .._core import Journal

__all__ = ["Journal"]
