"""Learns a site's normal from recorded traffic: accepted dialogs only, of senders with nothing against them."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, tzinfo
from typing import Final

import sipsieve

from .accounts import Accounts, place_of
from .clients import Makes, make_of
from .model import LEAST, MOST_ACCOUNTS, MOST_FIELDS, MOST_KNOWN, MOST_MAKES, ROLES, Model
from .observe import Observed, Told, number, observed, told
from .values import Samples, fit
from .values import full as enough
from .views import OF_MADE_UP, OF_OTHERS, OF_WORDLESS, View, spelled

#: Requests that wait for their answer, dialogs and sources remembered.
_WAITING: Final = 100_000
_MOST: Final = 1_000_000

#: Of whose messages more than this share, and more than so many, were refused: nothing of theirs is learned.
_BAD_SHARE: Final = 0.02
_BAD_LEAST: Final = 3

#: Whoever gets attacks refused in everybody's name (an address is forged easily) would so have a site's own normal left out. What half
#: of the sources have refused says nothing against one, more than three times as much does; no more than one source in ten is left out,
#: nor more than one message in ten by it, but for sources of whose messages a quarter was refused.
_BAD_BEYOND: Final = 3
_BAD_MOST: Final = 0.1
_BAD_ALWAYS: Final = 0.25

#: Messages with one value from one sender that make it known of that sender.
_AGAIN: Final = 3

#: Values that are new in each message or dialog: that one is known says nothing.
ONCE: Final = frozenset(
    {
        "call-id", "cseq", "via.branch", "from.tag", "to.tag", "authorization.nonce", "authorization.response", "authorization.cnonce",
        "authorization.nc", "proxy-authorization.nonce", "proxy-authorization.response", "proxy-authorization.cnonce", "proxy-authorization.nc",
        "content-length", "max-forwards", "rack", "session-id",
    }
)  # fmt: skip

#: Of these, those that the client makes up. To's tag is another client's.
MADE_UP: Final = frozenset(
    {"call-id", "via.branch", "from.tag", "session-id", "authorization.cnonce", "proxy-authorization.cnonce"}
)
#: Learned as what it is compared with.
OTHERS_TAG: Final = "to.tag"


class LearnError(ValueError):
    """Traffic that nothing can be learned of: why, and what to do."""


class Sources:
    """Who is accepted, who has something against him: what must be known of everybody before anything is learned."""

    def __init__(self) -> None:
        self.accepted: set[str] = set()
        self.registered: set[str] = set()
        self._messages: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._asked: OrderedDict[tuple[str, int, str], str] = OrderedDict()
        self._bad: set[str] | None = None
        self.answers = 0

    def add(self, record: Told) -> None:
        """Looks at one record, in the order of time."""
        self._bad = None
        if not record.is_message:
            return
        if record.sip.type == "response":
            self.answers += 1
            if 200 <= record.sip.code < 300 and (ip := self._asked.pop(record.transaction, None)) is not None:
                self.accepted.add(ip)
                if record.sip.method == "REGISTER":
                    self.registered.add(ip)
            return
        if not record.ip or (record.ip not in self._messages and len(self._messages) >= _MOST):
            return
        self._messages[record.ip] += 1
        if record.is_suspect:
            self._refused[record.ip] += 1
        elif record.sip.method in ("REGISTER", "INVITE"):
            self._asked[record.transaction] = record.ip
            if len(self._asked) > _WAITING:
                self._asked.popitem(last=False)

    def is_bad(self, ip: str) -> bool:
        """Whether so much of what it sent was refused that nothing of it is to be believed. To be asked when all is added."""
        if self._bad is None:
            self._bad = self._worst(self.registered) | self._worst(self.accepted - self.registered)
        return ip in self._bad

    def _worst(self, ips: set[str]) -> set[str]:
        """Those of `ips` who were refused too often: beside the others, and of many the worst."""
        shares = sorted(
            ((self._refused[ip] / self._messages[ip], ip) for ip in ips if self._messages[ip]), reverse=True
        )
        usual = shares[len(shares) // 2][0] if shares else 0
        sources, messages = max(1, _BAD_MOST * len(ips)), _BAD_MOST * sum(self._messages[ip] for ip in ips)
        found: set[str] = set()
        for share, ip in shares:
            sent, refused = self._messages[ip], self._refused[ip]
            if refused <= _BAD_LEAST or share <= _BAD_SHARE:
                continue
            stands_out = refused > _BAD_LEAST + _BAD_BEYOND * usual * sent
            if share > _BAD_ALWAYS or (stands_out and sources >= 1 and messages >= sent):
                sources, messages = sources - 1, messages - sent
                found.add(ip)
        return found


class Accepted:
    """Hands out the requests that were accepted, as their answers come: of senders with nothing against them."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._waiting: OrderedDict[tuple[str, int, str], Told] = OrderedDict()
        self._dialogs: OrderedDict[str, int] = OrderedDict()
        self.left_out: Counter[str] = Counter()

    def of(self, record: Told) -> Iterator[Told]:
        """The requests that this record makes accepted."""
        if not record.is_message:
            return
        if record.sip.type == "response":
            request = self._waiting.pop(record.transaction, None) if record.sip.code >= 200 else None
            if request is not None:
                if record.sip.code < 300:
                    self._remember(request)
                    yield request
                else:
                    self.left_out["not accepted by the server"] += 1
            return
        if record.is_suspect:
            self.left_out["refused, or a rule found something"] += 1
        elif record.sip.type != "request":
            self.left_out["not to be read"] += 1
        elif record.ip not in self._sources.accepted:
            self.left_out["of senders that were never let in"] += 1
        elif self._sources.is_bad(record.ip):
            self.left_out["of senders that were refused too often"] += 1
        elif record.sip.method == "ACK":
            if record.sip.call_id in self._dialogs:
                self._remember(record)
                yield record
        else:
            self._waiting[record.transaction] = record
            if len(self._waiting) > _WAITING:
                self._waiting.popitem(last=False)
                self.left_out["never answered"] += 1

    def _remember(self, record: Told) -> None:
        call_id = record.sip.call_id
        if record.sip.method != "REGISTER":
            self._dialogs[call_id] = self._dialogs.get(call_id, 0) + 1
            if len(self._dialogs) > _WAITING:
                self._dialogs.popitem(last=False)

    def lengths(self) -> list[int]:
        """Messages of the dialogs remembered last, sorted."""
        return sorted(self._dialogs.values())


class Learner:
    """Makes a model of accepted requests."""

    def __init__(self, registered: set[str], zone: tzinfo = UTC, zone_name: str = "UTC") -> None:
        self._registered = registered
        self._zone_name = zone_name
        self._samples: dict[str, Samples] = {}
        self._makes = Makes(MOST_MAKES)
        self._accounts = Accounts(MOST_ACCOUNTS, zone)
        self._known: Counter[int] = Counter()
        self._sent: dict[str, Counter[int]] = {role: Counter() for role in ROLES}
        self._habits: Counter[int] = Counter()
        self._senders: set[str] = set()
        self.messages = self.whole = 0
        self._first, self._last = 1 << 62, 0

    def add(self, seen: Observed) -> None:
        """Learns one accepted request."""
        self.messages += 1
        self.whole += seen.whole
        self._first, self._last = min(self._first, seen.time_us), max(self._last, seen.time_us)
        role = ROLES[0] if seen.ip in self._registered else ROLES[1]
        make = make_of(seen.agent)
        self._senders.add(seen.ip)
        # Whoever makes up accounts behind one address, or takes many addresses of one network, is one sender.
        sender = number(seen.account, place_of(seen.ip))
        self._sent[role][sender] += 1
        # Behind a trunk each caller calls once: what it has as a habit is the trunk's.
        whose = sender if role == ROLES[0] else number(seen.ip)
        self._habits[whose] += 1
        for value in seen.values:
            if value.field == OTHERS_TAG:
                continue
            text = spelled(value.text)
            # How identifiers are made up is the make's; what people and servers are called is not.
            if value.field in MADE_UP:
                self._sample(f"make {value.field} {make}", True, sender, text)
            else:
                self._sample(f"{role} {value.field}", False, sender, text, whose)
                self._sample(f"{role} :{value.kind}", False, sender, text, whose)
            if value.field not in ONCE:
                self._know(known_as(seen, value.field, value.text))
        self._makes.add(make, sender, seen)
        if role == ROLES[0]:
            # Behind a trunk each caller would be one, for a single call.
            self._accounts.add(seen)

    def _sample(self, name: str, made_up: bool, sender: int, text: bytes, whose: int = 0) -> None:
        samples = self._samples.get(name)
        if samples is None:
            if len(self._samples) >= 4 * MOST_FIELDS:
                return
            samples = self._samples[name] = Samples(made_up)
        samples.add(sender, self.messages, text, whose)

    def _know(self, name: int) -> None:
        if name in self._known or len(self._known) < _MOST:
            self._known[name] += 1

    def model(self, left_out: Counter[str], lengths: list[int], progress: Callable[[int, int], None]) -> Model:
        """What was learned. Raises `LearnError` where that is too little."""
        if self.messages < LEAST:
            raise LearnError(
                f"only {self.messages:,} accepted messages could be learned from, {LEAST:,} are needed: give more days "
                "(what was left out, and why: " + (_counts(left_out) or "nothing") + ")"
            )
        chosen = sorted(self._samples.items(), key=lambda entry: (-entry[1].seen, entry[0]))[:MOST_FIELDS]
        fields = {}
        full = {role: enough(sent.values()) for role, sent in self._sent.items()}
        for place, (name, samples) in enumerate(chosen):
            progress(place, len(chosen))
            role, field, *_ = name.split(" ", 2)
            least = full.get(role, 1.0)
            if samples.is_habit(self._habits, least if role == ROLES[0] else 1):
                fields[name] = fit(
                    samples.forms(self._sent.get(role, Counter()), least, field.startswith(":")), views_of(name)
                )
        progress(len(chosen), len(chosen))
        known = sorted(self._known.items(), key=lambda entry: (-entry[1], entry[0]))[:MOST_KNOWN]
        return Model(
            made_by=f"sipsieve {sipsieve.__version__}",
            first_us=self._first,
            last_us=self._last,
            messages=self.messages,
            left_out=dict(sorted(left_out.items())),
            whole=self.whole,
            zone=self._zone_name,
            fields=dict(sorted(fields.items())),
            makes=self._makes.learned(),
            accounts=self._accounts.learned(),
            senders=sorted(number(ip) for ip in self._senders),
            registered=sorted(number(ip) for ip in self._registered)[:MOST_KNOWN],
            known=sorted(name for name, count in known if count >= _AGAIN),
            countries=self._accounts.common(),
            dialog=max(20, lengths[int(0.999 * (len(lengths) - 1))] * 3 if lengths else 0),
        )


def views_of(name: str) -> tuple[View, ...]:
    """What a field of the model is looked at by."""
    group, field, *_ = name.split(" ", 2)
    if group == "make":
        return OF_MADE_UP
    return OF_WORDLESS if field in ONCE else OF_OTHERS


def known_as(seen: Observed, field: str, text: bytes) -> int:
    """What a sender's own value is remembered by."""
    return number(seen.account or seen.ip, field, text.decode("latin-1"))


def learn(
    lines: Callable[[], Iterable[bytes]],
    zone: tzinfo = UTC,
    zone_name: str = "UTC",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Model:
    """Reads the decision records of `lines` twice, and makes the model. Raises `LearnError`."""
    sources = Sources()
    for line in lines():
        if (record := told(line)) is not None:
            sources.add(record)
    if not sources.answers:
        raise LearnError(
            "the recording holds no answers of the server, so nobody knows what was accepted: give decision logs, or captures of "
            "both directions"
        )
    accepted, learner = Accepted(sources), Learner(sources.registered, zone, zone_name)
    for line in lines():
        if (record := told(line)) is not None:
            for request in accepted.of(record):
                learner.add(observed(request))
    return learner.model(accepted.left_out, accepted.lengths(), progress)


def _counts(counts: Counter[str]) -> str:
    return "; ".join(f"{why} {n:,}" for why, n in counts.most_common())
