"""Tables for a person to read, in which hostile text is harmless."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TextIO

from rich.cells import cell_len

from sipsieve_analysis.operate.harmless import harmless

_COLOURS: Final = {"reject": "31", "drop": "31", "scrub": "33", "allow": "32", "error": "35"}

#: Widths of time, source, method, decision, answer; the rest of the line is the reason.
_ROW: Final = "{:<12} {:<21} {:<12} {:<7} {:<4} {}"

WIDTH: Final = 118


class Decisions:
    """Prints decisions as they fall. Like ones that follow each other are one row and a count; so are all
    messages of one source that were simply allowed, or dropped unread while it was banned."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self.out = out
        self._colour = out.isatty()
        self._last: tuple[str, ...] = ()
        self._more = 0
        self._quiet: dict[tuple[str, str], int] = {}

    def heading(self) -> None:
        """The column names."""
        self._line(_ROW.format("time", "source", "method", "guard", "code", "why"))
        self._line("─" * WIDTH)

    def title(self, text: str) -> None:
        """A scenario begins."""
        self.flush()
        self._line("")
        self._line(f"── {harmless(text)} ".ljust(WIDTH, "─"))

    def record(self, record: Mapping[str, Any]) -> None:
        """One record of the decision log."""
        event, sip, source = record.get("event", {}), record.get("sip", {}), record.get("source", {})
        ours = record.get("sipsieve", {})
        if event.get("kind") == "state":
            return
        action, ip = str(event.get("action", "")), str(source.get("ip", ""))
        method = str(sip.get("method", ""))
        rules = ", ".join(record.get("rule", {}).get("id", []))
        quiet = event.get("kind") == "metric" or (action == "allow" and not rules and not record.get("ban"))
        count = int(event.get("count", 1))
        if quiet and (ip, action) in self._quiet:
            self._quiet[ip, action] += count
            return
        if not quiet:
            key = (ip, action, rules, method, "ban" if record.get("ban") else "")
            if key == self._last:
                self._more += 1
                return
            self._say_more()
            self._last = key
        else:
            self._say_more()
            self._quiet[ip, action] = 0
        if sip.get("type") == "response":
            method = f"{sip.get('code', '')} {method}"
        where = f"{ip}:{source['port']}" if source.get("port") else ip
        status = str(ours.get("answer", "")) if action == "reject" else ""
        why = rules
        if event.get("kind") == "metric":
            why = f"{count} dropped unread" if action == "banned" else f"{count} messages"
        if ours.get("excerpt"):
            why += f" in {ours.get('field', '')}: {ours['excerpt']}"
        if record.get("ban"):
            why = f"BANNED {record['ban'].get('source')} for {record['ban'].get('seconds')} s; {why}"
        row = _ROW.format(
            str(record.get("@timestamp", ""))[11:23], harmless(where, 21), harmless(method, 12), harmless(action, 7), status,
            harmless(why, WIDTH - 61),
        ).rstrip()  # fmt: skip
        self._line(row, _COLOURS.get(action, ""))

    def flush(self) -> None:
        """Says what followed the rows that stand for many."""
        self._say_more()
        for (ip, action), count in self._quiet.items():
            if count:
                self._line(
                    f"{'':<12} {harmless(ip, 21):<21} … and {count} more {'dropped unread' if action == 'banned' else 'allowed'}"
                )
        self._quiet.clear()

    def _say_more(self) -> None:
        if self._more:
            self._line(f"{'':<12} {'':<21} … and {self._more} more like it")
        self._more = 0
        self._last = ()

    def _line(self, text: str, colour: str = "") -> None:
        print(f"\x1b[{colour}m{text}\x1b[0m" if self._colour and colour else text, file=self.out, flush=True)


class Follower:
    """Hands records of a growing decision log on as they fall, until stopped."""

    def __init__(self, read: Callable[[], Sequence[Mapping[str, Any]]], show: Decisions) -> None:
        self._read = read
        self._show = show
        self._shown = 0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Follower:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        self._thread.join()
        self.catch_up()

    def catch_up(self) -> None:
        """Shows what has fallen since the last look."""
        with self._lock:
            records = self._read()
            for record in records[self._shown :]:
                self._show.record(record)
            self._shown = len(records)

    def _run(self) -> None:
        while not self._ended.wait(0.1):
            self.catch_up()


def table(heading: Sequence[str], rows: Sequence[Sequence[str]], widest: int = 44) -> str:
    """A plain table; cells are made harmless and cut at `widest`."""
    cells = [[harmless(cell, widest) for cell in row] for row in (heading, *rows)]
    widths = [max(cell_len(row[column]) for row in cells) for column in range(len(heading))]

    def line(row: Sequence[str]) -> str:
        return "  ".join(
            cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()

    rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join([line(cells[0]), rule, *map(line, cells[1:])])
