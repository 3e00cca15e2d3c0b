"""From the events table to the ranked report: the one call that puts the steps in their order."""

from __future__ import annotations

import hashlib
from collections import Counter

from . import campaigns as campaigns_
from . import census, forged, habits, indicators, intents, links, ranking
from .campaigns import Campaign, CampaignType
from .census import Census
from .events import Store
from .indicators import Indicator
from .intake import Intake
from .links import Group
from .report import Actor, Evidence, Report, Sighting
from .sources import Source, common_agents, sources

#: Evidence shown of one actor.
_EVIDENCE = 12


def analyze(store: Store, intake: Intake) -> Report:
    """Groups, names and ranks what the store holds. The same events give the same report."""
    counted = census.gather(store)
    floods, profiles = forged.floods(counted.profiles)
    everyone = [source for source in sources(profiles) if source.ip not in counted.servers or source.has_attack]
    rest = [source for source in everyone if _is_candidate(source)]
    asked = census.targets(store, {source.ip for source in rest})
    groups = [(group, True) for group in floods]
    groups += [(group, False) for group in links.group(rest, common_agents(everyone), asked)]
    # Whoever has traffic of another kind is abused as a sender, unless that is an attack too.
    lawful = {source.ip for source in everyone if source.is_lawful}
    innocent = lawful | {source.ip for source in everyone if not source.has_attack or _is_research(source)}
    actors = [
        actor
        for group, is_forged in groups
        if (actor := _actor(group, is_forged, asked, innocent if is_forged else lawful, counted.has_replies))
        is not None
    ]
    actors.sort(key=lambda actor: (-actor.rank.score, -actor.messages, actor.id))
    _details(store, actors)
    found = [campaign for actor in actors for campaign in actor.campaigns]
    seen = {ip for actor in actors for ip in (*actor.addresses, *actor.victims)}
    return Report(
        actors, found, _sightings(store, actors, counted), counted.first_us, counted.last_us, counted.messages, counted.actions,
        dict(intake.records), dict(sorted(intake.skipped.items())), intake.blind, intake.files,
        len({source.ip for source in everyone} - seen), counted.lost, counted.not_looked_at,
    )  # fmt: skip


def _is_research(source: Source) -> bool:
    return bool(source.agents) and all(habits.is_research(agent) for agent in source.agents)


def _is_candidate(source: Source) -> bool:
    """Whether there is anything to look into."""
    if source.has_attack:
        return True
    if source.is_lawful:
        return False
    # Nothing that it wanted was granted; most of these turn out to be nobody.
    return bool(
        source.method("REGISTER") or source.method("INVITE") or source.method("OPTIONS") or source.total("option_users")
    )


def _actor(
    group: Group,
    is_forged: bool,
    asked: dict[str, dict[str, dict[str, int]]],
    lawful: set[str],
    answers: bool,
) -> Actor | None:
    found = campaigns_.find(group, asked, is_forged, answers)
    hits = [hit for source in group.sources for hit in source.hits]
    injected = [hit for source in group.sources for hit in source.injections]
    addresses = {source.ip for source in group.sources if source.ip}
    held, note = "", ""
    victims = sorted(addresses & lawful)
    spoofed = is_forged
    if not is_forged and victims:
        good = all(source.is_lawful for source in group.sources)
        if good:
            held = "Nothing to do: its calls and registrations are accepted."
            note = "behaves like somebody with an account; what a rule found in its messages is looked at by hand"
            victims = []
        elif len(addresses) == len(victims):
            spoofed = not any(source.streams for source in group.sources)
            if spoofed:
                held = "Do not ban: the address has lawful calls of its own, and these messages may carry it forged."
                note = "another client at this address is accepted; over UDP these messages may be forged in its name"
    if not addresses and not injected:
        held = "Nothing to do about senders that the log does not name."
        note = "no line of the log names the source of these messages; they are many senders' rather than one's"
    if not found:
        quiet = _quiet(group, hits)
        if not quiet:
            return None
        held = held or "Nothing to do as long as nothing follows."
        note = note or quiet
    motives = intents.of(found, injected)
    if is_forged:
        note = "the sources are forged: whoever owns these addresses has nothing to do with it"
    ranked = ranking.rank(found, group.sources, [motive.intent for motive in motives], held)
    if is_forged:
        ranked.action = "Do not ban the sources: they are forged. Limit by method before any state is kept, and ask the upstream provider to filter."
        addresses -= set(victims)
    if not spoofed:
        victims = []
    methods: Counter[str] = Counter()
    for source in group.sources:
        for profile in source.profiles:
            methods.update(profile.methods)
    identity = hashlib.sha256(
        "\n".join(sorted(addresses | set(victims)) + sorted(group.links) + [c.type for c in found]).encode()
    ).hexdigest()[:10]
    actor = Actor(
        f"actor-{identity}", sorted(addresses or victims, key=_address_key), ranked, motives, found, _evidence(found, hits, injected), _pointers(injected),
        min(s.first_us for s in group.sources), max(s.last_us for s in group.sources), sum(s.messages for s in group.sources),
        dict(methods.most_common()), [], 0, sorted({agent for s in group.sources for agent in s.agents})[:20], group.links,
        spoofed, victims if is_forged or spoofed else [], note, sum(s.total("accepted") for s in group.sources),
    )  # fmt: skip
    for campaign in found:
        campaign.actor = actor.id
    return actor


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


def _evidence(found: list[Campaign], hits: list[census.Hit], injected: list[census.Hit]) -> list[Evidence]:
    """The campaigns, then what rules saw: one line for each text, whatever number of rules fired on it."""
    items = [Evidence("campaign", f"{campaign.type}: {campaign.why}", messages=campaign.messages) for campaign in found]
    texts: dict[tuple[bool, str, str], dict[str, list[census.Hit]]] = {}
    for hit in hits:
        texts.setdefault((hit not in injected, hit.field, hit.excerpt), {}).setdefault(hit.rule, []).append(hit)
    lines = []
    for (harmless, field, excerpt), rules in texts.items():
        # The same message fires several rules: the most frequent one counts it.
        messages = max(sum(hit.messages for hit in same) for same in rules.values())
        received = max(sum(hit.received for hit in same) for same in rules.values())
        names = ", ".join(sorted(rules))
        lines.append(
            (harmless, -messages, Evidence("rule", f"{names} in {field}", excerpt, field, names, messages, received))
        )
    lines.sort(key=lambda line: (line[0], line[1], line[2].field, line[2].excerpt))
    return (items + [line[2] for line in lines])[:_EVIDENCE]


def _pointers(hits: list[census.Hit]) -> list[Indicator]:
    found: set[Indicator] = set()
    for hit in hits:
        found.update(indicators.in_payload(hit.excerpt))
    return sorted(found)


def _details(store: Store, actors: list[Actor]) -> None:
    """Ports, targets and hours, asked for once for all actors."""
    ips = {ip for actor in actors for ip in (*actor.addresses, *actor.victims)}
    if not ips:
        return
    ports = census.ports(store, ips)
    hours = census.spans(store, ips)
    asked = census.targets(store, ips)
    for actor in actors:
        by_port: Counter[int] = Counter()
        by_method: dict[str, Counter[int]] = {}
        by_target: Counter[str] = Counter()
        for ip in actor.addresses:
            for port, method, count in ports.get(ip, []):
                by_port[port] += count
                by_method.setdefault(method, Counter())[port] += count
            for start, count in hours.get(ip, {}).items():
                actor.hours[start] = actor.hours.get(start, 0) + count
            for users in asked.get(ip, {}).values():
                by_target.update(users)
        actor.ports, actor.port_count = sorted(by_port)[: census.MOST_PORTS], len(by_port)
        actor.port_messages = by_port.most_common(24)
        actor.target_messages = by_target.most_common(24)
        for campaign in actor.campaigns:
            mine = (
                {port for method in campaign.methods[:1] for port in by_method.get(method, {})}
                if campaign.type is CampaignType.FLOOD
                else set(by_port)
            )
            campaign.ports, campaign.port_count = sorted(mine)[: census.MOST_PORTS], len(mine)


def _sightings(store: Store, actors: list[Actor], counted: Census) -> list[Sighting]:
    found: dict[Indicator, Sighting] = {}
    by_ip = {ip: actor for actor in actors for ip in actor.addresses}
    for actor in actors:
        for item in actor.indicators:
            _see(found, item, actor, actor.first_us, actor.last_us, max(e.messages for e in actor.evidence))
        for tool in actor.tools:
            if habits.is_tool(tool):
                _see(found, Indicator("user-agent", tool), actor, actor.first_us, actor.last_us, actor.messages)
    for ip, text, count, first, last in census.named_indicators(store):
        for item in indicators.from_record(text):
            owner = by_ip.get(ip)
            _see(found, item, owner, first, last, count)
            if owner is not None and item not in owner.indicators:
                owner.indicators.append(item)
    for actor in actors:
        if actor.rank.tier is not ranking.Tier.LOW and not actor.spoofed:
            for ip in actor.addresses:
                _see(found, Indicator("source", ip), actor, actor.first_us, actor.last_us, actor.messages)
    order = {actor.id: number for number, actor in enumerate(actors)}
    return sorted(found.values(), key=lambda s: (min((order[a] for a in s.actors), default=len(order)), s.indicator))


def _see(
    found: dict[Indicator, Sighting], item: Indicator, actor: Actor | None, first: int, last: int, count: int
) -> None:
    known = found.setdefault(item, Sighting(item, [], first, last, 0))
    if actor is not None and actor.id not in known.actors:
        known.actors.append(actor.id)
    known.first_us, known.last_us = min(known.first_us, first), max(known.last_us, last)
    known.messages += count


def _address_key(ip: str) -> tuple[int, str]:
    parts = ip.split(".")
    return (0, ".".join(part.zfill(3) for part in parts)) if len(parts) == 4 else (1, ip)
