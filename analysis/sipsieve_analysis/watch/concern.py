"""Whom new events concern: a look at these and their like costs by what is new, not by what there is."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ..analysis import Context
from ..ranking import Tier
from ..report import Report

#: Everything is looked at again when so much of it is new (a tenth), this often, or at this many times what a look took.
_SHARE: Final = 10
_SECONDS: Final = 900.0
_TIMES: Final = 30.0

#: Addresses beyond which everything is looked at at once.
_MOST: Final = 5_000

#: Addresses that stand for an actor: a new one of his is told by what it shares with them.
_STAND_FOR: Final = 5


@dataclass(slots=True)
class Concern:
    """What the last look at everything has told: actors by their addresses, and the context of all others."""

    since: datetime
    #: Events that there were then, and what came since.
    events: int
    new: int = 0
    seconds: float = 0.0
    context: Context = field(default_factory=Context)
    actors: list[set[str]] = field(default_factory=list)
    #: Of graver actors, the addresses that stand for them: those that were active last.
    standing: set[str] = field(default_factory=set)

    def suffices(self, touched: set[str], new: int, events: int, now: datetime) -> bool:
        """Whether it is enough to look at those addresses; counts what is new."""
        self.new += new
        if len(touched) > _MOST or self.new * _SHARE > events:
            return False
        return (now - self.since).total_seconds() < max(_SECONDS, _TIMES * self.seconds)

    def learn(self, report: Report, seconds: float = 0.0) -> None:
        """Takes what a look told."""
        self.seconds = max(self.seconds, seconds)
        for actor in report.actors:
            members = {*actor.addresses, *actor.victims}
            self.actors = [known for known in self.actors if not known & members]
            self.actors.append(members)
            if actor.rank.tier is not Tier.LOW:
                last = sorted(actor.addresses, key=lambda ip: actor.spans.get(ip, (0, 0, 0))[1], reverse=True)
                self.standing.update(last[:_STAND_FOR])

    def chosen(self, touched: set[str]) -> set[str]:
        """Those addresses, the actors that they belong to, and who stands for the others."""
        return touched | self.standing | {ip for known in self.actors if known & touched for ip in known}

    def joined(self, report: Report, touched: set[str], chosen: set[str]) -> set[str]:
        """Addresses of known actors that a touched address was found to belong to, beyond those chosen."""
        met = {ip for actor in report.actors if touched & set(actor.addresses) for ip in actor.addresses}
        return {ip for known in self.actors if known & met for ip in known} - chosen
