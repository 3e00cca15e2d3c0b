"""Asks the events table who sent what: one row a source and client, by expressions that any Ibis engine can run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import ibis
import pyarrow as pa
from ibis.expr.types import Table

from . import tallies
from .attribution.destinations import Dialled, dialled
from .attribution.exchanges import Calls, Login, answers, calls, exchanges, logins
from .events import Events
from .quick import memory, texts
from .readers.told import MADE

#: Sources looked at one by one. A flood of forged addresses may bring more; the rest is counted together.
MOST_SOURCES: Final = 200_000

#: Targets, excerpts and ports kept of one source: enough to compare target sets, bounded for whoever sends millions.
MOST_TARGETS: Final = 512
MOST_EXCERPTS: Final = 12
MOST_PORTS: Final = 256

#: Clients told apart at one address; whoever calls himself something else each time has one profile for the rest.
MOST_AGENTS: Final = 16

#: What the clients beyond those are called.
VARIOUS: Final = "(various)"

MINUTE_US: Final = tallies.MINUTE_US
HOUR_US: Final = 3600 * 1_000_000


@dataclass(slots=True)
class Hit:
    """One rule on one field of one source: how often, with what text, and what became of it."""

    rule: str
    family: str
    field: str
    excerpt: str
    score: int
    messages: int
    received: int
    first_us: int
    last_us: int
    method: str = ""
    #: Whether each of these messages came over a connection, so that its address is the sender's own.
    streams: bool = False


@dataclass(slots=True)
class Profile:
    """What one client (User-Agent) at one address did. Times in microseconds since the epoch."""

    ip: str
    agent: str
    messages: int = 0
    first_us: int = 0
    last_us: int = 0
    methods: dict[str, int] = field(default_factory=dict)
    actions: dict[str, int] = field(default_factory=dict)
    #: Messages that the backend received.
    received: int = 0
    ports: int = 0
    streams: bool = False
    minutes: int = 0
    hours: int = 0
    peak: int = 0
    peak_invites: int = 0
    register_users: int = 0
    invite_users: int = 0
    option_users: int = 0
    from_users: int = 0
    hosts: int = 0
    register_calls: int = 0
    invite_calls: int = 0
    calls: int = 0
    authorized: int = 0
    #: Of calls and registrations that were answered: 2xx, refused credentials more than once, other final refusals.
    accepted: int = 0
    challenged: int = 0
    refused_login: int = 0
    refused: int = 0
    answered: int = 0
    #: Registrations and calls that were accepted, and answered challenges of a call that came to nothing.
    registered: int = 0
    called: int = 0
    round_trips: int = 0
    dialogs: int = 0
    #: Messages that are known as counts alone.
    counted: int = 0
    #: Fingerprints of what it sends (sip.client), the most frequent first.
    clients: list[str] = field(default_factory=list)
    call_low: str = ""
    call_high: str = ""
    llac_low: str = ""
    llac_high: str = ""
    from_low: str = ""
    from_high: str = ""
    hits: list[Hit] = field(default_factory=list)

    def method(self, name: str) -> int:
        """Messages of that method."""
        return self.methods.get(name, 0)


@dataclass(slots=True)
class Census:
    """Everything that the grouping needs, small beside the events that it came from."""

    profiles: list[Profile]
    messages: int = 0
    replies: int = 0
    first_us: int = 0
    last_us: int = 0
    actions: dict[str, int] = field(default_factory=dict)
    #: Addresses that answer requests: servers.
    servers: set[str] = field(default_factory=set)
    has_replies: bool = False
    not_looked_at: int = 0
    lost: int = 0
    #: User-Agents by address where there were more than are told apart.
    agents: dict[str, int] = field(default_factory=dict)
    #: Messages that were let through and are known as counts alone.
    counted: int = 0
    #: Who tried and used which account.
    logins: list[Login] = field(default_factory=list)
    calls: list[Calls] = field(default_factory=list)
    #: Telephone numbers by caller.
    dialled: list[Dialled] = field(default_factory=list)


def requests(events: Table) -> Table:
    """Requests, malformed messages and counts, with what is asked of them worked out."""
    wanted = events.filter(events.kind.isin(["event", "metric"]), (events.type != "reply") | events.type.isnull())
    return wanted.mutate(
        # The guard writes 0.0.0.0 where an interval had more sources than it could count apart.
        ip=wanted.ip.nullif("0.0.0.0").fill_null(""),
        agent=wanted.agent.fill_null(""),
        method=wanted.method.fill_null(""),
        user_to=tallies.user(wanted.to_uri),
        user_from=tallies.user(wanted.from_uri),
        user_uri=ibis.coalesce(tallies.user(wanted.uri), tallies.user(wanted.to_uri)),
        minute=wanted.time_us // MINUTE_US,
    )


def gather(store: Events, servers: Collection[str] = (), has_replies: bool = False) -> Census:
    """Reads the census out of the store. `servers` and `has_replies` are what is known beside its events."""
    events = store.events
    census = _totals(events)
    census.servers.update(servers)
    census.has_replies |= has_replies
    asked, census.agents = _bounded(requests(events))
    rows = _profiles(asked).to_pyarrow().to_pylist()
    profiles: dict[tuple[str, str], Profile] = {}
    for row in rows:
        profile = profiles[row["ip"], row["agent"]] = Profile(row["ip"], row["agent"])
        for name in ("messages", "first_us", "last_us", "ports", "minutes", "hours", "register_users", "invite_users", "option_users",
                     "from_users", "register_calls", "invite_calls", "calls", "authorized", "hosts", "counted", "received",
                     "dialogs"):  # fmt: skip
            setattr(profile, name, int(row[name] or 0))
        for name in ("call_low", "call_high", "llac_low", "llac_high", "from_low", "from_high"):
            # Call-IDs that were made here say nothing about who sent them.
            made = f"@{MADE}" in (row["call_high"] or "") or f"@{MADE}" in (row["call_low"] or "")
            setattr(profile, name, "" if made and name != "from_low" and name != "from_high" else row[name] or "")
        profile.peak, profile.peak_invites = (
            int(row[name] or 0) // tallies.SHARES for name in ("peak", "peak_invites")
        )
        profile.streams = bool(row["streams"])
        profile.methods = {name: int(row[f"n_{name}"]) for name in tallies.METHODS if row[f"n_{name}"]}
        profile.actions = {name: int(row[f"a_{name}"]) for name in tallies.ACTIONS if row[f"a_{name}"]}
    if len(rows) >= MOST_SOURCES:
        pairs = asked.select("ip", "agent").distinct().count().to_pyarrow().as_py()
        census.not_looked_at = max(0, int(pairs) - len(profiles))
    for row in _clients(asked).to_pyarrow().to_pylist():
        if (known := profiles.get((row["ip"], row["agent"]))) is not None:
            known.clients = sorted(row["clients"])
    exchanged = None
    if census.has_replies:
        exact = bool(asked.filter(asked.authorization).limit(1).count().to_pyarrow().as_py())
        # Asked thrice, worked out once.
        exchanged = store.kept("exchanges", exchanges(events, asked, exact))
        for row in answers(exchanged).to_pyarrow().to_pylist():
            if (known := profiles.get((row["ip"], row["agent"]))) is not None:
                for name in (
                    "accepted",
                    "challenged",
                    "refused_login",
                    "refused",
                    "answered",
                    "registered",
                    "called",
                    "round_trips",
                ):
                    setattr(known, name, int(row[name] or 0))
        census.logins = logins(exchanged)
        census.calls = calls(exchanged)
    census.dialled = dialled(asked, exchanged)
    for row in _hits(asked).to_pyarrow().to_pylist():
        if (known := profiles.get((row["ip"], row["agent"]))) is not None:
            known.hits.append(
                Hit(row["rule"] or "", row["family"] or "", row["place"] or "", row["text"] or "", int(row["score"] or 0), int(row["messages"]),
                    int(row["received"] or 0), int(row["first_us"]), int(row["last_us"]), row["method"] or "", bool(row["streams"]))
            )  # fmt: skip
    # The engine hands rows out in any order; the report must not depend on it.
    census.profiles = [profiles[key] for key in sorted(profiles)]
    for profile in census.profiles:
        profile.hits.sort(key=lambda h: (h.rule, h.field, h.method, h.excerpt, h.first_us))
    return census


def _totals(events: Table) -> Census:
    census = Census([])
    for row in events.group_by("kind", "action", reply=(events.type == "reply").fill_null(False)).aggregate(
        messages=events.messages.sum(), first_us=events.time_us.min(), last_us=events.end_us.max()
    ).to_pyarrow().to_pylist():  # fmt: skip
        if (row["kind"], row["action"]) == ("state", "lost"):
            census.lost += row["messages"] or 0
        if row["kind"] not in ("event", "metric"):
            continue
        if (row["kind"], row["action"]) == ("metric", "allow"):
            census.counted += row["messages"]
        census.messages += row["messages"]
        census.replies += row["messages"] if row["reply"] else 0
        census.first_us = min(census.first_us or row["first_us"], row["first_us"])
        census.last_us = max(census.last_us, row["last_us"])
        census.actions[row["action"]] = census.actions.get(row["action"], 0) + row["messages"]
    census.has_replies = census.replies > 0
    if census.has_replies:
        replies = events.filter(events.type == "reply", events.ip.notnull())
        final = replies.group_by("ip").aggregate(n=replies.count()).order_by([ibis.desc("n"), "ip"]).limit(1000)
        census.servers = {row["ip"] for row in final.to_pyarrow().to_pylist()}
    return census


def _profiles(asked: Table) -> Table:
    both = tallies.tallies(asked)
    return both.order_by([ibis.desc("flagged"), ibis.desc("messages"), both.ip, both.agent]).limit(MOST_SOURCES)


def _bounded(asked: Table) -> tuple[Table, dict[str, int]]:
    """Requests with the rarer of an address's many User-Agents under one name, and how many there are."""
    pairs = asked.group_by(asked.ip, asked.agent).aggregate(n=asked.messages.sum())
    per = pairs.group_by(pairs.ip).aggregate(agents=pairs.count())
    busy = {row["ip"]: int(row["agents"]) for row in per.filter(per.agents > MOST_AGENTS).to_pyarrow().to_pylist()}
    if not busy:
        return asked, {}
    w = ibis.window(group_by=["ip"], order_by=[ibis.desc("n"), pairs.agent])
    ranked = only(pairs, busy).mutate(rank=ibis.row_number().over(w))
    rows = ranked.filter(ranked["rank"] < MOST_AGENTS).select("ip", "agent").to_pyarrow().to_pylist()
    columns = {"ip": texts([row["ip"] for row in rows]), "agent": texts([row["agent"] for row in rows])}
    kept = memory(**columns, kept=pa.repeat(True, len(rows)))
    many = memory(ip=texts(sorted(busy)), many=pa.repeat(True, len(busy)))
    joined = asked.left_join(kept, ["ip", "agent"]).select(*asked.columns, "kept").left_join(many, "ip")
    agent = ibis.ifelse(joined.many.fill_null(False) & ~joined.kept.fill_null(False), VARIOUS, joined.agent)
    return joined.mutate(agent=agent).select(*asked.columns), busy


def _clients(asked: Table) -> Table:
    """The four fingerprints that each source shows most."""
    t = asked.filter(asked.client.notnull())
    counted = t.group_by("ip", "agent", "client").aggregate(n=t.messages.sum())
    w = ibis.window(group_by=["ip", "agent"], order_by=[ibis.desc("n"), counted.client])
    ranked = counted.mutate(rank=ibis.row_number().over(w))
    kept = ranked.filter(ranked["rank"] < 4)
    return kept.group_by("ip", "agent").aggregate(clients=kept.client.collect())


def _hits(asked: Table) -> Table:
    t = asked.filter(asked.findings.length() > 0)
    t = t.select(
        "ip", "agent", "method", "messages", "action", "enforced", "time_us", "transport", finding=t.findings.unnest()
    )
    t = t.mutate(
        connected=t.transport.isin(["tcp", "tls", "ws", "wss"]),
        rule=t.finding.rule, family=t.finding.family, place=t.finding.field, text=t.finding.excerpt.substr(0, 300), score=t.finding.score,
        reached=t.messages * tallies.reached(t).cast("int64"),
    )  # fmt: skip
    grouped = t.group_by("ip", "agent", "rule", "family", "place", "method", "text").aggregate(
        score=t.score.max(),
        messages=t.messages.sum(),
        received=t.reached.sum(),
        first_us=t.time_us.min(),
        last_us=t.time_us.max(),
        streams=t.connected.all(),
    )
    # Whoever sends a new text each time has one row for all that are too many.
    w = ibis.window(
        group_by=["ip", "agent", "rule", "place"],
        order_by=[ibis.desc("messages"), grouped.first_us, grouped.text, grouped.method, grouped.family],
    )
    ranked = grouped.mutate(rank=ibis.row_number().over(w))
    ranked = ranked.mutate(text=ibis.ifelse(ranked["rank"] < MOST_EXCERPTS, ranked.text, ""))
    return ranked.group_by("ip", "agent", "rule", "family", "place", "method", "text").aggregate(
        score=ranked.score.max(), messages=ranked.messages.sum(), received=ranked.received.sum(),
        first_us=ranked.first_us.min(), last_us=ranked.last_us.max(), streams=ranked.streams.all(),
    )  # fmt: skip


def _rows(table: Table) -> Iterator[tuple[Any, ...]]:
    """An expression's rows, a part of them at a time: a dictionary for each of a million would take a gigabyte."""
    for batch in table.to_pyarrow().to_batches(max_chunksize=65_536):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def only(asked: Table, ips: Iterable[str]) -> Table:
    """What these addresses sent."""
    return asked.semi_join(memory(ip=texts(sorted(ips))), "ip")


def targets(store: Events, ips: Iterable[str], without: Collection[str] = ()) -> dict[str, dict[str, dict[str, int]]]:
    """Per source and method: the users or numbers asked for, with how often, the most asked first.

    What User-Agents in `without` asked for is left out.
    """
    t = only(requests(store.events), ips)
    if without:
        t = t.filter(t.agent.notin(sorted(without)))
    t = t.mutate(**tallies.uris(t)).group_by("ip", "method", "first", "second").aggregate(n=t.messages.sum())
    t = t.mutate(user=tallies.whom(t))
    counted = t.filter(t.user.notnull()).group_by("ip", "method", "user").aggregate(n=t.n.sum())
    w = ibis.window(group_by=["ip", "method"], order_by=[ibis.desc("n"), counted.user])
    counted = counted.mutate(rank=ibis.row_number().over(w))
    found: dict[str, dict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
    kept = counted.filter(counted["rank"] < MOST_TARGETS).select("ip", "method", "rank", "user", "n")
    for ip, method, _, user, n in _rows(kept.order_by(["ip", "method", "rank"])):
        found[ip][method][user] = n
    return found


def ports(store: Events, ips: Iterable[str]) -> dict[str, list[tuple[int, str, int]]]:
    """Per source: its ports with method and messages, the busiest first."""
    t = only(requests(store.events), ips)
    t = t.filter(t.port.notnull())
    counted = t.group_by("ip", "port", "method").aggregate(n=t.messages.sum())
    w = ibis.window(group_by=["ip"], order_by=[ibis.desc("n"), counted.port, counted.method])
    counted = counted.mutate(rank=ibis.row_number().over(w))
    found: dict[str, list[tuple[int, str, int]]] = defaultdict(list)
    kept = counted.filter(counted["rank"] < MOST_PORTS).select("ip", "rank", "port", "method", "n")
    for ip, _, port, method, n in _rows(kept.order_by(["ip", "rank"])):
        found[ip].append((port, method, n))
    return found


def spans(store: Events, ips: Iterable[str], step_us: int = HOUR_US) -> dict[str, dict[int, int]]:
    """Per source: messages by time step, keyed by the step's start in microseconds."""
    t = only(requests(store.events), ips)
    counted = t.group_by("ip", step=t.time_us // step_us).aggregate(n=t.messages.sum())
    found: dict[str, dict[int, int]] = defaultdict(dict)
    for ip, step, n in _rows(counted.select("ip", "step", "n").order_by(["ip", "step"])):
        found[ip][step * step_us] = n
    return found


def homes(store: Events, ips: Iterable[str]) -> dict[str, str]:
    """Per source where its address is at home, `NL, AS64500 Example Networks`, as its last record has it; those that have it."""
    t = only(requests(store.events), ips)
    t = t.filter(t.home.notnull())
    last = t.group_by("ip").aggregate(home=t.home.argmax(t.time_us))
    return {row["ip"]: row["home"] for row in last.to_pyarrow().to_pylist()}


def named_indicators(store: Events) -> list[tuple[str, str, int, int, int]]:
    """Indicators that the guard itself put into records: source, JSON text, messages, first and last time."""
    t = store.events
    t = t.filter(t.indicators.notnull())
    counted = t.group_by(ip=t.ip.fill_null(""), text=t.indicators).aggregate(
        n=t.messages.sum(), first_us=t.time_us.min(), last_us=t.time_us.max()
    )
    rows = counted.order_by([ibis.desc("n"), "text", "ip"]).limit(10_000).to_pyarrow().to_pylist()
    return [(row["ip"], row["text"], row["n"], row["first_us"], row["last_us"]) for row in rows]
