"""From the events table to the ranked report: the one call that puts the steps in their order."""

from __future__ import annotations

import hashlib
import operator
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Final

from . import callbacks, census, forged, habits, indicators, intents, links, pace, ranking, second_look
from . import campaigns as campaigns_
from .asking import Events
from .attribution import accounts, destinations
from .attribution.exchanges import Calls, Login
from .attribution.known import Known
from .attribution.signs import Traits
from .attribution.sums import add
from .campaigns import Campaign, Seen
from .census import Census
from .handover.complete import complete
from .indicators import Indicator
from .intake import Intake
from .links import Group
from .report import Actor, Effect, Evidence, Lawful, Report, Sighting
from .sources import Source, common_agents, common_clients, sources

#: Evidence shown of one actor.
_EVIDENCE = 12


@dataclass(slots=True)
class Context:
    """What a look at all events tells those at a part of them: servers, whether answers are logged, what lawful clients use."""

    servers: set[str] = field(default_factory=set)
    has_replies: bool = False
    agents: set[str] = field(default_factory=set)
    clients: set[str] = field(default_factory=set)


def analyze(store: Events, intake: Intake, known: Known | None = None) -> Report:
    """Groups, names and ranks what the store holds. The same events give the same report.

    `known` are addresses that nothing is held against.
    """
    return look(store, intake, Context(), known)


def look(store: Events, intake: Intake, context: Context, known: Known | None = None) -> Report:
    """The same of a part of the events; `context` is what is known beside them, and learns what they tell."""
    counted = census.gather(store, context.servers, context.has_replies)
    context.servers, context.has_replies = counted.servers, counted.has_replies
    floods, profiles = forged.floods(counted.profiles)
    logins: dict[str, list[Login]] = defaultdict(list)
    for login in counted.logins:
        logins[login.ip].append(login)
    calls: dict[str, list[Calls]] = defaultdict(list)
    for call in counted.calls:
        calls[call.ip].append(call)
    guilty = accounts.guessers(counted.logins)
    guilty |= {call.ip for call in counted.calls if accounts.fraud(call, logins)}
    costly = destinations.costly(counted.dialled)
    guilty |= costly.keys()
    everyone = [source for source in sources(profiles, guilty) if source.ip not in counted.servers or source.has_attack]
    if known is not None:
        for source in everyone:
            if (entry := known.find(source.ip)) is not None:
                source.declared = f"{entry.kind} {entry.name}".strip()
    rest = [source for source in everyone if _is_candidate(source, guilty, counted.has_replies)]
    declared, rest = [source for source in rest if source.declared], [source for source in rest if not source.declared]
    looked_at = {source.ip for source in (*rest, *declared)} | {s.ip for flood in floods for s in flood.sources}
    asked = census.targets(store, looked_at)
    for source in rest:
        if source.shared:
            # What the address's lawful clients asked for is not among it.
            asked[source.key] = (
                {} if source.injections else census.targets(store, {source.ip}, source.beside)[source.ip]
            )
    groups = [(group, True) for group in floods]
    groups += [(Group([source]), False) for source in declared]
    context.agents |= common_agents(everyone)
    context.clients |= common_clients(everyone, counted.has_replies)
    traits = Traits(asked, context.agents, context.clients)
    if not counted.has_replies:
        # What others at the address do must join it with nobody.
        alone = [not source.has_attack and bool(source.guessing) for source in rest]
        groups += [(Group([source]), False) for source, is_alone in zip(rest, alone, strict=True) if is_alone]
        rest = [source for source, is_alone in zip(rest, alone, strict=True) if not is_alone]
    groups += [(group, False) for group in links.group(rest, traits)]
    seen = Seen(asked, logins, calls, costly, counted.has_replies, lambda group: _peak(store, group))
    lawful = {source.ip for source in everyone if source.is_lawful and source.ip not in guilty}
    # Whoever has traffic of another kind is abused as a sender; that traffic is judged by itself.
    others = {source.ip for source in everyone}
    if known is not None:
        others |= {s.ip for flood in floods for s in flood.sources if known.find(s.ip) is not None}
    actors = [
        actor
        for group, is_forged, campaigns in _judged(groups, seen, traits)
        if (actor := _actor(group, campaigns, is_forged, seen, others if is_forged else lawful)) is not None
    ]
    actors += [callbacks.actor(rung) for rung in destinations.rung_back(counted.dialled)]
    # Who got in comes before who tries.
    actors.sort(key=lambda actor: (not actor.succeeded, -actor.rank.score, -actor.messages, actor.id))
    _details(store, actors, looked_at, asked)
    found = [campaign for actor in actors for campaign in actor.campaigns]
    named = {ip for actor in actors for ip in (*actor.addresses, *actor.victims)}
    # What the log names no source of speaks neither for nor against anybody.
    quiet = [source for source in everyone if source.ip and source.ip not in named]
    report = Report(
        actors, found, _sightings(store, actors, known), counted.first_us, counted.last_us, counted.messages, counted.actions,
        dict(intake.records), dict(sorted(intake.skipped.items())), [*intake.blind, *_blind(counted)], intake.files,
        len({source.ip for source in quiet}), counted.lost, counted.not_looked_at, counted.has_replies,
        _lawful(quiet, [source for source in everyone if source.ip in lawful]),
        forms=[(form.template, form.lines, form.xlog) for form in intake.forms],
    )  # fmt: skip
    return complete(report)


#: Decisions after which a message goes on to the backend.
_PASSES: Final = ("allow", "scrub")


def _effect(sources: list[Source]) -> Effect:
    return Effect(
        sum(source.messages for source in sources), sum(source.total("received") for source in sources),
        sum(source.action(*_PASSES) for source in sources), sum(source.action("scrub") for source in sources),
    )  # fmt: skip


def _lawful(sources: list[Source], others: list[Source]) -> Lawful:
    # What a rule found in a lawful caller's messages takes nothing from how many calls it needs.
    passes = sum(source.action(*_PASSES) for source in sources)
    messages = sum(source.messages for source in sources)
    peaks = (profile.peak_invites for source in (*sources, *others) for profile in source.profiles)
    return Lawful(messages, max(0, messages - passes), max(peaks, default=0))


def _is_research(source: Source) -> bool:
    return bool(source.agents) and all(habits.is_research(agent) for agent in source.agents)


def _blind(counted: Census) -> list[str]:
    """What these records can't show, whatever they came from."""
    found = []
    if counted.counted:
        found.append(
            f"{counted.counted:,} messages were let through and only counted (log.allow says summary or sample): users, numbers, "
            "credentials and answers of these are unknown. Floods and guessing show by their pace alone; a stolen account does not. "
            'log.allow = "each" shows them.'
        )
    if not counted.has_replies and counted.messages:
        found.append("The log holds no answers of the servers: whether anybody got in, or was refused, is unknown.")
    return found


#: Messages of a group for which its busiest minute is worth a question.
_BUSY = 300


def _peak(store: Events, group: list[Source]) -> int:
    if sum(source.messages for source in group) < _BUSY:
        return 0
    return pace.busiest(store, {source.ip for source in group}, census.MINUTE_US)


def _is_candidate(source: Source, guilty: set[str], answers: bool) -> bool:
    """Whether there is anything to look into."""
    if source.has_attack or source.shared or source.ip in guilty or source.guesses or (not answers and source.guessing):
        return True
    if source.is_lawful or source.comes_up:
        return False
    # Nothing that it wanted was granted; most of these turn out to be nobody.
    return bool(
        source.method("REGISTER") or source.method("INVITE") or source.method("OPTIONS") or source.total("option_users")
    )


def _judged(
    groups: list[tuple[Group, bool]], seen: Seen, traits: Traits
) -> Iterator[tuple[Group, bool, list[Campaign]]]:
    """Each group with its campaigns; of a log without answers, those accused of the same are put together where they are one."""
    found = [campaigns_.find(group, seen, is_forged) for group, is_forged in groups]
    changed: Mapping[int, Group | None] = {}
    if not seen.answers:
        asked = [(group, [] if is_forged else own) for (group, is_forged), own in zip(groups, found, strict=True)]
        changed = second_look.places(second_look.join(asked, traits))
    for number, (group, is_forged) in enumerate(groups):
        if number not in changed:
            yield group, is_forged, found[number]
        elif (joined := changed[number]) is not None:
            yield joined, False, campaigns_.find(joined, seen)


def _actor(group: Group, found: list[Campaign], is_forged: bool, seen: Seen, lawful: set[str]) -> Actor | None:
    hits = [hit for source in group.sources for hit in source.hits]
    injected = [hit for source in group.sources for hit in source.injections]
    claimed = {source.ip for source in group.sources if source.is_claimed}
    addresses = {source.ip for source in group.sources if source.ip}
    succeeded = any(campaign.succeeded for campaign in found)
    costs = any(source.ip in seen.costly for source in group.sources)
    held, note = "", ""
    victims = (addresses & lawful if is_forged else set()) | claimed
    addresses -= victims
    lets_in = sum(source.total("accepted") for source in group.sources)
    if is_forged:
        note = "the sources are forged: whoever owns these addresses has nothing to do with it"
    elif group.sources[0].declared:
        note = f"declared as known: {group.sources[0].declared}"
        if not injected or group.sources[0].declared.startswith("scanner"):
            held = "Nothing to do: it is declared as known."
    elif claimed:
        note = (
            _CLAIMED
            if not addresses
            else "some of these messages name an address with an account, which they may have forged"
        )
    elif not seen.answers and any(source.guessing for source in group.sources):
        note = (
            f"other clients at the same address behave: find the one that guesses by its port and User-Agent, {_NO_BAN}"
        )
    elif not (succeeded or injected or costs) and group.sources and all(source.is_lawful for source in group.sources):
        held = "Nothing to do: its calls and registrations are accepted."
        note = "behaves like somebody with an account; what a rule found in its messages is looked at by hand"
    elif any(source.shared for source in group.sources):
        note = f"others at the same address are let in and behave: limit it, find the client by its port and User-Agent, {_NO_BAN}"
    elif costs and any(source.lawful for source in group.sources):
        note = "it has an account, or is a system of somebody who has: probably in wrong hands; ask its owner before it is banned"
    elif any(source.thin for source in group.sources):
        note = "something was accepted from this address once: it may be an account in wrong hands"
    elif not addresses and not injected:
        held = "Nothing to do about senders that the log does not name."
        note = "no line of the log names the source of these messages; they are many senders' rather than one's"
    if not found:
        quiet = _quiet(group, hits)
        if not quiet:
            return None
        held = held or "Nothing to do as long as nothing follows."
        note = note or quiet
    motives = intents.of(found, injected)
    ranked = ranking.rank(found, group.sources, [motive.intent for motive in motives], held)
    if claimed and not addresses and not held:
        ranked.action = (
            _SANITIZE
            if injected
            else "Limit by method and account; no evidence against the address, which has an account and may be forged here."
        )
    methods: Counter[str] = Counter()
    for source in group.sources:
        for profile in source.profiles:
            add(methods, profile.methods)
    identity = hashlib.sha256(
        "\n".join(sorted(addresses | victims) + sorted(group.links) + [c.type for c in found]).encode()
    ).hexdigest()[:10]
    pointers = _pointers(injected)
    actor = Actor(
        f"actor-{identity}", sorted(addresses, key=_address_key), ranked, motives, found, _evidence(found, hits, injected), sorted(pointers),
        min(s.first_us for s in group.sources), max(s.last_us for s in group.sources), sum(s.messages for s in group.sources),
        dict(methods.most_common()), [], 0, sorted({agent for s in group.sources for agent in s.agents})[:20], group.links,
        is_forged or bool(claimed and not addresses), sorted(victims, key=_address_key), note, lets_in, succeeded, pointers, _spans(group),
        effect=_effect(group.sources),
    )  # fmt: skip
    for campaign in found:
        campaign.actor = actor.id
        campaign.sources = [ip for ip in campaign.sources if ip not in victims]
    return actor


_NO_BAN: Final = "don't ban the address"  #: where others behave
#: Said of messages in the name of an address whose traffic is accepted.
_CLAIMED = (
    "over UDP anybody can write this address, and its own calls and registrations are accepted: no evidence against it"
)
_SANITIZE = (
    "Sanitize every SIP header before a backend sees it and parameterize every query that uses one; look for the indicators in "
    "other logs. No evidence against the address that these messages name: don't ban it, ask its owner."
)


def _quiet(group: Group, hits: list[census.Hit]) -> str:
    """Why a group without a campaign is still worth a line; "" if it is not."""
    if (
        any(source.is_failing for source in group.sources)
        and sum(s.total("refused_login") for s in group.sources) >= 10
    ):
        return "registrations are refused again and again at a phone's pace: probably a phone with a wrong password"
    agents = {agent for source in group.sources for agent in source.agents}
    if any(habits.is_research(agent) for agent in agents):
        return "says that it measures the internet"
    if hits:
        return "single odd messages"
    return ""


#: All that a hit says, to look it up by.
_told = operator.attrgetter(*(part.name for part in fields(census.Hit)))


def _evidence(found: list[Campaign], hits: list[census.Hit], injected: list[census.Hit]) -> list[Evidence]:
    """The campaigns, then what rules saw: one line for each text, whatever number of rules fired on it."""
    items = [Evidence("campaign", f"{campaign.type}: {campaign.why}", messages=campaign.messages) for campaign in found]
    texts: dict[tuple[bool, str, str], dict[str, list[census.Hit]]] = {}
    harmful = {_told(hit) for hit in injected}
    for hit in hits:
        texts.setdefault((_told(hit) not in harmful, hit.field, hit.excerpt), {}).setdefault(hit.rule, []).append(hit)
    lines = []
    for (harmless, place, excerpt), rules in texts.items():
        # The same message fires several rules: the most frequent one counts it.
        messages = max(sum(hit.messages for hit in same) for same in rules.values())
        received = max(sum(hit.received for hit in same) for same in rules.values())
        names = ", ".join(sorted(rules))
        lines.append(
            (harmless, -messages, Evidence("rule", f"{names} in {place}", excerpt, place, names, messages, received))
        )
    lines.sort(key=lambda line: (line[0], line[1], line[2].field, line[2].excerpt))
    return (items + [line[2] for line in lines])[:_EVIDENCE]


def _pointers(hits: list[census.Hit]) -> dict[Indicator, tuple[int, int, int]]:
    """What payloads point at: first and last time, and messages. One text on which several rules fired counts once."""
    texts: dict[tuple[str, str], tuple[int, int, int]] = {}
    for hit in hits:
        first, last, count = texts.get((hit.field, hit.excerpt), (hit.first_us, hit.last_us, 0))
        texts[hit.field, hit.excerpt] = min(first, hit.first_us), max(last, hit.last_us), max(count, hit.messages)
    found: dict[Indicator, tuple[int, int, int]] = {}
    for (_, text), (first, last, count) in texts.items():
        for item in indicators.in_payload(text):
            known = found.get(item, (first, last, 0))
            found[item] = min(known[0], first), max(known[1], last), known[2] + count
    return found


def _spans(group: Group) -> dict[str, tuple[int, int, int]]:
    found: dict[str, tuple[int, int, int]] = {}
    for source in group.sources:
        first, last, count = found.get(source.ip, (source.first_us, source.last_us, 0))
        found[source.ip] = min(first, source.first_us), max(last, source.last_us), count + source.messages
    return found


#: Countries and operators that are named of an actor.
_MOST_HOMES: Final = 12


def _details(
    store: Events, actors: list[Actor], looked_at: set[str], asked: dict[str, dict[str, dict[str, int]]]
) -> None:
    """Ports, targets and hours, asked for once for all actors; `asked` has the targets of those at `looked_at` already."""
    ips = {ip for actor in actors for ip in (*actor.addresses, *actor.victims)}
    if not ips:
        return
    ports = census.ports(store, ips)
    hours = census.spans(store, ips)
    others = ips - looked_at
    asked = {**asked, **census.targets(store, others)} if others else asked
    homes = census.homes(store, ips)
    for actor in actors:
        by_port: Counter[int] = Counter()
        by_method: dict[str, Counter[int]] = defaultdict(Counter)
        by_target: Counter[str] = Counter()
        for ip in actor.addresses:
            for port, method, count in ports.get(ip, []):
                by_port[port] += count
                by_method[method][port] += count
            for start, count in hours.get(ip, {}).items():
                actor.hours[start] = actor.hours.get(start, 0) + count
            for users in asked.get(ip, {}).values():
                add(by_target, users)
        counted = Counter(homes[ip] for ip in actor.addresses if ip in homes)
        actor.homes = [home for home, _ in counted.most_common(_MOST_HOMES)]
        actor.ports, actor.port_count = sorted(by_port)[: census.MOST_PORTS], len(by_port)
        actor.port_messages = by_port.most_common(24)
        actor.target_messages = by_target.most_common(24)
        for campaign in actor.campaigns:
            mine = (
                {port for method in campaign.methods[:1] for port in by_method.get(method, {})}
                if campaign.type in campaigns_.FLOODS
                else set(by_port)
            )
            campaign.ports, campaign.port_count = sorted(mine)[: census.MOST_PORTS], len(mine)


def _sightings(store: Events, actors: list[Actor], known: Known | None) -> list[Sighting]:
    """What to look for elsewhere. An address that the operator declared is none, whoever wrote it into a payload."""
    found: dict[Indicator, Sighting] = {}
    by_ip = {ip: actor for actor in actors for ip in (*actor.victims, *actor.addresses)}
    told: set[Indicator] = set()
    for ip, text, count, first, last in census.named_indicators(store):
        for item in indicators.from_record(text):
            owner = by_ip.get(ip)
            told.add(item)
            if _is_declared(item, known):
                continue
            _see(found, item, owner, first, last, count, _how(owner, item))
            if owner is not None and item not in owner.indicators:
                owner.indicators.append(item)
    for actor in actors:
        for item, (first, last, count) in actor.pointers.items():
            # What the guard named in its records is counted there.
            if not _is_declared(item, known):
                _see(found, item, actor, first, last, 0 if item in told else count, _how(actor, item))
        for tool in actor.tools:
            if habits.is_tool(tool):
                _see(
                    found, Indicator("user-agent", tool), actor, actor.first_us, actor.last_us, actor.messages,
                    "name of an attack tool in User-Agent",
                )  # fmt: skip
    for actor in actors:
        if actor.rank.tier is not ranking.Tier.LOW and not actor.spoofed:
            for ip in actor.addresses:
                _see(
                    found,
                    Indicator("source", ip),
                    actor,
                    *actor.spans.get(ip, (actor.first_us, actor.last_us, actor.messages)),
                    "sent "
                    + ", ".join(str(campaign.type).replace("_", " ") for campaign in actor.campaigns)
                    + (f": {_NO_BAN}, others there behave" if _NO_BAN in actor.note else ""),
                )
    order = {actor.id: number for number, actor in enumerate(actors)}
    return sorted(found.values(), key=lambda s: (min((order[a] for a in s.actors), default=len(order)), s.indicator))


def _is_declared(item: Indicator, known: Known | None) -> bool:
    return known is not None and any(known.find(ip) is not None for ip in indicators.addresses(item))


def _how(actor: Actor | None, item: Indicator) -> str:
    """Where an indicator stood, and which rules saw it there."""
    for evidence in actor.evidence if actor is not None else ():
        if evidence.excerpt and item.value in evidence.excerpt and (first := evidence.rule.split(", ")):
            more = f" and {len(first) - 2} more" if len(first) > 2 else ""
            return f"in a payload in the field {evidence.field}, by {', '.join(first[:2])}{more}"
    return "named by the guard in its records"


def _see(
    found: dict[Indicator, Sighting], item: Indicator, actor: Actor | None, first: int, last: int, count: int, how: str
) -> None:
    known = found.setdefault(item, Sighting(item, [], first, last, 0, how))
    if actor is not None and actor.id not in known.actors:
        known.actors.append(actor.id)
    known.first_us, known.last_us = min(known.first_us, first), max(known.last_us, last)
    known.messages += count


def _address_key(ip: str) -> tuple[int, str]:
    parts = ip.split(".")
    return (0, ".".join(part.zfill(3) for part in parts)) if len(parts) == 4 else (1, ip)
