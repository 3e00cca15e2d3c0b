"""Asks the events table who sent what: one row a source and client, by expressions that any Ibis engine can run."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from . import tallies
from .asking import Events
from .attribution.destinations import Dialled, dialled, numbers
from .attribution.exchanges import Calls, Login, answers, called, calls, exchanges, logins, tried
from .later import later
from .readers.told import MADE

if TYPE_CHECKING:
    import ibis
    from ibis.expr.types import Table
else:
    ibis = later("ibis")

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
    census = _totals(store)
    census.servers.update(servers)
    census.has_replies |= has_replies
    asked, census.agents = _bounded(store)

    def dicts(question: str, expression: Callable[[], Table]) -> list[dict[str, Any]]:
        # What was prepared knows of no clients that go by one name.
        return store.dicts("" if census.agents else question, expression)

    rows = dicts("profiles", lambda: profiles_of(asked()))
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
        pairs = dicts("", lambda: asked().select("ip", "agent").distinct().aggregate(lambda t: t.count().name("n")))
        census.not_looked_at = max(0, int(pairs[0]["n"]) - len(profiles))
    for row in dicts("clients", lambda: clients(asked())):
        if (known := profiles.get((row["ip"], row["agent"]))) is not None:
            known.clients = sorted(row["clients"])
    if census.has_replies:
        exact = bool(dicts("credentials", lambda: credentials(asked()))[0]["n"])
        # Asked four times, worked out once.
        question = "" if census.agents else "exchanges_exact" if exact else "exchanges"
        store.keep("exchanged", question, lambda: exchanges(store.events, asked(), exact))
        for row in store.dicts("answers", lambda: answers(store.table("exchanged"))):
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
        census.logins = logins(store.dicts("logins", lambda: tried(store.table("exchanged"))))
        census.calls = calls(store.dicts("calls", lambda: called(store.table("exchanged"))))
        dials = dicts("dialled_answered", lambda: numbers(asked(), store.table("exchanged")))
    else:
        dials = dicts("dialled", lambda: numbers(asked(), None))
    census.dialled = dialled(dials)
    for row in dicts("hits", lambda: hits(asked())):
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


def totals(events: Table) -> Table:
    """Messages by kind and action, and whether they are answers."""
    return events.group_by("kind", "action", reply=(events.type == "reply").fill_null(False)).aggregate(
        messages=events.messages.sum(), first_us=events.time_us.min(), last_us=events.end_us.max()
    )


def servers_of(events: Table) -> Table:
    """Who answers, with how often."""
    replies = events.filter(events.type == "reply", events.ip.notnull())
    return replies.group_by("ip").aggregate(n=replies.count()).order_by([ibis.desc("n"), "ip"]).limit(1000)


def credentials(asked: Table) -> Table:
    """Whether any request is known to carry credentials: 1 or 0."""
    return asked.filter(asked.authorization).limit(1).aggregate(lambda t: t.count().name("n"))


def _totals(store: Events) -> Census:
    census = Census([])
    for row in store.dicts("totals", lambda: totals(store.events)):
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
        census.servers = {row["ip"] for row in store.dicts("servers", lambda: servers_of(store.events))}
    return census


def profiles_of(asked: Table) -> Table:
    """A row a source and client, those with findings first, then those with the most messages."""
    both = tallies.tallies(asked)
    return both.order_by([ibis.desc("flagged"), ibis.desc("messages"), both.ip, both.agent]).limit(MOST_SOURCES)


def busy_of(asked: Table) -> Table:
    """Addresses with more clients than are told apart, and how many these are."""
    pairs = asked.group_by(asked.ip, asked.agent).aggregate(n=asked.messages.sum())
    per = pairs.group_by(pairs.ip).aggregate(agents=pairs.count())
    return per.filter(per.agents > MOST_AGENTS)


def _bounded(store: Events) -> tuple[Callable[[], Table], dict[str, int]]:
    """Requests with the rarer of an address's many User-Agents under one name, and how many there are."""
    asked = functools.cache(lambda: requests(store.events))
    rows = store.dicts("busy", lambda: busy_of(asked()))
    busy = {row["ip"]: int(row["agents"]) for row in rows}
    return (functools.cache(lambda: _renamed(store, asked(), busy)) if busy else asked), busy


def _renamed(store: Events, asked: Table, busy: Collection[str]) -> Table:
    import pyarrow as pa

    from .quick import memory, texts

    store.choose(busy)
    pairs = only(asked, store.chosen).group_by("ip", "agent").aggregate(lambda t: t.messages.sum().name("n"))
    w = ibis.window(group_by=["ip"], order_by=[ibis.desc("n"), pairs.agent])
    ranked = pairs.mutate(rank=ibis.row_number().over(w))
    rows = store.dicts("", lambda: ranked.filter(ranked["rank"] < MOST_AGENTS).select("ip", "agent"))
    columns = {"ip": texts([row["ip"] for row in rows]), "agent": texts([row["agent"] for row in rows])}
    kept = memory(**columns, kept=pa.repeat(True, len(rows)))
    many = memory(ip=texts(sorted(busy)), many=pa.repeat(True, len(busy)))
    joined = asked.left_join(kept, ["ip", "agent"]).select(*asked.columns, "kept").left_join(many, "ip")
    agent = ibis.ifelse(joined.many.fill_null(False) & ~joined.kept.fill_null(False), VARIOUS, joined.agent)
    return joined.mutate(agent=agent).select(*asked.columns)


def clients(asked: Table) -> Table:
    """The four fingerprints that each source shows most."""
    t = asked.filter(asked.client.notnull())
    counted = t.group_by("ip", "agent", "client").aggregate(n=t.messages.sum())
    w = ibis.window(group_by=["ip", "agent"], order_by=[ibis.desc("n"), counted.client])
    ranked = counted.mutate(rank=ibis.row_number().over(w))
    kept = ranked.filter(ranked["rank"] < 4)
    return kept.group_by("ip", "agent").aggregate(clients=kept.client.collect())


def hits(asked: Table) -> Table:
    """What rules found, by source and client."""
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


def only(asked: Table, chosen: Table) -> Table:
    """What these addresses sent."""
    return asked.semi_join(chosen, "ip")


def targets(store: Events, ips: Iterable[str], without: Collection[str] = ()) -> dict[str, dict[str, dict[str, int]]]:
    """Per source and method: the users or numbers asked for, with how often, the most asked first.

    What User-Agents in `without` asked for is left out.
    """
    store.choose(ips)
    found: dict[str, dict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
    question = "" if without else "targets"
    for ip, method, _, user, n in store.rows(
        question, lambda: wanted(requests(store.events), store.chosen, sorted(without))
    ):
        found[ip][method][user] = n
    return found


def wanted(asked: Table, chosen: Table, without: Collection[str] = ()) -> Table:
    """For `targets`."""
    t = only(asked, chosen)
    if without:
        t = t.filter(t.agent.notin(without))
    t = t.mutate(**tallies.uris(t)).group_by("ip", "method", "first", "second").aggregate(n=t.messages.sum())
    t = t.mutate(user=tallies.whom(t))
    counted = t.group_by("ip", "method", "user").aggregate(n=t.n.sum(), named=t.user.count())
    # Asked of the user itself, DuckDB takes users out of each message's URIs once more before it puts these together.
    counted = counted.filter(counted.named > 0)
    w = ibis.window(group_by=["ip", "method"], order_by=[ibis.desc("n"), counted.user])
    counted = counted.mutate(rank=ibis.row_number().over(w))
    kept = counted.filter(counted["rank"] < MOST_TARGETS).select("ip", "method", "rank", "user", "n")
    return kept.order_by(["ip", "method", "rank"])


def ports(store: Events, ips: Iterable[str]) -> dict[str, list[tuple[int, str, int]]]:
    """Per source: its ports with method and messages, the busiest first."""
    store.choose(ips)
    found: dict[str, list[tuple[int, str, int]]] = defaultdict(list)
    for ip, _, port, method, n in store.rows("ports", lambda: used(requests(store.events), store.chosen)):
        found[ip].append((port, method, n))
    return found


def used(asked: Table, chosen: Table) -> Table:
    """For `ports`."""
    t = only(asked, chosen)
    t = t.filter(t.port.notnull())
    counted = t.group_by("ip", "port", "method").aggregate(n=t.messages.sum())
    w = ibis.window(group_by=["ip"], order_by=[ibis.desc("n"), counted.port, counted.method])
    counted = counted.mutate(rank=ibis.row_number().over(w))
    kept = counted.filter(counted["rank"] < MOST_PORTS).select("ip", "rank", "port", "method", "n")
    return kept.order_by(["ip", "rank"])


def spans(store: Events, ips: Iterable[str], step_us: int = HOUR_US) -> dict[str, dict[int, int]]:
    """Per source: messages by time step, keyed by the step's start in microseconds."""
    store.choose(ips)
    found: dict[str, dict[int, int]] = defaultdict(dict)
    question = "hours" if step_us == HOUR_US else ""
    for ip, step, n in store.rows(question, lambda: steps(requests(store.events), store.chosen, step_us)):
        found[ip][step * step_us] = n
    return found


def steps(asked: Table, chosen: Table, step_us: int) -> Table:
    """For `spans`."""
    t = only(asked, chosen)
    counted = t.group_by("ip", step=t.time_us // step_us).aggregate(n=t.messages.sum())
    return counted.select("ip", "step", "n").order_by(["ip", "step"])


def homes(store: Events, ips: Iterable[str]) -> dict[str, str]:
    """Per source where its address is at home, `NL, AS64500 Example Networks`, as its last record has it; those that have it."""
    store.choose(ips)
    return dict(store.rows("homes", lambda: last_homes(requests(store.events), store.chosen)))


def last_homes(asked: Table, chosen: Table) -> Table:
    """For `homes`."""
    t = only(asked, chosen)
    t = t.filter(t.home.notnull())
    return t.group_by("ip").aggregate(home=t.home.argmax(t.time_us))


def named_indicators(store: Events) -> list[tuple[str, str, int, int, int]]:
    """Indicators that the guard itself put into records: source, JSON text, messages, first and last time."""
    return [
        (ip, text, n, first, last) for ip, text, n, first, last in store.rows("indicators", lambda: named(store.events))
    ]


def named(events: Table) -> Table:
    """For `named_indicators`."""
    t = events.filter(events.indicators.notnull())
    counted = t.group_by(ip=t.ip.fill_null(""), text=t.indicators).aggregate(
        n=t.messages.sum(), first_us=t.time_us.min(), last_us=t.time_us.max()
    )
    rows = counted.order_by([ibis.desc("n"), "text", "ip"]).limit(10_000)
    return rows.select("ip", "text", "n", "first_us", "last_us")
