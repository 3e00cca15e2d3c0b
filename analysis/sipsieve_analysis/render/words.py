"""The sentences and short forms that all renderings share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from ..attack import ATTACK_VERSION
from ..ranking import Tier
from ..report import Actor, Report

if TYPE_CHECKING:
    from ..novelty.reviews import Review

#: Intents as people say them.
INTENTS: Final = {
    "remote_code_execution": "remote code execution",
    "credential_theft": "credential theft",
    "data_tampering": "data tampering",
    "toll_fraud": "toll fraud",
    "denial_of_service": "denial of service",
    "reconnaissance": "reconnaissance",
}

#: Score parts as people say them.
PARTS: Final = {"backend": "backend reached"}


#: Reviews of what is unusual that a report shows; its JSON has them all.
UNUSUAL: Final = 50


def unusual(review: Review) -> str:
    """One review in a sentence. Hold it against what shows nothing unseen: names in it are the senders'."""
    who = ", ".join(review.sources[:2]) + (f" and {review.source_count - 2:,} more" if review.source_count > 2 else "")
    shown = next((f" For example: {example.excerpt}" for example in review.examples if example.excerpt), "")
    return f"{review.id}: {count(review.messages, 'message')} from {who}, unusual here, because {review.why[0]}.{shown}"


def moment(micro: int) -> str:
    """A time in UTC for people, to the minute."""
    return datetime.fromtimestamp(micro / 1e6, UTC).strftime("%Y-%m-%d %H:%M") if micro else "?"


def span(first: int, last: int) -> str:
    """From when to when, without saying a date twice."""
    begin, end = moment(first), moment(last)
    if begin == end:
        return begin
    return f"{begin} \u2013 {end[11:] if begin[:10] == end[:10] else end}"


def count(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def headline(report: Report) -> str:
    """The one sentence that a person reads first."""
    by_tier = {tier: sum(actor.rank.tier is tier for actor in report.actors) for tier in Tier}
    now, soon = by_tier[Tier.IMMEDIATE], by_tier[Tier.HIGH] + by_tier[Tier.MEDIUM]
    if not report.messages:
        return "Nothing could be read."
    if now:
        return f"{count(now, 'actor')} to stop at once" + (f", {soon} more to deal with." if soon else ".")
    return f"Nothing to stop at once; {count(soon, 'actor')} to deal with." if soon else "Nothing above low."


def name(actor: Actor) -> str:
    """What an actor is called in a table: its first address and how many more."""
    if not actor.addresses and actor.victims:
        return f"in the name of {actor.victims[0]}"
    first = actor.addresses[0] if actor.addresses else "no address in the log"
    return f"{first} +{len(actor.addresses) - 1}" if len(actor.addresses) > 1 else first


def tag(report: Report, actor: Actor) -> str:
    """The short name by which tables and charts of one report refer to an actor."""
    return f"A{next(number for number, one in enumerate(report.actors, 1) if one is actor)}"


def wants(actor: Actor) -> str:
    """Its intents in words."""
    return ", ".join(INTENTS[str(motive.intent)] for motive in actor.motives) or "nothing that shows"


def kinds(actor: Actor) -> str:
    """Its campaigns in words."""
    return ", ".join(dict.fromkeys(str(campaign.type).replace("_", " ") for campaign in actor.campaigns))


def techniques(actor: Actor) -> str:
    """Its ATT&CK ids."""
    return ", ".join(dict.fromkeys(t.id for motive in actor.motives for t in motive.techniques))


def steps(report: Report) -> list[tuple[str, list[Actor]]]:
    """What to do, in order, each step once with the actors that it is for."""
    found: dict[str, list[Actor]] = {}
    for actor in report.actors:
        if actor.rank.tier is not Tier.LOW:
            found.setdefault(actor.rank.action, []).append(actor)
    return list(found.items())


def becomes(actor: Actor) -> str:
    """What the guard makes of an actor's messages, in words."""
    effect = actor.effect
    reached = f"{effect.received:,} of {count(effect.messages, 'message')} reached the server behind"
    through = f"with the guard enforcing {effect.guarded:,} do"
    return f"{reached}; {through}" + (f", {effect.cleaned:,} of them cleaned" if effect.cleaned else "")


def method(report: Report) -> list[str]:
    """How the findings came about, in sentences."""
    records = ", ".join(f"{count(number, 'record')} of a {kind}" for kind, number in report.records.items())
    return [
        f"Read: {records or 'nothing'}. Every message went through the guard's rules; what was decided is the log's, or is worked out where the guard did not run."
        + (
            " Of a raw log, what the server's own parser refused counts as not received."
            if "raw Kamailio log" in report.records
            else ""
        ),
        "Senders are grouped by what they can't help to show (address, payload, program, timing), each link with its evidence. "
        "A User-Agent alone joins nobody. A UDP address can be forged: an address whose own calls and registrations are accepted is in no list here for what a datagram says.",
        "The score adds severity, success, evidence, volume, persistence and what the backend received: from 75 immediate, from 50 high, from 25 medium. "
        f"Techniques are named after MITRE ATT&CK {ATTACK_VERSION}. All times are UTC.",
    ]


def limits(report: Report) -> list[str]:
    """What these inputs could not show, and what could not be read."""
    found = [*report.blind, *(f"Not used: {number:,} {kind}." for kind, number in report.skipped.items())]
    if report.lost:
        found.append(f"{count(report.lost, 'record')} were lost by the guard, as it says itself.")
    if report.not_looked_at:
        found.append(f"{count(report.not_looked_at, 'source')} beyond the busiest were not looked at one by one.")
    return found
