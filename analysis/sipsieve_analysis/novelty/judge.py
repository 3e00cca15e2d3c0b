"""Says what is unusual about a message that the guard let through, beside a site's own normal, and why, in words."""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from zoneinfo import ZoneInfo

from msgspec import Struct

from .accounts import country_of, place_of, starts_call
from .clients import contradictions, make_of
from .learner import MADE_UP, OTHERS_TAG, known_as
from .model import ENOUGH, ROLES, Model
from .observe import Observed, Value, number
from .views import spelled

#: Forms whose score is remembered, and dialogs and accounts that are counted at once.
_CACHED = 200_000
_COUNTED = 100_000

#: The least that a make that nobody knows must be read of to be worth a review: a letter.
_NAMED = re.compile(r"[a-z]")

#: How far beyond an account's busiest hour another one may be.
_BUSIER = 3
_BUSY = 20


class Kind(StrEnum):
    """What is unusual."""

    VALUE = "value"
    FIELDS = "header fields"
    ORDER = "header order"
    MAKE = "make of client"
    WRITING = "way of writing"
    METHOD = "method"
    DIALOG = "dialog"
    HOUR = "hour"
    PLACE = "place"
    RATE = "rate"
    COUNTRY = "country"


class Unusual(Struct, frozen=True):
    """One thing that is unusual. `score`: 1 where it begins; `sign`: what others that are alike share; `why` is ours but for
    names between quotes, `excerpt` is the sender's."""

    kind: Kind
    score: float
    sign: str
    why: str
    field: str = ""
    header: str = ""
    part: str = ""
    excerpt: bytes = b""


class Judge:
    """Asks a model about messages, in the order of their time."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._known = set(model.known)
        self._senders = set(model.senders)
        self._registered = set(model.registered)
        self._zone: tzinfo = UTC if model.zone == "UTC" else ZoneInfo(model.zone)
        self._scores: dict[tuple[str, str, bytes], float] = {}
        self._dialogs: OrderedDict[str, int] = OrderedDict()
        self._hours: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._made_up: dict[str, list[str]] = {}
        for name, values in model.fields.items():
            group, field, *_ = name.split(" ", 2)
            if group == "make" and values.size >= ENOUGH:
                self._made_up.setdefault(field, []).append(name)

    def look(self, seen: Observed, accepted: bool) -> list[Unusual]:
        """What is unusual, the most unusual first. `accepted`: whether its sender is let in by the server, without which only
        its values are judged: strangers knock everywhere, and how they write is theirs."""
        found = list(self._values(seen))
        if accepted or number(seen.ip) in self._senders:
            found += self._client(seen)
            found += self._dialog(seen)
            found += self._account(seen)
        return sorted(found, key=lambda one: (-one.score, one.kind, one.sign))

    def score(self, seen: Observed) -> float:
        """How unusual its most unusual value is, whether or not that is beyond the limit."""
        return max((score for _, _, score in self._scored(seen)), default=0.0)

    def _roles(self, seen: Observed) -> tuple[str, ...]:
        """What a sender is measured as; one that is not known may be either, and is believed to be what it fits better."""
        name = number(seen.ip)
        if name in self._registered:
            return (ROLES[0],)
        return (ROLES[1],) if name in self._senders else ROLES

    def _models_of(self, roles: tuple[str, ...], make: str, value: Value) -> list[str]:
        """Names of what a value is measured by; where there are several, by the one that it fits best."""
        if value.field in MADE_UP or value.field == OTHERS_TAG:
            field = "from.tag" if value.field == OTHERS_TAG else value.field
            own = f"make {field} {make}"
            if value.field != OTHERS_TAG and self._is_known(own):
                return [own]
            return self._made_up.get(field, [])
        # What hardly anybody of a role has sent is read by the other's measure; what nobody has, by its kind of part.
        for name in (value.field, f":{value.kind}"):
            for every in (roles, ROLES):
                if found := [f"{role} {name}" for role in every if self._is_known(f"{role} {name}")]:
                    return found
        return []

    def _is_known(self, name: str) -> bool:
        values = self.model.fields.get(name)
        return values is not None and values.size >= ENOUGH

    def _scored(self, seen: Observed) -> Iterator[tuple[Value, str, float]]:
        roles, make = self._roles(seen), make_of(seen.agent)
        for value in seen.values:
            text = spelled(value.text)
            models = self._models_of(roles, make, value)
            if not models:
                continue
            few = self._few(value) if ":" in models[0] else ""
            score, name = min((self._score(name, text, few), name) for name in models)
            if score > 1 and known_as(seen, value.field, value.text) in self._known:
                continue
            yield value, name, score

    def _few(self, value: Value) -> str:
        """Of a field that few have sent: what these few had is as usual as the field."""
        return next((name for role in ROLES if (name := f"{role} {value.field}") in self.model.fields), "")

    def _score(self, name: str, text: bytes, few: str = "") -> float:
        score = self._scores.get((name, few, text))
        if score is None:
            if len(self._scores) >= _CACHED:
                self._scores.clear()
            values = self.model.fields[name]
            score = values.score(text, self.model.fields.get(few))
            self._scores[name, few, text] = score
        return score

    def _values(self, seen: Observed) -> Iterator[Unusual]:
        for value, name, score in self._scored(seen):
            if score <= 1:
                continue
            values = self.model.fields[name]
            few = self.model.fields.get(self._few(value)) if ":" in name else None
            view, strange = values.strange(spelled(value.text), few)
            beside = _beside(name, values.size)
            why = "; ".join(
                f"{view.tell(gram)} in {round(count) or ('hardly any' if count else 'none')}" for gram, count in strange
            )
            sign = f"value {value.field} {view.name} " + "|".join(sorted(gram.decode("latin-1") for gram, _ in strange))
            yield Unusual(
                Kind.VALUE,
                round(score, 2),
                sign,
                f"{value.field} reads unlike {beside}: {why or 'many rare forms together'}",
                value.field,
                value.header,
                value.kind,
                value.text[:512],
            )

    def _client(self, seen: Observed) -> Iterator[Unusual]:
        name = make_of(seen.agent)
        if not name or not _NAMED.search(name):
            return
        make = self.model.makes.get(name)
        if make is None:
            yield Unusual(
                Kind.MAKE,
                1.5,
                f"make {name}",
                f'the make "{name}" was never seen here, among {len(self.model.makes)} that were',
                "user-agent",
                "user-agent",
                "text",
                seen.agent.encode("utf-8", "replace")[:512],
            )
            return
        if not make.is_known:
            return
        beside = f"{make.messages:,} messages of {make.senders:,} senders with this make"
        if seen.method not in make.methods:
            yield Unusual(
                Kind.METHOD, 1.2, f"method {name} {seen.method}", f"{seen.method} was in none of {beside}", "method"
            )
        if not seen.headers:
            if seen.client and make.kinds and seen.client not in make.kinds and len(make.kinds) < 20:
                yield Unusual(Kind.WRITING, 1.1, f"writing {name}", f"it writes its messages in another way than {beside}")  # fmt: skip
            return
        foreign, turned = contradictions(make, seen)
        if foreign:
            yield Unusual(
                Kind.FIELDS,
                1 + 0.2 * len(foreign),
                f"fields {name} {' '.join(sorted(foreign))[:200]}",
                f"{_listed(foreign)} in none of {beside}",
                foreign[0],
            )
        if turned:
            a, b = turned[0]
            more = f", and {len(turned) - 1} more pairs" if len(turned) > 1 else ""
            yield Unusual(
                Kind.ORDER,
                1 + 0.1 * len(turned),
                f"order {name}",
                f'"{a}" stands before "{b}"{more}, the other way round in {beside}',
                a,
            )

    def _dialog(self, seen: Observed) -> Iterator[Unusual]:
        if not seen.call_id or seen.method == "REGISTER" or not self.model.dialog:
            return
        count = self._dialogs[seen.call_id] = self._dialogs.get(seen.call_id, 0) + 1
        if len(self._dialogs) > _COUNTED:
            self._dialogs.popitem(last=False)
        if count == self.model.dialog + 1:
            yield Unusual(
                Kind.DIALOG,
                1.2,
                f"dialog {seen.account or seen.ip}",
                f"more than {self.model.dialog} messages in one dialog, three times what the longest here have",
                "call-id",
            )

    def _account(self, seen: Observed) -> Iterator[Unusual]:
        account = self.model.accounts.get(seen.account)
        if account is None or not account.is_known:
            return
        place = place_of(seen.ip)
        if place and place not in account.places:
            yield Unusual(
                Kind.PLACE,
                1.3,
                f"place {seen.account} {place}",
                f'the account "{seen.account}" never sent from {place}; known of it: {_listed(account.places[:3])}',
                "source",
            )
        if not account.calls_enough or not starts_call(seen):
            return
        when = datetime.fromtimestamp(seen.time_us / 1e6, self._zone)
        around = sum(account.hours[(when.hour + n) % 24] for n in (-1, 0, 1))
        if account.has_habits and not around:
            yield Unusual(
                Kind.HOUR,
                1.1,
                f"hour {seen.account}",
                f'the account "{seen.account}" calls at {when:%H:%M}; in {account.days} days none of its {account.calls} calls was within an hour of that',
                "time",
            )
        country = country_of(seen.target)
        if country and account.has_habits and country not in account.countries and country not in self.model.countries:
            known = _listed(account.countries[:4]) if account.countries else "none abroad"
            yield Unusual(
                Kind.COUNTRY,
                1.4,
                f"country {seen.account} {country}",
                f'the account "{seen.account}" never called {country}; known of it: {known}',
                "request_uri.userinfo",
            )
        hour, count = self._hours.get(seen.account, (0, 0))
        now = seen.time_us // 3_600_000_000
        count = count + 1 if hour == now else 1
        self._hours[seen.account] = now, count
        if len(self._hours) > _COUNTED:
            self._hours.popitem(last=False)
        if count == max(_BUSY, _BUSIER * account.peak) + 1:
            yield Unusual(
                Kind.RATE,
                1.5,
                f"rate {seen.account}",
                f'the account "{seen.account}" called {count} times within an hour; its busiest in {account.days} days had {account.peak}',
                "time",
            )


def _beside(name: str, size: float) -> str:
    """What a value was compared with, in words."""
    group, _, field = name.partition(" ")
    if group == "make":
        field, _, make = field.partition(" ")
        return f'{size:,.0f} values that clients "{make}" send here'
    whose = "accounts" if group == ROLES[0] else "trunks and neighbours"
    kind = f" as {field[1:]}" if field.startswith(":") else ""
    return f"what {size:,.0f} {whose} here send{kind}"


def _listed(names: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def counted(found: list[Unusual]) -> Counter[str]:
    """How many there are of each kind."""
    return Counter(str(one.kind) for one in found)
