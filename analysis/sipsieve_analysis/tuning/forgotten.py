"""Tells sources that try again and again with a password that was changed: a forgotten phone or switch, not somebody who guesses."""

from __future__ import annotations

from collections import Counter
from typing import Final

from .records import Known
from .trials import Outcome

#: Registrations remembered until their answers come, accounts kept in all, and those of one source.
_MOST: Final = 200_000
_MOST_ACCOUNTS: Final = 500_000
_OWN: Final = 64

#: Intervals of one account that are kept: the first ones tell the rhythm.
_KEPT: Final = 256

#: Refusals of each account below which nothing is known of a rhythm.
_LEAST: Final = 10

#: Seconds between two tries of a phone. Programs that guess are faster: so slow, one alone stays below every limit.
_PACE: Final = (15.0, 7200.0)

#: Intervals around their median within which they are regular, and the part of them that is.
_AROUND: Final = 0.25
_REGULAR: Final = 0.8

#: Seconds that it goes on.
_LONG: Final = 1800.0

#: The part of its requests that registers, or pings.
_MOSTLY: Final = 0.95

#: Tries under one Call-ID (RFC 3261 10.2.4: a client uses the same for all its registrations), at the least, on average.
_PER_CALL: Final = 10


class _Account:
    """One account as one source tries it."""

    __slots__ = ("calls", "first", "intervals", "last", "refused")

    def __init__(self, time: float) -> None:
        self.first = self.last = time
        self.refused = 0
        self.calls: set[str] = set()
        self.intervals: list[float] = []

    def add(self, time: float, call_id: str) -> None:
        if self.refused and len(self.intervals) < _KEPT:
            self.intervals.append(time - self.last)
        self.last = time
        self.refused += 1
        if len(self.calls) < _KEPT:
            self.calls.add(call_id)

    @property
    def pace(self) -> float:
        """Seconds between two tries, the median."""
        return sorted(self.intervals)[len(self.intervals) // 2] if self.intervals else 0.0

    @property
    def is_regular(self) -> bool:
        pace = self.pace
        near = sum(abs(interval - pace) <= _AROUND * pace for interval in self.intervals)
        return (
            self.refused >= _LEAST
            and _PACE[0] <= pace <= _PACE[1]
            and near >= _REGULAR * len(self.intervals)
            and self.last - self.first >= _LONG
            and self.refused >= _PER_CALL * len(self.calls)
        )


class Logins:
    """All registrations of a recording: who tries which account, how often, and with what success."""

    def __init__(self) -> None:
        self._asked: dict[int, Known] = {}
        self._tried: dict[str, dict[str, _Account]] = {}
        #: Accounts by which somebody was let in: there are phones that know the password.
        self._known: set[str] = set()
        #: Sources that did what a phone with an old password does not: too many accounts, or any success.
        self._other: set[str] = set()
        self._accounts = 0
        self._full = False

    def asked(self, known: Known, made: Outcome) -> None:
        """Notes a request that was let through."""
        if made.method == "REGISTER" and made.transaction and known.account:
            if len(self._asked) >= _MOST:
                self._asked.clear()
            self._asked[made.transaction] = known

    def answered(self, time: float, made: Outcome) -> None:
        """Notes the final answer to one. A challenge to a request without credentials says nothing."""
        if made.method != "REGISTER" or made.status < 200 or (asked := self._asked.pop(made.transaction, None)) is None:
            return
        ip, account = asked.ip, asked.account
        accepted = made.status < 300
        if not accepted and not (made.refused and asked.credentials):
            return
        if accepted:
            self._known.add(account)
            self._other.add(ip)
        if len(self._known) + len(self._other) + self._accounts >= _MOST_ACCOUNTS:
            # Who has which accounts can no more be told: nobody is taken for a forgotten phone.
            self._full = True
        if accepted or self._full or ip in self._other:
            return
        tried = self._tried.setdefault(ip, {})
        if account not in tried:
            self._accounts += 1
            if len(tried) >= _OWN:
                self._other.add(ip)
                return
        tried.setdefault(account, _Account(time)).add(time, asked.call_id)

    def forgotten(self, ip: str, methods: Counter[str]) -> Forgotten | None:
        """What a source is that does nothing else; `methods`: of all its requests. Some may be forged in its name."""
        tried, does = self._tried.get(ip), methods["REGISTER"] + methods["OPTIONS"]
        if self._full or not tried or ip in self._other or does < _MOSTLY * methods.total():
            return None
        if not all(account.is_regular for account in tried.values()) or not self._known.isdisjoint(tried):
            return None
        return Forgotten(
            len(tried),
            sum(account.refused for account in tried.values()),
            min(account.pace for account in tried.values()),
            sum(60 / account.pace for account in tried.values()),
        )


class Forgotten:
    """A source whose password was changed, as far as traffic can tell."""

    __slots__ = ("accounts", "pace", "per_minute", "refused")

    def __init__(self, accounts: int, refused: int, pace: float, per_minute: float) -> None:
        self.accounts = accounts
        self.refused = refused
        #: Seconds between two tries of the account that is tried most often.
        self.pace = pace
        #: Tries of all accounts together, by their rhythm.
        self.per_minute = per_minute

    @property
    def why(self) -> str:
        """In words."""
        accounts = f"{self.accounts} account{'s' * (self.accounts > 1)}"
        return (
            f"looks like a switch or phones with an old password: the same {accounts}, by which nobody was let in, each every "
            f"{self.pace:.0f} s or slower, {self.refused:,} times refused"
        )

    @property
    def confirm(self) -> str:
        """What an operator must find out first."""
        most = 60 / self.pace
        return (
            "traffic can't tell an old password from patient guesses at this very rhythm (a digest hides the password): ask the owner "
            "of the address first, and give the device its password, after which this entry can go; until then it allows "
            f"about {most:.0f} {'try' if round(most) == 1 else 'tries'} a minute of each account"
        )
