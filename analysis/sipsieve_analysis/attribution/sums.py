"""What a group of sources did in all."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..sources import Source

#: Targets by address and method, with how often.
Targets = dict[str, dict[str, dict[str, int]]]


def add(total: dict[str, int], more: Mapping[str, int]) -> None:
    """Adds counts to others. `Counter.update` asks first what it is given, which costs more than a few counts do."""
    if not total:
        dict.update(total, more)
        return
    known = total.get
    for name, count in more.items():
        total[name] = known(name, 0) + count


@dataclass(slots=True)
class Sums:
    """What a group did in all, worked out once."""

    users: dict[str, Counter[str]]
    #: Messages by method.
    methods: Counter[str]
    register: int
    invite: int
    options: int
    other: int
    messages: int
    peak: int
    peak_invites: int
    ports: int
    malformed: int
    zero: int
    limited: int
    banned: int
    tool: int
    authorized: int
    refused_login: int
    lawful: int
    defects: set[str]
    #: Messages that are known as counts alone, and whether the log holds answers to these sources.
    counted: int
    answered: bool
    #: Calls in which registrations came: phones register again under one Call-ID (RFC 3261 10.2.4).
    register_calls: int
    #: Users by methods that were asked for.
    _asked: dict[tuple[str, ...], Counter[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, sources: list[Source], targets: dict[str, dict[str, dict[str, int]]]) -> Sums:
        """Adds up the sources of a group."""
        asked_for: dict[str, dict[str, int]] = defaultdict(dict)
        for ip in {source.key for source in sources}:
            for method, asked in targets.get(ip, {}).items():
                add(asked_for[method], asked)
        users: dict[str, Counter[str]] = {method: Counter() for method in asked_for}
        for method, asked in asked_for.items():
            add(users[method], asked)
        methods: dict[str, int] = {}
        for source in sources:
            for profile in source.profiles:
                add(methods, profile.methods)
        register, invite, options = (sum(s.method(name) for s in sources) for name in ("REGISTER", "INVITE", "OPTIONS"))
        messages = sum(s.messages for s in sources)
        return cls(
            users, Counter(methods), register, invite, options, messages - register - invite - options, messages,
            # Bots of one master add up; where they don't meet in a minute this errs upwards, by their number at most.
            max(s.peak for s in sources), max(s.peak_invites for s in sources),
            max(max(p.ports for p in s.profiles) for s in sources),
            sum(s.family("structure") for s in sources), sum(s.family("content_length_zero") for s in sources),
            sum(s.family("limits") for s in sources), sum(s.action("banned") for s in sources), sum(s.family("scanner") for s in sources),
            sum(s.total("authorized") for s in sources), sum(s.total("refused_login") for s in sources), sum(s.lawful for s in sources),
            {rule for s in sources for rule in s.rules("structure")}, sum(s.total("counted") for s in sources), any(s.total("answered") for s in sources), sum(s.total("register_calls") for s in sources),
        )  # fmt: skip

    @property
    def outcome(self) -> str:
        """What is known of answers."""
        return "none accepted" if self.answered else "the log does not show the answers"

    @property
    def is_refreshing(self) -> bool:
        """Whether these are registrations that are kept alive, as far as requests alone can tell."""
        return not self.answered and self.register >= 3 * self.register_calls > 0

    def asked(self, *methods: str) -> Counter[str]:
        """Users asked for by requests of these methods; for whoever reads it only."""
        if (total := self._asked.get(methods)) is None:
            total = self._asked[methods] = Counter()
            for method in methods:
                add(total, self.users.get(method, {}))
        return total
