"""Counts of messages that get no record of their own, as they are handed from the core's tables to summary records."""

from __future__ import annotations

from .._core import OVERFLOW, SLOTS, Entry, Ledger

__all__ = ["OVERFLOW", "SLOTS", "Entry", "Ledger"]
