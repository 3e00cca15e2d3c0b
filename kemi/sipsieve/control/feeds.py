"""Keeps lists from outside fresh: when each is fetched, which copy is in force, and what went wrong."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from .. import _core
from ..config.lists import Feed, Feeds
from ..config.policy import Policy
from ..model import Notice
from ..posix import kept_text, state_file
from . import feed_fetch

#: Seconds after which a list that could not be fetched is tried again, where its own time is longer.
_RETRY: Final = 300

#: Bytes that an entry has in a kept copy, more than the longest.
_ENTRY: Final = 100

_Begin = Callable[[Callable[[], str], int], tuple[int, int]]


@dataclass(slots=True)
class _State:
    """What is known of one list."""

    feed: Feed
    due: float = 0.0
    error: str = ""
    errors: int = 0
    #: When the copy in force was fetched, in seconds since the epoch; 0: there is none.
    fetched: float = 0.0
    entries: int = 0
    left_out: int = 0


class Feeder:
    """Runs in the process that operators talk to; messages are never waited for, nor made to wait."""

    def __init__(self, table: _core.Feeds | None, notice: Notice, begin: _Begin = feed_fetch.begin) -> None:
        """`table` as it was made at start, None where the policy named no list then."""
        self._table = table
        self._notice = notice
        self._begin = begin
        self._states: dict[str, _State] = {}
        self._known: tuple[tuple[Feed, ...], Feeds] = ((), Feeds())
        self._child: tuple[str, int, int, str] | None = None
        self._publish_at = 0.0

    def round(self, policy: Policy, now: float) -> None:
        """One look: takes what was fetched, begins what is due. `now` in seconds since the epoch."""
        if self._table is None:
            return
        if (policy.feed, policy.feeds) != self._known:
            self._known = (policy.feed, policy.feeds)
            before = self._states
            self._states = {
                feed.name: before[feed.name] if feed.name in before and before[feed.name].feed == feed else _State(feed)
                for feed in policy.feed
            }
            self._publish(now)
        self._collect(now)
        if self._publish_at and now >= self._publish_at:
            self._publish(now)
        if self._child is None:
            self._start(now)

    def refresh(self, name: str = "") -> bool:
        """Has one list, or all of them, fetched at once; False where there is none of that name."""
        wanted = [state for state in self._states.values() if name in ("", state.feed.name)]
        for state in wanted:
            state.due = 0.0
        return bool(wanted)

    def find(self, ip: str) -> dict[str, str] | None:
        """The list that an address stands on."""
        found = None if self._table is None else self._table.find(ip)
        return None if found is None else dict(zip(("feed", "entry", "action"), found, strict=True))

    def status(self, policy: Policy, now: float) -> dict[str, Any]:
        """What operators are told; ages in seconds, None for a list that was never fetched."""
        rows = [
            {
                "name": state.feed.name,
                "action": state.feed.action,
                "format": state.feed.format,
                "entries": state.entries,
                "left_out": state.left_out,
                "age": round(now - state.fetched, 1) if state.fetched else None,
                "next": max(0.0, round(state.due - now, 1)),
                "fetching": self._child is not None and self._child[0] == state.feed.name,
                "errors": state.errors,
                "error": state.error,
            }
            for state in self._states.values()
        ]
        note = "named since the start: restart Kamailio, which makes room for them" if policy.feed and not rows else ""
        return {"feeds": rows, "note": note}

    def _start(self, now: float) -> None:
        due = [state for state in self._states.values() if state.due <= now]
        if not due:
            return
        state = min(due, key=lambda state: state.due)
        feed, bounds = state.feed, self._known[1]
        state.due = now + feed.refresh_seconds
        try:
            child, answer = self._begin(lambda: feed_fetch.refreshed(feed, bounds, now), bounds.timeout_seconds)
        except OSError as error:
            self._ended(state, f"no process could be started for it: {error.strerror}", now)
            return
        self._child = (feed.name, child, answer, "")

    def _collect(self, now: float) -> None:
        if self._child is None:
            return
        name, child, answer, said = self._child
        try:
            piece = os.read(answer, 4096)
        except BlockingIOError:
            return
        if piece:
            self._child = (name, child, answer, said + piece.decode("utf-8", "replace"))
            return
        os.close(answer)
        self._child = None
        with contextlib.suppress(ChildProcessError):
            os.waitpid(child, 0)
        state = self._states.get(name)
        if state is not None:
            limit = f"fetching it was ended: it took more than feeds.timeout_seconds, {self._known[1].timeout_seconds}"
            self._ended(state, limit if not said else said.strip("\0"), now)

    def _ended(self, state: _State, error: str, now: float) -> None:
        if error:
            state.errors += 1
            state.due = min(state.due, now + _RETRY)
            # Said once, however often it fails in the same way.
            if error != state.error:
                self._say(f"{state.feed.name}: {error}; the last good copy is used", now)
        elif state.error:
            self._say(f"{state.feed.name}: fetched again", now)
        state.error = error
        if not error:
            self._publish(now)

    def _say(self, text: str, now: float) -> None:
        self._notice("feed", now, {"reason": text[:500]})

    def _publish(self, now: float) -> None:
        """Puts the kept copies in force that have not expired, all of them at once."""
        assert self._table is not None
        bounds = self._known[1]
        texts = [self._copy(state, bounds, now) for state in self._states.values()]
        given = [
            (state.feed.name, state.feed.action, state.feed.private, text)
            for state, text in zip(self._states.values(), texts, strict=True)
        ]
        try:
            reports = self._table.publish(given, int(now))
        except ValueError as error:
            self._publish_at = 0.0
            self._say(f"{error}; what was in force stays", now)
            return
        ends = []
        for state, report in zip(self._states.values(), reports, strict=True):
            entries, invalid, _, private, wide, expired, next_expiry, _ = report
            state.entries, state.left_out = entries, invalid + private + wide + expired
            if next_expiry:
                ends.append(max(float(next_expiry), now + 1))
            if state.fetched:
                ends.append(state.fetched + state.feed.expire_seconds)
        self._publish_at = min(ends, default=0.0)

    def _copy(self, state: _State, bounds: Feeds, now: float) -> str:
        path = bounds.place(state.feed)
        try:
            text, state.fetched = kept_text.kept(path, bounds.capacity * _ENTRY)
        except FileNotFoundError:
            state.fetched = 0.0
            return ""
        except (OSError, ValueError) as error:
            self._say(f"{state.feed.name}: its kept copy can't be used: {error}{state_file.set_aside(path)}", now)
            state.fetched = 0.0
            return ""
        if now - state.fetched >= state.feed.expire_seconds:
            state.fetched = 0.0
            return ""
        return text
