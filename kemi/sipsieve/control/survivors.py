"""What outlives a restart: bans and standing, taken back at start; standing is kept from here while the server runs."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from ..abuse import bans, earned_standing
from ..abuse.ban_table import BanTable
from ..abuse.shared_counters import SharedCounters
from ..config.policy import Policy
from ..posix import kept_text, ownership, state_file


class Survivors:
    """The files of bans and standing: where the policy in force, or the environment, says that they are."""

    def __init__(
        self,
        ban_table: BanTable,
        standing: earned_standing.StandingTable,
        policy: Callable[[], Policy],
        counters: Callable[[], SharedCounters],
        warn: Callable[[str], object],
    ) -> None:
        """`policy` and `counters` give those in force; `warn` writes a line to syslog."""
        self._ban_table = ban_table
        self._standing = standing
        self._policy = policy
        self._counters = counters
        self._warn = warn
        #: Whether it was said that standing can't be kept.
        self._unkept = False

    def restore(self, now: float, steady: float) -> None:
        """What was kept before the server stopped; `now` and `steady` in seconds, by the wall clock and by the one that never jumps.

        Where a file is damaged it is set aside, and a warning says so.
        """
        path = os.environ.get("SIPSIEVE_STATE") or self._policy().bans.state
        self._take(path, "bans", lambda path: self._restore_bans(path, now))
        self._take(self._standing_path, "standing", lambda path: self._restore_standing(path, now, steady))

    def keep_standing(self, text: str) -> None:
        """Writes it to its file; where it can't be written, one warning says so."""
        path = self._standing_path
        try:
            if not os.path.isdir(os.path.dirname(path) or "."):
                raise FileNotFoundError(errno.ENOENT, "no such folder")
            kept_text.keep(path, text)
        except OSError as error:
            if not self._unkept:
                self._warn(
                    f"{path}: standing can't be kept: {error.strerror}; it does not survive a restart. Make its "
                    "folder writable for Kamailio's user, or set SIPSIEVE_STANDING."
                )
            self._unkept = True

    @property
    def _standing_path(self) -> str:
        return os.environ.get("SIPSIEVE_STANDING") or self._policy().standing.state

    def _take(self, path: str, what: str, take: Callable[[str], None]) -> None:
        try:
            # With the rights of who may write there: a link that a worker planted leads root nowhere.
            with ownership.owner_of(os.path.dirname(path) or "."):
                take(path)
        except FileNotFoundError:
            return
        except (OSError, ValueError, RecursionError) as error:
            with ownership.owner_of(os.path.dirname(path) or "."):
                aside = state_file.set_aside(path)
            self._warn(f"{path}: {what} could not be restored ({error}); starting without{aside}")

    def _restore_bans(self, path: str, now: float) -> None:
        """What `sipsieve bans keep` wrote."""
        text = state_file.taken(path, bans.MAX_STATE)
        for entry in self._ban_table.restore(text, now, self._policy().bans.capacity):
            self._counters().remember_offence(entry.key, entry.scope, entry.offences)

    def _restore_standing(self, path: str, now: float, steady: float) -> None:
        text, _ = kept_text.kept(path, earned_standing.MAX_STATE)
        self._standing.restore(text, now, steady, self._policy())
