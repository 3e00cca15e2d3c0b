"""Shows on standard error how far reading is, where that is a terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..operate.harmless import harmless

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


def bar(stack: contextlib.ExitStack, quiet: bool) -> Progress | None:
    """A bar for the life of `stack`; None where it is not wanted or nobody would see it."""
    if quiet:
        return None
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        return None
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    return stack.enter_context(Progress(*columns, console=console, transient=True))


def watch(shown: Progress | None) -> Callable[[str, int, int], None]:
    """What a reader calls with a file's name, the bytes done, and the bytes in all."""
    tasks: dict[str, TaskID] = {}

    def told(name: str, done: int, total: int) -> None:
        if shown is None:
            return
        from rich.markup import escape

        if name not in tasks:
            tasks[name] = shown.add_task(escape(harmless(name, 40)), total=max(total, 1))
        shown.update(tasks[name], completed=done)

    return told
