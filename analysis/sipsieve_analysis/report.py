"""The result of an analysis as data: what the renderers draw, and what the JSON report holds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import sipsieve

from .attack import ATTACK_VERSION
from .campaigns import Campaign
from .handover.scope import Scope
from .indicators import Indicator
from .intents import Motive
from .narrate import narration as narration_
from .narrate.narration import Narration
from .ranking import Rank

if TYPE_CHECKING:
    from .novelty.reviews import Review

#: Raised when a field of the JSON report changes its meaning.
SCHEMA: Final = 1


@dataclass(slots=True)
class Evidence:
    """One thing that was seen. `text` is ours, `excerpt` is the sender's."""

    kind: str
    text: str
    excerpt: str = ""
    field: str = ""
    rule: str = ""
    messages: int = 0
    received: int = 0


@dataclass(slots=True)
class Effect:
    """Messages of one sender before and after: sent, received by the server behind, and what it receives with the guard enforcing."""

    messages: int = 0
    received: int = 0
    #: What the guard lets through, and how many of these it cleans.
    guarded: int = 0
    cleaned: int = 0


@dataclass(slots=True)
class Lawful:
    """Sources with nothing against them: messages, those that the guard refuses; INVITEs of the busiest lawful source in a minute."""

    messages: int = 0
    refused: int = 0
    peak_invites: int = 0


@dataclass(slots=True)
class Moment:
    """A row of the timeline. `why` belongs to `campaigns` one by one."""

    first_us: int
    last_us: int
    actor: str
    campaigns: list[str]
    why: list[str]
    messages: int
    succeeded: bool


@dataclass(slots=True)
class Paste:
    """Lines to paste, where, and with what care."""

    place: str
    note: str
    lines: str


@dataclass(slots=True)
class Recommendation:
    """What to change, why here, for which actors, with the lines to paste."""

    title: str
    why: str
    actors: list[str]
    pastes: list[Paste] = field(default_factory=list)


@dataclass(slots=True)
class Noise:
    """What stayed low: actors, their addresses and messages, and each kind with its actors and messages."""

    actors: int = 0
    addresses: int = 0
    messages: int = 0
    kinds: list[tuple[str, int, int]] = field(default_factory=list)


@dataclass(slots=True)
class Actor:
    """Sources that are one, what they want, and how grave that is."""

    id: str
    addresses: list[str]
    rank: Rank
    motives: list[Motive]
    campaigns: list[Campaign]
    evidence: list[Evidence]
    indicators: list[Indicator]
    first_us: int
    last_us: int
    messages: int
    methods: dict[str, int]
    ports: list[int]
    port_count: int
    tools: list[str]
    links: dict[str, str]
    spoofed: bool = False
    #: Addresses that were abused as senders and have lawful traffic of their own.
    victims: list[str] = field(default_factory=list)
    note: str = ""
    accepted: int = 0
    #: Whether it reached what it wanted: an account, paid calls.
    succeeded: bool = False
    #: Indicators with first and last time and messages; the same of its addresses.
    pointers: dict[Indicator, tuple[int, int, int]] = field(default_factory=dict)
    spans: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    #: Countries and operators of its addresses, those of most addresses first, as far as the log has them.
    homes: list[str] = field(default_factory=list)
    hours: dict[int, int] = field(default_factory=dict)
    port_messages: list[tuple[int, int]] = field(default_factory=list)
    target_messages: list[tuple[str, int]] = field(default_factory=list)
    effect: Effect = field(default_factory=Effect)


@dataclass(slots=True)
class Sighting:
    """An indicator with where and when it was seen."""

    indicator: Indicator
    actors: list[str]
    first_us: int
    last_us: int
    messages: int
    #: How it was found.
    how: str = ""


@dataclass(slots=True)
class Report:
    """Everything that was found, the gravest first."""

    actors: list[Actor]
    campaigns: list[Campaign]
    indicators: list[Sighting]
    first_us: int
    last_us: int
    messages: int
    actions: dict[str, int]
    records: dict[str, int]
    skipped: dict[str, int]
    blind: list[str]
    files: list[tuple[str, str]]
    quiet_sources: int
    lost: int = 0
    not_looked_at: int = 0
    #: Whether the inputs hold the servers' answers.
    answers: bool = True
    lawful: Lawful = field(default_factory=Lawful)
    #: What `handover.complete` makes of the rest, and what the caller was told to write on the cover.
    noise: Noise = field(default_factory=Noise)
    chronicle: list[Moment] = field(default_factory=list)
    advice: list[Recommendation] = field(default_factory=list)
    summary: list[str] = field(default_factory=list)
    scope: Scope = field(default_factory=Scope)
    #: What lines look like that nobody understood: template, how many, and the format of xlog that reads them.
    forms: list[tuple[str, int, str]] = field(default_factory=list)
    #: A language model's words, checked; None where nobody asked for them.
    #: What is unusual beside a model of the site, apart from what rules know; None without a model.
    unusual: list[Review] | None = None
    narration: Narration | None = None


def when(micro: int) -> str:
    """Microseconds since the epoch as RFC 3339 in UTC."""
    return (
        datetime.fromtimestamp(micro / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        if micro
        else ""
    )


def as_json(report: Report) -> dict[str, Any]:
    """The JSON report, as `docs/report.schema.json` describes it."""
    narrated = {"narration": narration_.as_json(report.narration)} if report.narration is not None else {}
    unusual = {"unusual": [review.as_json() for review in report.unusual]} if report.unusual is not None else {}
    return {
        "schema": SCHEMA,
        "generator": f"sipsieve {sipsieve.__version__}",
        "attack_version": ATTACK_VERSION,
        "scope": asdict(report.scope) | {"systems": list(report.scope.systems), "excluded": list(report.scope.excluded)},
        "window": {"start": when(report.first_us), "end": when(report.last_us)},
        "summary": report.summary,
        "totals": {
            "messages": report.messages,
            "actions": dict(sorted(report.actions.items())),
            "actors": len(report.actors),
            "quiet_sources": report.quiet_sources,
            "not_looked_at": report.not_looked_at,
            "lost": report.lost,
        },
        "inputs": {
            "files": [{"path": path, "kind": kind} for path, kind in report.files],
            "records": report.records,
            "skipped": report.skipped,
            "invisible": report.blind,
            "not_understood": [{"template": text, "lines": lines, "xlog": xlog} for text, lines, xlog in report.forms],
        },
        "actors": [_actor(actor) for actor in report.actors],
        "campaigns": [_campaign(campaign) for campaign in report.campaigns],
        "timeline": [
            {"start": when(m.first_us), "end": when(m.last_us), "actor": m.actor, "campaigns": m.campaigns, "why": m.why,
             "messages": m.messages, "succeeded": m.succeeded}
            for m in report.chronicle
        ],
        "recommendations": [asdict(one) for one in report.advice],
        "lawful": asdict(report.lawful),
        "noise": {
            "actors": report.noise.actors, "addresses": report.noise.addresses, "messages": report.noise.messages,
            "kinds": [{"what": what, "actors": actors, "messages": messages} for what, actors, messages in report.noise.kinds],
        },
        "indicators": [
            {
                "type": sighting.indicator.kind,
                "value": sighting.indicator.value,
                "defanged": sighting.indicator.defanged,
                "actors": sighting.actors,
                "first_seen": when(sighting.first_us),
                "last_seen": when(sighting.last_us),
                "messages": sighting.messages,
                "how": sighting.how,
            }
            for sighting in report.indicators
        ],
        **unusual,
        **narrated,
    }  # fmt: skip


def _actor(actor: Actor) -> dict[str, Any]:
    return {
        "id": actor.id,
        "addresses": actor.addresses,
        "homes": actor.homes,
        "intents": [str(motive.intent) for motive in actor.motives],
        "tier": str(actor.rank.tier),
        "score": actor.rank.score,
        "score_parts": actor.rank.parts,
        "spoofed": actor.spoofed,
        "victims": actor.victims,
        "action": actor.rank.action,
        "note": actor.note,
        "attack": [
            {"intent": str(motive.intent), "techniques": [t.id for t in motive.techniques], "names": [t.name for t in motive.techniques], "why": motive.why}
            for motive in actor.motives
        ],
        "evidence": [
            {"kind": e.kind, "text": e.text, "excerpt": e.excerpt, "field": e.field, "rule": e.rule, "messages": e.messages, "received": e.received}
            for e in actor.evidence
        ],
        "campaigns": [str(campaign.type) for campaign in actor.campaigns],
        "links": actor.links,
        "first_seen": when(actor.first_us),
        "last_seen": when(actor.last_us),
        "messages": actor.messages,
        "methods": actor.methods,
        "ports": actor.ports,
        "port_count": actor.port_count,
        "tools": actor.tools,
        "accepted": actor.accepted,
        "succeeded": actor.succeeded,
        "effect": asdict(actor.effect),
        "indicators": [{"type": i.kind, "value": i.value} for i in actor.indicators],
    }  # fmt: skip


def _campaign(campaign: Campaign) -> dict[str, Any]:
    return {
        "type": str(campaign.type),
        "actor": campaign.actor,
        "sources": campaign.sources,
        "window": {"start": when(campaign.first_us), "end": when(campaign.last_us)},
        "ports": campaign.ports,
        "port_count": campaign.port_count,
        "messages": campaign.messages,
        "methods": campaign.methods,
        "rules": campaign.rules,
        "targets": campaign.targets,
        "target_count": campaign.target_count,
        "why": campaign.why,
    }
