"""Asks the events table who sent what: one row a source and client, by expressions that any Ibis engine can run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import ibis
from ibis.expr.types import Table

from .events import Store

#: Sources looked at one by one. A flood of forged addresses may bring more; the rest is counted together.
MOST_SOURCES: Final = 200_000

#: Targets, excerpts and ports kept of one source: enough to compare target sets, bounded for whoever sends millions.
MOST_TARGETS: Final = 512
MOST_EXCERPTS: Final = 12
MOST_PORTS: Final = 256

MINUTE_US: Final = 60_000_000
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
    dialogs: int = 0
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


def _user(uri: Any) -> Any:
    return uri.re_extract(r"^[A-Za-z]+:([^@>]*)@", 1).nullif("")


_METHODS: Final = ("REGISTER", "INVITE", "OPTIONS", "ACK", "BYE", "CANCEL", "SUBSCRIBE", "MESSAGE", "NOTIFY")
_ACTIONS: Final = ("allow", "scrub", "reject", "drop", "error", "banned")


def requests(events: Table) -> Table:
    """Requests, malformed messages and counts, with what is asked of them worked out."""
    wanted = events.filter(events.kind.isin(["event", "metric"]), (events.type != "reply") | events.type.isnull())
    return wanted.mutate(
        # The guard writes 0.0.0.0 where an interval had more sources than it could count apart.
        ip=wanted.ip.nullif("0.0.0.0").fill_null(""),
        agent=wanted.agent.fill_null(""),
        method=wanted.method.fill_null(""),
        user_to=_user(wanted.to_uri),
        user_from=_user(wanted.from_uri),
        user_uri=ibis.coalesce(_user(wanted.uri), _user(wanted.to_uri)),
        minute=wanted.time_us // MINUTE_US,
    )


def gather(store: Store) -> Census:
    """Reads the census out of the store."""
    events = store.events
    census = _totals(events)
    asked = requests(events)
    rows = _profiles(asked).to_pyarrow().to_pylist()
    profiles: dict[tuple[str, str], Profile] = {}
    for row in rows:
        profile = profiles[row["ip"], row["agent"]] = Profile(row["ip"], row["agent"])
        for name in ("messages", "first_us", "last_us", "ports", "minutes", "hours", "register_users", "invite_users", "option_users",
                     "from_users", "register_calls", "invite_calls", "calls", "authorized", "hosts"):  # fmt: skip
            setattr(profile, name, int(row[name] or 0))
        for name in ("call_low", "call_high", "llac_low", "llac_high", "from_low", "from_high"):
            setattr(profile, name, row[name] or "")
        profile.streams = bool(row["streams"])
        profile.methods = {name: int(row[f"n_{name}"]) for name in _METHODS if row[f"n_{name}"]}
        profile.actions = {name: int(row[f"a_{name}"]) for name in _ACTIONS if row[f"a_{name}"]}
    census.not_looked_at = max(0, census.not_looked_at - len(profiles))
    for row in _peaks(asked).to_pyarrow().to_pylist():
        if (known := profiles.get((row["ip"], row["agent"]))) is not None:
            known.peak, known.peak_invites = int(row["peak"] or 0), int(row["peak_invites"] or 0)
    if census.has_replies:
        for row in _answers(events, asked).to_pyarrow().to_pylist():
            if (known := profiles.get((row["ip"], row["agent"]))) is not None:
                for name in ("accepted", "challenged", "refused_login", "refused", "answered"):
                    setattr(known, name, int(row[name] or 0))
    for row in _dialogs(asked).to_pyarrow().to_pylist():
        if (known := profiles.get((row["ip"], row["agent"]))) is not None:
            known.dialogs = int(row["dialogs"] or 0)
    for row in _hits(asked).to_pyarrow().to_pylist():
        if (known := profiles.get((row["ip"], row["agent"]))) is not None:
            known.hits.append(
                Hit(row["rule"] or "", row["family"] or "", row["place"] or "", row["text"] or "", int(row["score"] or 0), int(row["messages"]),
                    int(row["received"] or 0), int(row["first_us"]), int(row["last_us"]), row["method"] or "")
            )  # fmt: skip
    # The engine hands rows out in any order; the report must not depend on it.
    census.profiles = [profiles[key] for key in sorted(profiles)]
    for profile in census.profiles:
        profile.hits.sort(key=lambda h: (h.rule, h.field, h.method, h.excerpt, h.first_us))
    return census


def _totals(events: Table) -> Census:
    counted = events.filter(events.kind.isin(["event", "metric"]))
    census = Census([])
    for row in counted.group_by(counted.action, reply=(counted.type == "reply").fill_null(False)).aggregate(
        messages=counted.messages.sum(), first_us=counted.time_us.min(), last_us=counted.end_us.max()
    ).to_pyarrow().to_pylist():  # fmt: skip
        census.messages += row["messages"]
        census.replies += row["messages"] if row["reply"] else 0
        census.first_us = min(census.first_us or row["first_us"], row["first_us"])
        census.last_us = max(census.last_us, row["last_us"])
        census.actions[row["action"]] = census.actions.get(row["action"], 0) + row["messages"]
    census.has_replies = census.replies > 0
    if census.has_replies:
        replies = events.filter(events.type == "reply", events.ip.notnull())
        final = replies.group_by("ip").aggregate(n=replies.count()).order_by(ibis.desc("n")).limit(1000)
        census.servers = {row["ip"] for row in final.to_pyarrow().to_pylist()}
    census.not_looked_at = int(
        events.filter(events.kind.isin(["event", "metric"])).distinct(on=["ip", "agent"]).count().to_pyarrow().as_py()
    )
    state = events.filter(events.kind == "state", events.action == "lost")
    census.lost = int(state.messages.sum().fill_null(0).to_pyarrow().as_py())
    return census


def _profiles(asked: Table) -> Table:
    t = asked
    methods = {f"n_{name}": t.messages.sum(where=t.method == name) for name in _METHODS}
    actions = {f"a_{name}": t.messages.sum(where=t.action == name) for name in _ACTIONS}
    mirrored = t.call_id.reverse()
    grouped = t.group_by(t.ip, t.agent).aggregate(
        messages=t.messages.sum(),
        first_us=t.time_us.min(),
        last_us=t.end_us.max(),
        ports=t.port.nunique(),
        minutes=t.minute.nunique(),
        hours=(t.time_us // HOUR_US).nunique(),
        streams=(t.transport.isin(["tcp", "tls", "ws", "wss"])).any(),
        register_users=ibis.coalesce(t.user_to, t.user_from).nunique(where=t.method == "REGISTER"),
        invite_users=t.user_uri.nunique(where=t.method == "INVITE"),
        option_users=t.user_uri.nunique(where=~t.method.isin(["INVITE", "REGISTER", "ACK", "BYE", "CANCEL"])),
        from_users=t.user_from.nunique(),
        hosts=t.uri.nunique(where=t.method == "OPTIONS"),
        register_calls=t.call_id.nunique(where=t.method == "REGISTER"),
        invite_calls=t.call_id.nunique(where=t.method == "INVITE"),
        calls=t.call_id.nunique(),
        authorized=t.messages.sum(where=t.authorization),
        call_low=t.call_id.min(),
        call_high=t.call_id.max(),
        llac_low=mirrored.min(),
        llac_high=mirrored.max(),
        from_low=t.user_from.min(),
        from_high=t.user_from.max(),
        flagged=t.messages.sum(where=t.findings.length() > 0).fill_null(0),
        **methods,
        **actions,
    )
    return grouped.order_by([ibis.desc("flagged"), ibis.desc("messages"), grouped.ip, grouped.agent]).limit(
        MOST_SOURCES
    )


def _peaks(asked: Table) -> Table:
    t = asked.filter(asked.kind == "event")
    minutes = t.group_by(t.ip, t.agent, t.minute).aggregate(
        n=t.messages.sum(), invites=t.messages.sum(where=t.method == "INVITE").fill_null(0)
    )
    return minutes.group_by("ip", "agent").aggregate(peak=minutes.n.max(), peak_invites=minutes.invites.max())


def _answers(events: Table, asked: Table) -> Table:
    """What the servers answered, given to who asked: replies and requests meet in their Call-ID."""
    r = events.filter(events.type == "reply", events.call_id.notnull(), events.status >= 200)
    r = r.filter(r.method.isin(["INVITE", "REGISTER", "SUBSCRIBE", "MESSAGE"]))
    said = r.group_by(r.call_id).aggregate(
        good=r.messages.sum(where=r.status < 300).fill_null(0),
        asked_login=r.messages.sum(where=r.status.isin([401, 407])).fill_null(0),
        bad=r.messages.sum(where=(r.status >= 400) & ~r.status.isin([401, 407, 408, 480, 486, 487, 491])).fill_null(0),
    )
    q = asked.filter(asked.method.isin(["INVITE", "REGISTER", "SUBSCRIBE", "MESSAGE"]), asked.call_id.notnull())
    q = q.group_by(q.call_id, q.ip, q.agent).aggregate(n=q.messages.sum())
    both = q.inner_join(said, "call_id")
    return both.group_by(both.ip, both.agent).aggregate(
        answered=both.count(),
        accepted=both.good.sum(),
        challenged=both.asked_login.sum(),
        # The first challenge of a call is a question, not a refusal.
        refused_login=(both.asked_login - 1).sum(where=(both.asked_login > 1) & (both.good == 0)),
        refused=both.bad.sum(),
    )


def _dialogs(asked: Table) -> Table:
    """Calls in which an INVITE was followed by an ACK or BYE of the same Call-ID."""
    t = asked.filter(asked.method.isin(["INVITE", "BYE", "ACK"]), asked.call_id.notnull(), asked.action == "allow")
    calls = t.group_by(t.ip, t.agent, t.call_id).aggregate(
        began=(t.method == "INVITE").any(), went_on=(t.method == "BYE").any()
    )
    done = calls.filter(calls.began & calls.went_on)
    return done.group_by("ip", "agent").aggregate(dialogs=done.count())


def _hits(asked: Table) -> Table:
    t = asked.filter(asked.findings.length() > 0)
    t = t.select("ip", "agent", "method", "messages", "action", "enforced", "time_us", finding=t.findings.unnest())
    t = t.mutate(
        rule=t.finding.rule, family=t.finding.family, place=t.finding.field, text=t.finding.excerpt.substr(0, 300), score=t.finding.score,
        reached=t.messages * (t.action.isin(["allow", "scrub"]) | ~t.enforced.fill_null(True)).cast("int64"),
    )  # fmt: skip
    grouped = t.group_by("ip", "agent", "rule", "family", "place", "method", "text").aggregate(
        score=t.score.max(),
        messages=t.messages.sum(),
        received=t.reached.sum(),
        first_us=t.time_us.min(),
        last_us=t.time_us.max(),
    )
    # Whoever sends a new text each time has one row for all that are too many.
    w = ibis.window(
        group_by=["ip", "agent", "rule", "place"], order_by=[ibis.desc("messages"), grouped.first_us, grouped.text]
    )
    ranked = grouped.mutate(rank=ibis.row_number().over(w))
    ranked = ranked.mutate(text=ibis.ifelse(ranked["rank"] < MOST_EXCERPTS, ranked.text, ""))
    return ranked.group_by("ip", "agent", "rule", "family", "place", "method", "text").aggregate(
        score=ranked.score.max(), messages=ranked.messages.sum(), received=ranked.received.sum(),
        first_us=ranked.first_us.min(), last_us=ranked.last_us.max(),
    )  # fmt: skip


def _only(asked: Table, ips: Iterable[str]) -> Table:
    wanted = ibis.memtable({"ip": sorted(ips)}, schema=ibis.schema({"ip": "string"}))
    return asked.semi_join(wanted, "ip")


def targets(store: Store, ips: Iterable[str]) -> dict[str, dict[str, dict[str, int]]]:
    """Per source and method: the users or numbers asked for, with how often, the most asked first."""
    t = _only(requests(store.events), ips)
    t = t.mutate(user=ibis.ifelse(t.method == "REGISTER", ibis.coalesce(t.user_to, t.user_from), t.user_uri))
    t = t.filter(t.user.notnull())
    counted = t.group_by("ip", "method", "user").aggregate(n=t.messages.sum())
    w = ibis.window(group_by=["ip", "method"], order_by=[ibis.desc("n"), counted.user])
    counted = counted.mutate(rank=ibis.row_number().over(w))
    found: dict[str, dict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
    for row in counted.filter(counted["rank"] < MOST_TARGETS).to_pyarrow().to_pylist():
        found[row["ip"]][row["method"]][row["user"]] = row["n"]
    return found


def ports(store: Store, ips: Iterable[str]) -> dict[str, list[tuple[int, str, int]]]:
    """Per source: its ports with method and messages, the busiest first."""
    t = _only(requests(store.events), ips)
    t = t.filter(t.port.notnull())
    counted = t.group_by("ip", "port", "method").aggregate(n=t.messages.sum())
    w = ibis.window(group_by=["ip"], order_by=[ibis.desc("n"), counted.port])
    counted = counted.mutate(rank=ibis.row_number().over(w))
    found: dict[str, list[tuple[int, str, int]]] = defaultdict(list)
    for row in counted.filter(counted["rank"] < MOST_PORTS).order_by(["ip", "rank"]).to_pyarrow().to_pylist():
        found[row["ip"]].append((row["port"], row["method"], row["n"]))
    return found


def spans(store: Store, ips: Iterable[str], step_us: int = HOUR_US) -> dict[str, dict[int, int]]:
    """Per source: messages by time step, keyed by the step's start in microseconds."""
    t = _only(requests(store.events), ips)
    counted = t.group_by("ip", step=t.time_us // step_us).aggregate(n=t.messages.sum())
    found: dict[str, dict[int, int]] = defaultdict(dict)
    for row in counted.to_pyarrow().to_pylist():
        found[row["ip"]][row["step"] * step_us] = row["n"]
    return found


def named_indicators(store: Store) -> list[tuple[str, str, int, int, int]]:
    """Indicators that the guard itself put into records: source, JSON text, messages, first and last time."""
    t = store.events
    t = t.filter(t.indicators.notnull())
    counted = t.group_by(ip=t.ip.fill_null(""), text=t.indicators).aggregate(
        n=t.messages.sum(), first_us=t.time_us.min(), last_us=t.time_us.max()
    )
    rows = counted.order_by([ibis.desc("n"), "text"]).limit(10_000).to_pyarrow().to_pylist()
    return [(row["ip"], row["text"], row["n"], row["first_us"], row["last_us"]) for row in rows]
