"""What servers answered to whom: requests meet their answers, and accounts who used them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ..later import later

if TYPE_CHECKING:
    import ibis
    from ibis.expr.types import Table
else:
    ibis = later("ibis")

#: Numbers kept of one caller.
_MOST_NUMBERS: Final = 512

_HOUR_US: Final = 3600 * 1_000_000


@dataclass(slots=True)
class Login:
    """What one address tried and reached as one user. Times in microseconds, 0 for never."""

    ip: str
    user: str
    wrong: int = 0
    #: Of those, before it was first let in.
    before: int = 0
    right: int = 0
    first_wrong_us: int = 0
    first_right_us: int = 0
    #: Whether the client that guessed is the one that got in.
    same_client: bool = False


@dataclass(slots=True)
class Calls:
    """Calls of one user from one address that were answered."""

    ip: str
    user: str
    messages: int
    abroad: int
    numbers: list[str]
    first_us: int
    last_us: int
    peak: int


#: Answers that say something about the callee and nothing about the caller (RFC 3261 21.4).
_ABOUT_CALLEE: Final = (408, 480, 486, 487, 491)


def exchanges(events: Table, asked: Table, exact: bool) -> Table:
    """Requests with their final answers; both meet in Call-ID and CSeq.

    `exact` says that the log tells which requests carried credentials. Where it does not, a request of a call that
    had been challenged before counts as one that did.
    """
    r = events.filter(events.type == "reply", events.call_id.notnull(), events.status >= 200)
    r = r.filter(r.method.isin(["INVITE", "REGISTER", "SUBSCRIBE", "MESSAGE"]))
    said = r.group_by(call_id=r.call_id, cseq=r.cseq.fill_null("")).aggregate(
        good=(r.status < 300).any(), status=r.status.max(), answered_us=r.time_us.min()
    )
    q = asked.filter(asked.method.isin(["INVITE", "REGISTER", "SUBSCRIBE", "MESSAGE"]), asked.call_id.notnull())
    q = q.mutate(cseq=q.cseq.fill_null(""))
    user = ibis.ifelse(q.method == "REGISTER", ibis.coalesce(q.user_to, q.user_from), q.user_from)
    q = q.mutate(user=user)
    # Joined first: where few requests were answered, few are left to put together. A retransmission is the same request.
    q = q.inner_join(said, ["call_id", "cseq"])
    both = q.group_by("ip", "agent", "method", "call_id", "cseq").aggregate(
        user=q.user.min(), number=q.user_uri.min(), time_us=q.time_us.min(), credentials=q.authorization.fill_null(False).any(),
        client=q.client.min(), good=q.good.any(), status=q.status_right.max(), answered_us=q.answered_us.min(),
    )  # fmt: skip
    asked_login = both.status.isin([401, 407]) & ~both.good
    w = ibis.window(group_by=["ip", "call_id"], order_by=[both.time_us, both.cseq])
    both = both.mutate(asked_login=asked_login)
    both = both.mutate(challenges=both.asked_login.cast("int64").sum().over(w) - both.asked_login.cast("int64"))
    offered = both.credentials if exact else (both.challenges > 0)
    return both.mutate(
        refused_login=offered & ~both.good & both.status.isin([401, 403, 407]),
        returned=offered & (both.challenges > 0),
    )


def answers(exchanged: Table) -> Table:
    """What became of a source's requests."""
    t = exchanged
    calls = t.group_by("ip", "agent", "call_id").aggregate(
        accepted=t.good.cast("int64").sum(),
        registered=(t.good & (t.method == "REGISTER")).cast("int64").sum(),
        called=(t.good & (t.method == "INVITE")).cast("int64").sum(),
        challenged=t.asked_login.cast("int64").sum(),
        wrong=t.refused_login.cast("int64").sum(),
        refused=(~t.good & ~t.refused_login & (t.status >= 400) & ~t.status.isin([401, 407, *_ABOUT_CALLEE])).cast("int64").sum(),
        round_trips=(t.returned & ~t.good).cast("int64").sum(),
    )  # fmt: skip
    return calls.group_by("ip", "agent").aggregate(
        answered=calls.count(),
        accepted=calls.accepted.sum(),
        registered=calls.registered.sum(),
        called=calls.called.sum(),
        challenged=calls.challenged.sum(),
        # A phone offers the nonce of last time, is told a new one, and is let in: no password was wrong.
        refused_login=ibis.greatest(calls.wrong - calls.accepted, 0).sum(),
        refused=calls.refused.sum(),
        round_trips=ibis.greatest(calls.round_trips - calls.accepted, 0).sum(),
    )


#: Logins and callers that are looked at, those with the most first.
_MOST_LOGINS: Final = 20_000


def tried(exchanged: Table) -> Table:
    """Who tried which account, and who got in, for `logins`."""
    t = exchanged.filter(exchanged.user.notnull(), exchanged.method.isin(["REGISTER", "INVITE"]))
    t = t.filter(t.refused_login | (t.good & (t.method == "REGISTER")))
    first = t.group_by("ip", "user").aggregate(first_right_us=t.time_us.min(where=t.good))
    j = t.inner_join(first, ["ip", "user"])
    early = j.refused_login & (j.first_right_us.isnull() | (j.time_us < j.first_right_us))
    found = j.group_by("ip", "user").aggregate(
        wrong=j.refused_login.cast("int64").sum(),
        before=early.cast("int64").sum(),
        right=j.good.cast("int64").sum(),
        first_wrong_us=j.time_us.min(where=j.refused_login).fill_null(0),
        first_right_us=j.first_right_us.min().fill_null(0),
        agents_wrong=j.agent.nunique(where=early),
        agents=j.agent.nunique(where=early | (j.time_us == j.first_right_us)),
    )
    rows = found.filter(found.wrong + found.right > 0).order_by([ibis.desc("wrong"), ibis.desc("right"), "ip", "user"])
    return rows.limit(_MOST_LOGINS)


def logins(rows: Iterable[dict[str, Any]]) -> list[Login]:
    """What the rows of `tried` say."""
    return [
        Login(row["ip"], row["user"], int(row["wrong"]), int(row["before"]), int(row["right"]), int(row["first_wrong_us"]),
              int(row["first_right_us"]), row["agents_wrong"] > 0 and row["agents"] == row["agents_wrong"])
        for row in rows
    ]  # fmt: skip


#: Numbers that leave the country, or cost extra in it: +, 00, 011 (North America), 0011 (Australia), behind a digit or
#: two for an outside line or none; 0900 and 1-900.
ABROAD: Final = r"^(?:\+|[0-9*#]{0,3}?(?:00|011)[1-9]|[0-9*#]{0,2}?(?:0900|1900|0906|0190|0899))[0-9]{5,}"


def called(exchanged: Table) -> Table:
    """Answered calls by caller and address, where some of them go abroad, for `calls`."""
    t = exchanged.filter(exchanged.good, exchanged.method == "INVITE", exchanged.number.notnull())
    t = t.mutate(user=t.user.fill_null(""), abroad=t.number.re_search(ABROAD), hour=t.time_us // _HOUR_US)
    hours = t.group_by("ip", "user", "hour").aggregate(
        n=t.count(), abroad=t.abroad.cast("int64").sum(), first_us=t.time_us.min(), last_us=t.time_us.max(),
        numbers=t.number.collect(where=t.abroad),
    )  # fmt: skip
    found = hours.group_by("ip", "user").aggregate(
        messages=hours.n.sum(), abroad=hours.abroad.sum(), first_us=hours.first_us.min(), last_us=hours.last_us.max(),
        peak=hours.abroad.max(), numbers=hours.numbers.collect(),
    )  # fmt: skip
    return found.filter(found.abroad >= 5).order_by([ibis.desc("abroad"), "ip", "user"]).limit(_MOST_LOGINS)


def calls(rows: Iterable[dict[str, Any]]) -> list[Calls]:
    """What the rows of `called` say."""
    return [
        Calls(row["ip"], row["user"], int(row["messages"]), int(row["abroad"]),
              sorted(number for part in row["numbers"] for number in part or ())[:_MOST_NUMBERS],
              int(row["first_us"]), int(row["last_us"]), int(row["peak"]))
        for row in rows
    ]  # fmt: skip
