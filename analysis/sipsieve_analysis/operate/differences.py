"""What scrubbing changes in a message, line by line."""

from __future__ import annotations

import difflib

from .harmless import harmless_bytes


def differences(before: bytes, after: bytes) -> list[str]:
    """A unified diff of two messages without its heading; lines are harmless to a terminal."""
    one, other = (
        [harmless_bytes(line) for line in text.replace(b"\r\n", b"\n").split(b"\n")] for text in (before, after)
    )
    return [line for line in difflib.unified_diff(one, other, lineterm="", n=1) if not line.startswith(("---", "+++"))]
