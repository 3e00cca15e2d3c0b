"""The round of a watch: read on, analyse, tell what is new, write the reports that are due."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Final

from ..analysis import Context, analyze, look
from ..campaigns import CampaignType
from ..intake import Intake
from ..novelty.reviews import Looker
from ..ranking import Tier
from ..readers import envelopes, rawlog
from ..readers.kinds import InputKind
from ..readers.replayed import Replay
from ..render import html
from ..report import Actor, Report, as_json, when
from .alerts import UNUSUAL, Sink, unusual_alert
from .concern import Concern
from .delivery import Delivery
from .follow import Follower
from .memory import Memory

_LEVEL: Final = {Tier.LOW: 0, Tier.MEDIUM: 1, Tier.HIGH: 2, Tier.IMMEDIATE: 3}

#: Seconds after a day's end until its report is written: what workers and timers still hold comes in.
_GRACE: Final = 120

#: Addresses named in an alert, and remembered of one actor.
_NAMED: Final = 20
_REMEMBERED: Final = 20_000

#: Actors told of with a report; the report itself has all.
_DIGESTED: Final = 50

_DAY_US: Final = 86_400_000_000


class Watcher:
    """Watches one log. `tell` is called with each alert, as it forms."""

    def __init__(
        self,
        log: Path,
        memory: Memory,
        sinks: list[Sink],
        reports: Path | None,
        least: Tier,
        zone: tzinfo,
        tell: Callable[[dict[str, Any]], None],
        warn: Callable[[str], None],
        days: int = 15,
        xlog: Sequence[str] = (),
        narrate: Callable[[Report], str] | None = None,
        looker: Looker | None = None,
    ) -> None:
        self._log = log
        self._memory = memory
        self._delivery = Delivery(memory, sinks, warn)
        self._reports = reports
        self._least = _LEVEL[least]
        self._zone = zone
        self._tell = tell
        self._warn = warn
        self._days = days
        self._replay: Replay | None = None
        self._raw: rawlog.LogReader | None = None
        self._xlog = tuple(xlog)
        self._narrate = narrate
        self._looker = looker
        self._skipped: Counter[str] = Counter()
        self._concern: Concern | None = None
        self._touched: set[str] = set()
        self._follower = Follower(log, memory.position(log))
        #: Events that the last look was at.
        self.looked_at = 0

    def round(self, now: datetime) -> int:
        """One round. Returns how many records were new."""
        new = self._read(now)
        # A crash may have come between reading and telling, so the first round always compares.
        if new or self._concern is None:
            self._look(now, new)
        if self._reports is not None:
            self._write_due(self._reports, now)
        self._delivery.round(now)
        return new

    def _read(self, now: datetime) -> int:
        new, behind = 0, self._memory.store.last()
        for chunk in self._follower.read():
            lines, kind = chunk.data, InputKind.DECISIONS.value
            if not _is_decisions(lines):
                lines, kind = self._rebuilt(lines, now), InputKind.RAW.value
            # Before the position moves: what a crash cuts off here is read, and told, again.
            self._judge(lines)
            good, _ = self._memory.take(self._log, chunk, lines, kind)
            new += good
        if new:
            self._touched |= self._memory.store.concerned(behind)
            _, last, _ = self._memory.bounds()
            self._memory.forget(last - self._days * _DAY_US)
        return new

    def _judge(self, lines: bytes) -> None:
        """Tells what is unusual in these records beside what is normal here, each reason once."""
        if self._looker is None:
            return
        fresh = self._looker.feed(lines.splitlines())
        if not fresh:
            return
        self._looker.forget(max(seen.time_us for seen, _ in fresh) - _DAY_US)
        told: list[dict[str, Any]] = []
        with self._memory.step():
            known = self._memory.tiers()
            for review in self._looker.reviews():
                pair = (review.id, UNUSUAL)
                if pair in known:
                    continue
                alert = unusual_alert(review)
                self._memory.know([pair], 0)
                self._delivery.post(alert)
                told.append(alert)
        for alert in told:
            self._tell(alert)

    def _rebuilt(self, lines: bytes, now: datetime) -> bytes:
        """Records of a raw log's lines. Lines of a message that may go on in the next look wait for it."""
        self._replay = self._replay or Replay()
        if self._raw is None:
            self._raw = rawlog.LogReader(
                self._zone, now, self._skipped, self._xlog, month=now.astimezone(self._zone).month
            )
        pieces = envelopes.unwrapped([lines]) if envelopes.is_wrapped(lines[:4096]) else [lines]
        made = b"".join(self._replay.records(self._raw.feed(piece)) for piece in pieces)
        self._note()
        return made

    def _note(self) -> None:
        for kind, number in self._skipped.items():
            self._memory.skip(kind, number)
        self._skipped.clear()

    def finish(self, now: datetime) -> None:
        """Before the end: what waits for lines to come is told as it is."""
        if self._raw is None or self._replay is None:
            return
        rest = self._replay.records(self._raw.finish())
        self._note()
        if rest:
            self._memory.add(rest, InputKind.RAW.value)
            self._compare(self._analyze())
            self._delivery.round(now)

    def _analyze(self, window: tuple[int, int] | None = None, context: Context | None = None) -> Report:
        self._memory.store.window = window
        try:
            _, _, number = self._memory.bounds()
            intake = Intake(skipped=Counter(self._memory.skipped()), files=[(str(self._log), "followed")])
            intake.records[InputKind.RAW.value if self._replay else InputKind.DECISIONS.value] = number
            self.looked_at = number
            return look(self._memory.store, intake, context) if context else analyze(self._memory.store, intake)
        finally:
            self._memory.store.window = None

    def _look(self, now: datetime, new: int) -> None:
        """Looks at what is new, and at whom it concerns; at everything, where that is due."""
        touched, self._touched = self._touched, set()
        number = self._memory.bounds()[2]
        if self._concern is None or not self._concern.suffices(touched, new, number, now):
            began = time.monotonic()
            self._concern = Concern(now, number)
            report = self._analyze(context=self._concern.context)
            self._concern.learn(report, time.monotonic() - began)
            self._compare(report)
            return
        chosen = self._concern.chosen(touched)
        report = self._part(chosen, self._concern)
        # Who turned out to belong to somebody known is looked at together with all of that.
        more = self._concern.joined(report, touched, chosen)
        if more:
            report = self._part(chosen | more, self._concern)
        report.actors = [actor for actor in report.actors if touched & {*actor.addresses, *actor.victims}]
        self._concern.learn(report)
        self._compare(report)

    def _part(self, ips: set[str], concern: Concern) -> Report:
        with self._memory.store.narrow(ips) as self.looked_at:
            # What lawful clients use is known from all of them; a part tells nothing new of that.
            context = replace(concern.context, agents=set(concern.context.agents), clients=set(concern.context.clients))
            return look(self._memory.store, Intake(), context)

    def _compare(self, report: Report) -> None:
        """Posts what was not told yet: new actors and campaigns, and those that have become graver."""
        known = self._memory.tiers()
        fresh: list[dict[str, Any]] = []
        with self._memory.step():
            for actor in reversed(report.actors):
                level = _LEVEL[actor.rank.tier]
                if level < self._least:
                    continue
                pairs = _pairs(actor)
                before = [known[pair] for pair in pairs if pair in known]
                new_types = {kind for _, kind in pairs} - {kind for ip, kind in pairs if (ip, kind) in known}
                heard = {ip for ip in actor.addresses if any((ip, kind) in known for kind in _TYPES)}
                fresh_ips = [ip for ip in actor.addresses if ip not in heard] if heard else []
                if before and max(before) >= level and not new_types and not fresh_ips:
                    self._memory.know([pair for pair in pairs if pair not in known], level)
                    continue
                risen = not before or max(before) < level
                kind = "actor" if not heard else "campaign" if new_types else "rank" if risen else "address"
                alert = _alert(actor, kind, new_types, fresh_ips)
                self._memory.know(pairs, level)
                self._delivery.post(alert)
                fresh.append(alert)
        for alert in fresh:
            self._tell(alert)

    def _write_due(self, folder: Path, now: datetime) -> None:
        """Writes the reports of days and weeks that are over and hold events."""
        first, last, number = self._memory.bounds()
        if not number:
            return
        done = self._memory.reported()
        day = datetime.fromtimestamp(first / 1e6, self._zone).replace(hour=0, minute=0, second=0, microsecond=0)
        while day.timestamp() * 1e6 <= last:
            for name, begin, length in (
                (f"daily-{day:%Y-%m-%d}", day, 1),
                (f"weekly-{day:%G-W%V}", day - timedelta(days=day.weekday()), 7),
            ):
                end = begin + timedelta(days=length)
                over = name not in done and (now - end).total_seconds() >= _GRACE
                if over and self._memory.holds(*_span(begin, end)):
                    self._write(folder, name, begin, end)
                    done.add(name)
            day += timedelta(days=1)

    def _write(self, folder: Path, name: str, begin: datetime, end: datetime) -> None:
        report = self._analyze(_span(begin, end))
        if self._narrate is not None and name.startswith("weekly") and (problem := self._narrate(report)):
            self._warn(f"{name}: {problem}; the report is without a narration")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for suffix, text in ((".html", html.write(report)), (".json", json.dumps(as_json(report), indent=2))):
                part = folder / f".{name}{suffix}.part"
                part.write_text(text, encoding="utf-8")
                part.replace(folder / f"{name}{suffix}")
        except OSError as error:
            self._warn(f"{folder}: {error.strerror}; the report {name} will be tried again")
            return
        span = name.partition("-")[0]
        known = self._memory.named(span)
        with self._memory.step():
            self._memory.report(name)
            self._delivery.post(_digest(name, span, report, known, folder / f"{name}.html"))
            self._memory.name(span, sorted({ip for actor in report.actors for ip in _members(actor)} - known))


def _span(begin: datetime, end: datetime) -> tuple[int, int]:
    """In microseconds since the epoch."""
    return int(begin.timestamp() * 1e6), int(end.timestamp() * 1e6)


_TYPES: Final = tuple(str(kind) for kind in CampaignType)


def _pairs(actor: Actor) -> list[tuple[str, str]]:
    return [(ip, str(campaign.type)) for campaign in actor.campaigns for ip in _members(actor)]


def _members(actor: Actor) -> list[str]:
    return actor.addresses[:_REMEMBERED] or actor.victims[:_REMEMBERED] or [""]


def _digest(name: str, span: str, report: Report, known: set[str], page: Path) -> dict[str, Any]:
    """What is told of a written report: whom no earlier one of its span had, and whom one had."""
    parts: dict[str, list[dict[str, Any]]] = {"new": [], "known": []}
    for actor in report.actors:
        parts["known" if known.intersection(_members(actor)) else "new"].append(
            {
                "tier": str(actor.rank.tier),
                "addresses": actor.addresses[:_NAMED],
                "address_count": len(actor.addresses),
                "intents": [str(motive.intent) for motive in actor.motives],
            }
        )
    return {
        "id": hashlib.sha256(name.encode()).hexdigest()[:16],
        "kind": "report",
        "name": name,
        "span": span,
        "tier": max(
            (str(actor.rank.tier) for actor in report.actors), key=lambda tier: _LEVEL[Tier(tier)], default="low"
        ),
        "messages": report.messages,
        "page": str(page),
        **{part: actors[:_DIGESTED] for part, actors in parts.items()},
        "new_count": len(parts["new"]),
        "known_count": len(parts["known"]),
    }


def _alert(actor: Actor, kind: str, new_types: set[str], new_addresses: Sequence[str] = ()) -> dict[str, Any]:
    types = sorted({str(campaign.type) for campaign in actor.campaigns})
    named = "\n".join(
        [kind, str(actor.rank.tier), *types, *actor.addresses[:_NAMED], *new_addresses[:_NAMED], str(actor.first_us)]
    )
    return {
        "id": hashlib.sha256(named.encode()).hexdigest()[:16],
        "kind": kind,
        "tier": str(actor.rank.tier),
        "score": actor.rank.score,
        "addresses": actor.addresses[:_NAMED],
        "address_count": len(actor.addresses),
        "homes": actor.homes,
        "new_addresses": list(new_addresses[:_NAMED]),
        "spoofed": actor.spoofed,
        "intents": [str(motive.intent) for motive in actor.motives],
        "campaigns": types,
        "new_campaigns": sorted(new_types),
        "why": [campaign.why for campaign in actor.campaigns],
        "first_seen": when(actor.first_us),
        "last_seen": when(actor.last_us),
        "action": actor.rank.action,
    }


def _is_decisions(lines: bytes) -> bool:
    head = lines[:16384]
    return (head.lstrip().startswith(b"{") and b'"@timestamp"' in head) or not head.strip()
