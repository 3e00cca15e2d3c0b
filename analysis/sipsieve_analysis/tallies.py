"""Counts what each source and client sent: sums, and how many ports, users, minutes and Call-IDs it used.

Each count of what differs is a question of its own, which tells its values apart before it counts them. Eleven such counts in one question
made Spark write each row twelve times, with all that the others ask for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .later import later

if TYPE_CHECKING:
    import ibis
    from ibis.expr.types import Table
else:
    ibis = later("ibis")

MINUTE_US: Final = 60_000_000

#: Parts of a message in which an even share of a count is told.
SHARES: Final = 100

METHODS: Final = ("REGISTER", "INVITE", "OPTIONS", "ACK", "BYE", "CANCEL", "SUBSCRIBE", "MESSAGE", "NOTIFY")
ACTIONS: Final = ("allow", "scrub", "reject", "drop", "error", "banned")

#: What goes on within a call names no user that its sender looks for.
_WITHIN: Final = ("ACK", "BYE", "CANCEL")

_KEY: Final = ["ip", "agent"]


def user(uri: Any) -> Any:
    """Whom a URI names, NULL where it names none."""
    return uri.re_extract(r"^[A-Za-z]+:([^@>]*)@", 1).nullif("")


def uris(t: Table) -> dict[str, Any]:
    """The URIs in which `whom` looks for the user or number that a request asks for.

    URIs repeat, and to take users out of each costs more than to tell URIs apart: so group by these first.
    """
    is_login = t.method == "REGISTER"
    return {"first": is_login.ifelse(t.to_uri, t.uri), "second": is_login.ifelse(t.from_uri, t.to_uri)}


def whom(t: Table) -> Any:
    """The user or number that was asked for, by what `uris` gave; NULL for none."""
    return ibis.coalesce(user(t.first), user(t.second))


def reached(t: Table) -> Any:
    """Whether the backend received a message, whatever the decision was."""
    return t.action.isin(["allow", "scrub"]) | ~t.enforced.fill_null(True)


def tallies(asked: Table) -> Table:
    """A row a source and client, in any order; a count is NULL where there is nothing to count.

    `peak` and `peak_invites` are the busiest minute in hundredths of messages.
    """
    found = _sums(asked)
    for counted in (_minutes(asked), _ports(asked), _users(asked), _senders(asked), _hosts(asked), _calls(asked)):
        more = [name for name in counted.columns if name not in _KEY]
        found = found.left_join(counted, _KEY).select(*found.columns, *more)
    return found


def _sums(t: Table) -> Table:
    methods = {f"n_{name}": t.messages.sum(where=t.method == name) for name in METHODS}
    actions = {f"a_{name}": t.messages.sum(where=t.action == name) for name in ACTIONS}
    return t.group_by(*_KEY).aggregate(
        messages=t.messages.sum(),
        first_us=t.time_us.min(),
        last_us=t.end_us.max(),
        streams=(t.transport.isin(["tcp", "tls", "ws", "wss"])).any(),
        authorized=t.messages.sum(where=t.authorization),
        flagged=t.messages.sum(where=t.findings.length() > 0).fill_null(0),
        counted=t.messages.sum(where=(t.kind == "metric") & (t.action == "allow")).fill_null(0),
        received=t.messages.sum(where=reached(t)).fill_null(0),
        **methods,
        **actions,
    )


def _minutes(asked: Table) -> Table:
    # A count over a longer time is taken as even.
    even = ibis.least(ibis.literal(1.0), MINUTE_US / ibis.greatest(asked.end_us - asked.time_us, 1))
    # Whole numbers: a sum of fractions depends on the order in which an engine adds them.
    t = asked.mutate(share=(asked.messages * float(SHARES) * even).floor().cast("int64"))
    each = t.group_by(*_KEY, "minute").aggregate(
        n=t.share.sum(where=t.action != "banned").fill_null(0),
        invites=t.share.sum(where=t.method == "INVITE").fill_null(0),
    )
    return each.group_by(*_KEY).aggregate(
        minutes=each.minute.count(),
        hours=(each.minute // 60).nunique(),
        peak=each.n.max(),
        peak_invites=each.invites.max(),
    )


def _ports(asked: Table) -> Table:
    each = asked.filter(asked.port.notnull()).select(*_KEY, "port").distinct()
    return each.group_by(*_KEY).aggregate(ports=each.count())


def _users(asked: Table) -> Table:
    """Who is asked for: by registrations, by calls, and by all else that begins something."""
    t = asked.filter(asked.method.notin(_WITHIN))
    t = t.mutate(asks=ibis.ifelse(t.method.isin(["REGISTER", "INVITE"]), t.method, ""))
    t = t.select(*_KEY, "asks", **uris(t)).distinct()
    each = t.select(*_KEY, "asks", user=whom(t)).distinct()
    return each.group_by(*_KEY).aggregate(
        register_users=each.user.count(where=each.asks == "REGISTER"),
        invite_users=each.user.count(where=each.asks == "INVITE"),
        option_users=each.user.count(where=each.asks == ""),
    )


def _senders(asked: Table) -> Table:
    t = asked.select(*_KEY, "from_uri").distinct()
    each = t.select(*_KEY, user=user(t.from_uri)).distinct()
    return each.group_by(*_KEY).aggregate(
        from_users=each.user.count(), from_low=each.user.min(), from_high=each.user.max()
    )


def _hosts(asked: Table) -> Table:
    each = asked.filter(asked.method == "OPTIONS", asked.uri.notnull()).select(*_KEY, "uri").distinct()
    return each.group_by(*_KEY).aggregate(hosts=each.count())


def _calls(asked: Table) -> Table:
    """How many Call-IDs, for what, the ends of their order, and in how many an INVITE was followed by a BYE."""
    t = asked.filter(asked.call_id.notnull())
    passed = (t.action == "allow").fill_null(False)
    each = t.group_by(*_KEY, "call_id").aggregate(
        registers=(t.method == "REGISTER").any(),
        invites=(t.method == "INVITE").any(),
        began=(passed & (t.method == "INVITE")).any(),
        went_on=(passed & (t.method == "BYE")).any(),
    )
    mirrored = each.call_id.reverse()
    return each.group_by(*_KEY).aggregate(
        register_calls=each.registers.cast("int64").sum(),
        invite_calls=each.invites.cast("int64").sum(),
        calls=each.count(),
        dialogs=(each.began & each.went_on).cast("int64").sum(),
        call_low=each.call_id.min(),
        call_high=each.call_id.max(),
        llac_low=mirrored.min(),
        llac_high=mirrored.max(),
    )
