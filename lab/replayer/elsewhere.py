"""The stage at a given address: plays from this machine's own address, and sees nothing but answers."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from . import target
from .player import Job, Outcome, play
from .scenario import Goal, Loaded, Step


class Elsewhere:
    """A system that the lab did not start. Raises `target.ForeignTargetError` without its owner's consent."""

    def __init__(self, host: str, port: int, folder: Path, foreign: str = "", consent: str = "") -> None:
        target.check(host, foreign, consent)
        self._at = host, port
        self._folder = folder
        self._foreign, self._consent = foreign, consent
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            # Connecting a datagram socket sends nothing; it tells from where one would be sent.
            probe.connect((host, port))
            self._own: str = probe.getsockname()[0]
        self.uas = f"{self._own}:5060"
        self.outcomes: list[Outcome] = []

    def addresses(self, loaded: Loaded) -> dict[str, str]:
        """Every source is this machine."""
        return dict.fromkeys(loaded.scenario.sources, self._own)

    def target(self, name: str) -> tuple[str, int]:
        """The address given."""
        return self._at

    def begin(self, loaded: Loaded, target: str) -> None:
        """Nothing can be put back there."""
        self.outcomes.clear()

    def play(self, job: Job, step: Step, loaded: Loaded) -> Outcome:
        """Carries a step out; a step with a forged source is left out: the victim would be a third party."""
        if job.forged:
            return Outcome(error="not sent: forged sources stay in the lab")
        job.foreign, job.consent = self._foreign, self._consent
        outcome = play(job, self._folder / loaded.name)
        self.outcomes.append(outcome)
        return outcome

    def records(self) -> list[dict[str, Any]]:
        """Its log is its owner's."""
        return []

    def probe(self, goal: Goal, variant: str) -> bool | None:
        """So is its back office."""
        return None
