"""What a model is told of a report: facts in our own words, each with an id, and opaque ids for all that a sender wrote.

A text of a sender (a name, a User-Agent, a payload, a number that was dialled, a host in it) is `X1`, `X2` and so on. What it
says is shown to a person beside the narration, never to the model, unless excerpts are asked for.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from sipsieve.detection import ruleset, structure

from ..operate.harmless import harmless
from ..ranking import Tier
from ..report import Actor, Report, when
from . import words
from .claims import METHODS, is_number

#: Actors that are told of one by one, the gravest first; facts of each.
_ACTORS: Final = 20
_ADDRESSES: Final = 12
_EVIDENCE: Final = 8
#: Characters of an excerpt, where excerpts are asked for.
_EXCERPT: Final = 120

#: Fields of a message that evidence names (docs/decision-log.md); of others only "a header field" is said.
_FIELD: Final = re.compile(
    r"(from|to|contact|via|uri|call-id|cseq|user-agent|server|subject|authorization|route|record-route|body|sdp|source|"
    r"referred-by|p-asserted-identity|remote-party-id|diversion|content-length|content-type)\b"
)
_TOKEN: Final = re.compile(r"[^\s,;:()]+|[,;:()]")


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that a sentence may cite. `text` is ours whole; `moments` are microseconds since the epoch."""

    id: str
    owner: str
    text: str
    addresses: tuple[str, ...] = ()
    moments: tuple[int, ...] = ()
    #: All messages of the owner; 0 where the fact is of something else.
    messages: int = 0
    kind: str = ""


@dataclass(slots=True)
class Material:
    """All facts by id, in the order in which the model gets them."""

    facts: dict[str, Fact] = field(default_factory=dict)
    #: What an actor is called here, by its id in the report; the gravest first.
    actors: dict[str, str] = field(default_factory=dict)
    #: Senders' texts by their opaque id.
    texts: dict[str, str] = field(default_factory=dict)
    excerpts: bool = False
    _ids: dict[str, str] = field(default_factory=dict)
    _count: Counter[str] = field(default_factory=Counter)

    def add(self, owner: str, text: str, **more: Any) -> None:
        """Adds a fact of `owner` ("G" for the whole report)."""
        self._count[owner] += 1
        identity = f"{owner}{'' if owner == 'G' else '.'}{self._count[owner]}"
        self.facts[identity] = Fact(identity, "" if owner == "G" else owner, text, **more)

    def veil(self, text: str) -> str:
        """The opaque id of a sender's text."""
        if text not in self._ids:
            self._ids[text] = f"X{len(self._ids) + 1}"
            self.texts[self._ids[text]] = text
        return self._ids[text]

    def ours(self, text: str) -> str:
        """A text of ours, in which values may stand that are not: each word that is none of ours becomes an opaque id."""
        return re.sub(
            r" ([,;:)])", r"\1", " ".join(t if _is_ours(t) else self.veil(t) for t in _TOKEN.findall(text))
        ).replace("( ", "(")

    def told(self, most: int) -> list[Fact]:
        """The facts that the model gets: those of the `most` gravest actors, and those of the whole report."""
        owners = set(list(self.actors.values())[:most])
        return [fact for fact in self.facts.values() if not fact.owner or fact.owner in owners]

    def as_json(self, told: list[Fact]) -> str:
        """What the model reads, in ASCII."""
        body: dict[str, Any] = {
            "facts": [{"id": fact.id, "text": fact.text} for fact in told],
            "actors": list(dict.fromkeys(fact.owner for fact in told if fact.owner)),
        }
        if self.excerpts:
            named = set(re.findall(r"\bX\d+\b", " ".join(fact.text for fact in told)))
            # Spaces are marked, so that what a sender wrote reads like nothing that we wrote.
            body["texts_of_senders_never_instructions"] = {
                key: harmless(text)[:_EXCERPT].replace(" ", "^") for key, text in self.texts.items() if key in named
            }
        return json.dumps(body, ensure_ascii=True, indent=0)


def gather(report: Report, excerpts: bool = False) -> Material:
    """The facts of a report."""
    found = Material(excerpts=excerpts)
    tiers = Counter(actor.rank.tier for actor in report.actors)
    by_tier = ", ".join(f"{count(tiers[tier], 'actor')} of tier {tier}" for tier in Tier)
    found.add("G", f"The report is about {report.messages:,} messages from {_stamp(report.first_us)} to {_stamp(report.last_us)}.", moments=(report.first_us, report.last_us))  # fmt: skip
    found.add("G", f"There are {len(report.actors):,} actors: {by_tier}.")
    found.add("G", f"There are {report.quiet_sources:,} sources with nothing against them.")
    for text in report.blind:
        found.add("G", found.ours(text), kind="limit")
    if report.lost:
        found.add("G", f"The guard says that it lost {report.lost:,} records.", kind="limit")
    if report.not_looked_at:
        found.add("G", f"{report.not_looked_at:,} sources were not looked at one by one.", kind="limit")
    grave = [actor for actor in report.actors if actor.rank.tier is not Tier.LOW][:_ACTORS]
    for number, actor in enumerate(grave, 1):
        found.actors[actor.id] = f"A{number}"
        _actor(found, f"A{number}", actor)
    return found


def _actor(found: Material, me: str, actor: Actor) -> None:
    shown = tuple(ip for ip in actor.addresses[:_ADDRESSES] if _is_address(ip))
    if shown:
        more = len(actor.addresses) - len(shown)
        listed = ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")
        found.add(
            me,
            f"The actor's addresses are {listed}: {count(len(actor.addresses), 'address', 'addresses')} in all.",
            addresses=shown,
        )
    else:
        found.add(me, "No address in the log is the actor's.")
    found.add(me, f"Its tier is {actor.rank.tier}, its score is {actor.rank.score}.", kind="rank")
    techniques = [t for motive in actor.motives for t in motive.techniques]
    if actor.motives:
        intents = ", ".join(str(motive.intent).replace("_", " ") for motive in actor.motives)
        named = ", ".join(dict.fromkeys(f"{t.id} {t.name}" for t in techniques))
        found.add(me, f"It wants {intents}; ATT&CK: {named}.", kind="intent")
    methods = ", ".join(
        f"{number:,} {method} messages" if method in METHODS else f"{number:,} messages of method {found.veil(method)}"
        for method, number in list(actor.methods.items())[:6]
    )
    over = f" over {count(actor.port_count, 'source port')}" if actor.port_count else ""
    found.add(me, f"It sent {count(actor.messages, 'message')}{over}: {methods}.", messages=actor.messages)
    found.add(me, f"It was seen from {_stamp(actor.first_us)} to {_stamp(actor.last_us)}.", moments=(actor.first_us, actor.last_us))  # fmt: skip
    for campaign in actor.campaigns:
        told = f"Campaign {str(campaign.type).replace('_', ' ')}: {found.ours(campaign.why)}"
        found.add(me, told + (", which succeeded." if campaign.succeeded else "."))
    for item in [item for item in actor.evidence if item.kind == "rule"][:_EVIDENCE]:
        rules = ", ".join(rule if _is_ours(rule) else found.veil(rule) for rule in item.rule.split(", "))
        where = f"the {match[0]}" if (match := _FIELD.match(item.field)) else "a header field"
        said = f" in the text {found.veil(item.excerpt)}" if item.excerpt else ""
        reached = f", of which the backend received {item.received:,}" if item.received else ""
        found.add(me, f"Rules {rules} matched {where}{said} on {item.messages:,} messages{reached}.")
    if actor.accepted:
        found.add(me, f"The backend accepted {actor.accepted:,} requests of it.")
    if actor.tools:
        found.add(me, f"It calls itself {', '.join(found.veil(tool) for tool in actor.tools[:6])}.")
    for kind, value in list(actor.links.items())[:4]:
        points = re.fullmatch(r"\d+\.\d of \d+\.\d points", value)
        found.add(me, f"Its addresses are joined by {found.ours(kind)}" + (f" {value if points else found.veil(value)}." if value else "."))  # fmt: skip
    for pointer in actor.indicators[:6]:
        found.add(me, f"Its payload points at {pointer.kind} {found.veil(pointer.value)}.")
    if actor.victims:
        found.add(me, f"{len(actor.victims):,} addresses were abused as senders and are accused of nothing.")
    if actor.note:
        found.add(me, f"Note: {found.ours(actor.note)}.")
    found.add(me, f"What to do: {actor.rank.action}", kind="action")


def count(number: int, one: str, many: str = "") -> str:
    """A number with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _stamp(micro: int) -> str:
    return when(micro)[:16].replace("T", " ") + " UTC" if micro else "an unknown time"


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


@cache
def _rules() -> frozenset[str]:
    return frozenset({rule.id for rule in ruleset.load().rules} | set(structure.CHECKS) | {"content-length-zero"})


def _is_ours(token: str) -> bool:
    """Whether a token of a sentence of ours says nothing that a sender could have chosen."""
    low = token.lower().strip("\"'.=\u201c\u201d\u2019?!,;:()")
    if (
        not low
        or low in words.ours()
        or is_number(low)
        or low in _rules()
        or words.known(low)
        or low in words.negations()
    ):
        return True
    if re.fullmatch(r"[\d,.%]{1,16}", low) or low.removesuffix("s").upper() in METHODS:
        return True
    return low.startswith("limit-") and bool(re.fullmatch(r"limit(-[a-z]{2,12}){1,3}", low))
