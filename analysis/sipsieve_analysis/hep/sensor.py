"""Decides on messages that servers report, writes the decision log, and says who is to be shut out."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from sipsieve import model
from sipsieve._core import Capture, Journal, Replay
from sipsieve.abuse.ban_table import Access, BanTable
from sipsieve.abuse.bans import Entry, entry
from sipsieve.config.policy import Policy
from sipsieve.control import geo_files
from sipsieve.decision import revision
from sipsieve.decision_log import privacy
from sipsieve.decision_log.record import recorder_of
from sipsieve.detection import ruleset
from sipsieve.model import Scope

from . import frames

#: Kinds of what was not taken, as counted in `Sensor.skipped`.
NOT_HEP: Final = "datagrams that are no HEP3"
NO_KEY: Final = "HEP packets without the key"


class Sensor:
    """One process's engine behind a stream of HEP packets. Nothing is carried out here: bans are for who reads them."""

    def __init__(
        self,
        policy: Policy,
        log: Path,
        servers: Sequence[str],
        key: bytes = b"",
        threads: int = 1,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`servers`: the watched servers' addresses, never banned, whose own messages are left out. `key`: what packets
        must carry, b"" for nothing. Raises `PolicyError`, `RuleError`."""
        rules = ruleset.load(
            own=policy.detection.rules, exceptions=policy.detection.exceptions, products=policy.detection.products
        )
        built = revision.build(1, policy, rules, geo=geo_files.offline(policy.geo))
        mask = privacy.mask_of(policy.privacy, built.mask_key)
        # What a server lets pass is its own affair: the records say what would have been done.
        self._recorder = recorder_of(rules.version, policy, "observe", mask)
        identity = f"hep-{secrets.token_hex(4)}-"
        live = (identity, list(servers), policy.bans.forget_seconds)
        self._replay = Replay(built.engine.judge, self._recorder.core, threads, live)
        self._capture = Capture()
        self._journal = Journal(str(log))
        self._journal.mend()
        self._key = key
        self._clock = clock
        self._servers = frozenset(servers)
        self._networks = built.networks
        self._capacity = policy.bans.capacity
        self._banned: dict[str, str] = {}
        access = Access(lambda: self._banned, self._put, self._banned.pop)
        self._table = BanTable(access, self._is_never_banned, self._notice)
        #: Messages taken so far, and what was not, by kind.
        self.messages = 0
        self.skipped: Counter[str] = Counter()

    def take(self, packets: Sequence[bytes]) -> None:
        """Decides on the messages of whole HEP packets, in their order. Never raises on what they hold."""
        taken = [packet for packet in packets if frames.is_packet(packet)]
        if len(taken) < len(packets):
            self.skipped[NOT_HEP] += len(packets) - len(taken)
        if self._key:
            known = [packet for packet in taken if frames.has_key(packet, self._key)]
            if len(known) < len(taken):
                self.skipped[NO_KEY] += len(taken) - len(known)
            taken = known
        if not taken:
            return
        messages = self._capture.feed(b"".join(taken))
        self.skipped.update(dict(self._capture.skipped()))
        self.messages += len(messages)
        now = self._clock()
        lines = self._replay.records(messages)
        if lines:
            self._journal.append(lines, now)
        for key, seconds, rule, offences, scope, reason in self._replay.bans():
            if not self._is_never_banned(key):
                self._table.impose(model.Ban(key, seconds, rule, offences, Scope(scope), reason), now)

    @property
    def lost(self) -> int:
        """Times that the log could not be written."""
        return self._journal.lost

    def bans(self) -> list[Entry]:
        """The bans that last."""
        now = self._clock()
        read = [entry(key, value) for key, value in self._banned.items()]
        lasting = [one for one in read if one is not None and one.until > now]
        if len(lasting) < len(self._banned):
            kept = {one.key for one in lasting}
            for key in [key for key in self._banned if key not in kept]:
                del self._banned[key]
        return lasting

    def restore(self, text: str) -> int:
        """Takes up the bans of a state file; how many. Raises `ValueError`."""
        return len(self._table.restore(text, self._clock(), self._capacity))

    def close(self) -> None:
        """Lets go of the log."""
        self._journal.close()

    def _put(self, key: str, value: str, seconds: int) -> None:
        if key in self._banned or len(self._banned) < self._capacity or len(self.bans()) < self._capacity:
            self._banned[key] = value

    def _is_never_banned(self, key: str) -> bool:
        if self._networks.never_banned(key):
            return True
        # A /64 that holds a server is never banned either.
        cells = (self._networks.source(server, 0, "udp").key for server in self._servers)
        return key in cells

    def _notice(self, action: str, now: float, detail: Mapping[str, object]) -> bool:
        return self._journal.append(self._recorder.notice(action, now, detail), now)
