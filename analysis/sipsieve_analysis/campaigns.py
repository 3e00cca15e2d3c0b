"""Finds campaigns: what a group of sources did together, with the numbers that say so."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Final

from . import habits
from .census import Hit
from .links import Group
from .sources import PATIENT_PER_MINUTE, Source


class CampaignType(StrEnum):
    """What kind of campaign."""

    INJECTION = "injection"
    FLOOD = "flood"
    TOLL_FRAUD = "toll_fraud"
    BRUTE_FORCE = "brute_force"
    SPRAYING = "spraying"
    FUZZING = "fuzzing"
    ENUMERATION = "enumeration"
    SCAN = "scan"


@dataclass(slots=True)
class Campaign:
    """One campaign. Times in microseconds since the epoch; `why` is the rule or statistic behind it."""

    type: CampaignType
    sources: list[str]
    first_us: int
    last_us: int
    messages: int
    why: str
    ports: list[int] = field(default_factory=list)
    port_count: int = 0
    methods: list[str] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    target_count: int = 0
    actor: str = ""


#: INVITEs, or requests of any kind, in one minute from a group that never got a call through.
_FLOOD_INVITES: Final = 30
_FLOOD_MESSAGES: Final = 300

#: Different users asked for by one group without any success. Fewer are typing errors and stale address books.
_ENUMERATED: Final = 8

#: Passwords tried: a person gives up long before.
_TRIED: Final = 20

#: Users among whom few passwords were tried.
_SPRAYED: Final = 5

#: Attempts on one user up to which trying is spraying: a lockout usually comes after 3 to 5, a challenge doubles the messages.
_SPRAY_EACH: Final = 8.0

#: Numbers dialled without an answer, and ways of dialling the same number.
_DIALLED: Final = 4
_NUMBER: Final = re.compile(r"[+*#0-9A-Da-d.\-]{0,24}?([0-9]{7,20})\Z")

#: Malformed messages, or INVITEs without a body, that make a campaign.
_MALFORMED: Final = 5
_ZERO: Final = 3


@dataclass(slots=True)
class Sums:
    """What a group did in all, worked out once."""

    users: dict[str, Counter[str]]
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

    @classmethod
    def of(cls, sources: list[Source], targets: dict[str, dict[str, dict[str, int]]]) -> Sums:
        """Adds up the sources of a group."""
        users: dict[str, Counter[str]] = {}
        for ip in {source.ip for source in sources}:
            for method, asked in targets.get(ip, {}).items():
                users.setdefault(method, Counter()).update(asked)
        register, invite, options = (sum(s.method(name) for s in sources) for name in ("REGISTER", "INVITE", "OPTIONS"))
        messages = sum(s.messages for s in sources)
        return cls(
            users, register, invite, options, messages - register - invite - options, messages,
            # Bots of one master add up; where they don't meet in a minute this errs upwards, by their number at most.
            max(s.peak for s in sources), max(s.peak_invites for s in sources),
            max(max(p.ports for p in s.profiles) for s in sources),
            sum(s.family("structure") for s in sources), sum(s.family("content_length_zero") for s in sources),
            sum(s.family("limits") for s in sources), sum(s.action("banned") for s in sources), sum(s.family("scanner") for s in sources),
            sum(s.total("authorized") for s in sources), sum(s.total("refused_login") for s in sources), sum(s.lawful for s in sources),
            {rule for s in sources for rule in s.rules("structure")},
        )  # fmt: skip

    def asked(self, *methods: str) -> Counter[str]:
        """Users asked for by requests of these methods."""
        total: Counter[str] = Counter()
        for method in methods:
            total.update(self.users.get(method, Counter()))
        return total


def find(
    group: Group, targets: dict[str, dict[str, dict[str, int]]], forged: bool = False, answers: bool = True
) -> list[Campaign]:
    """The campaigns of a group; none where it is a phone, an office or a trunk.

    `answers` says that the log holds what the servers answered. Where it does not, "none was accepted" can't be said.
    """
    sums = Sums.of(group.sources, targets)
    if not forged and not answers and _looks_ordinary(sums, group):
        return []
    found: list[Campaign] = []
    for kind, why in (
        (CampaignType.INJECTION, _injection(group)),
        (CampaignType.FLOOD, _flood(sums, forged, len(group.sources))),
        (CampaignType.TOLL_FRAUD, _toll_fraud(sums)),
        *_passwords(sums, group),
        (CampaignType.FUZZING, _fuzzing(sums, forged)),
    ):
        if why:
            found.append(_campaign(kind, why, group, sums))
    kinds = {campaign.type for campaign in found}
    if CampaignType.TOLL_FRAUD not in kinds and CampaignType.FLOOD not in kinds and (why := _enumeration(sums, kinds)):
        found.append(_campaign(CampaignType.ENUMERATION, why, group, sums))
    if not found and (why := _scan(sums, group)):
        found.append(_campaign(CampaignType.SCAN, why, group, sums))
    return found


def _looks_ordinary(sums: Sums, group: Group) -> bool:
    """Whether one address with phones or a PBX behind it does what those do, as far as requests alone can tell."""
    agents = {agent for source in group.sources for agent in source.agents}
    if len(group.sources) > 1 or not agents or not all(habits.is_product(agent) for agent in agents):
        return False
    if group.sources[0].has_attack or sums.peak > _FLOOD_MESSAGES:
        return False
    users, numbers = sums.asked("REGISTER"), sums.asked("INVITE")
    if users:
        # Phones register again under one Call-ID (RFC 3261 10.2.4), and an office has phones of several makes.
        calls = sum(source.total("register_calls") for source in group.sources)
        if sums.register < 3 * calls and len(agents) < 3:
            return False
    if numbers:
        # Trunks call telephone numbers; who looks for extensions asks for short ones.
        long = sum(count for number, count in numbers.items() if len(re.sub("[^0-9]", "", number)) >= 7)
        tails = Counter(number[-7:] for number in numbers if len(number) >= 7)
        if long * 2 < sums.invite or max(tails.values(), default=0) >= _DIALLED:
            return False
    return bool(users or numbers)


def _injection(group: Group) -> str:
    totals = _by_rule([hit for source in group.sources for hit in source.injections])
    most = sorted(totals.items(), key=lambda item: (-item[1], item[0]))[:4]
    return ", ".join(f"{rule} on {count} message{'s' * (count > 1)}" for rule, count in most)


def _by_rule(hits: list[Hit]) -> Counter[str]:
    """Messages by rule. A rule that fires on several fields of a message counts it once."""
    fields: Counter[tuple[str, str]] = Counter()
    for hit in hits:
        fields[hit.rule, hit.field] += hit.messages
    totals: Counter[str] = Counter()
    for (rule, _), count in fields.items():
        totals[rule] = max(totals[rule], count)
    return totals


def _flood(sums: Sums, forged: bool, sources: int) -> str:
    if forged:
        return f"{sums.messages} messages from {sources} addresses that each sent a few and never went on"
    if sums.lawful * 4 > sums.messages or sums.lawful * 4 > sums.invite > 0:
        return ""
    # What a ban dropped has no method; it was more of what came before.
    dropped = sums.banned if sums.invite * 2 > sums.messages - sums.banned else 0
    if not sums.limited and sums.malformed * 2 < sums.invite and len(sums.asked("INVITE")) * 2 > sums.invite:
        # Each number once: somebody looks for something, fast.
        return ""
    if sums.peak_invites + dropped >= _FLOOD_INVITES and (sums.peak_invites >= _FLOOD_INVITES or sums.limited):
        over = f" over {sums.ports} source ports" if sums.ports > 1 else ""
        more = f" and {dropped} dropped while banned" if dropped else ""
        return f"{sums.invite} INVITEs{over}, up to {sums.peak_invites} in a minute{more}"
    if sums.register < sums.messages / 2 and (
        sums.peak >= _FLOOD_MESSAGES or (sums.banned > _FLOOD_MESSAGES and not sums.register)
    ):
        users = sums.asked("OPTIONS", "SUBSCRIBE", "MESSAGE")
        if len(users) < sums.messages / 4:
            return f"{sums.messages} messages, up to {sums.peak} in a minute"
    return ""


def _toll_fraud(sums: Sums) -> str:
    asked = sums.asked("INVITE")
    numbers: dict[str, str] = {}
    for user in asked:
        if (match := _NUMBER.fullmatch(user)) is not None:
            numbers[user] = match[1]
    if len(numbers) < _DIALLED or len(numbers) * 2 < len(asked) or sums.lawful * 4 > sums.invite:
        return ""
    # The same number behind ever new prefixes: somebody looks for the way out to the telephone network.
    tails = Counter(number[-7:] for number in numbers.values())
    _, times = tails.most_common(1)[0]
    if times >= _DIALLED:
        return f"one number dialled in {times} ways ({len(numbers)} numbers in all), no call answered"
    away = [
        user
        for user, number in numbers.items()
        if len(number) >= 9 and re.match(r"(?:\+|0{2,}|[0-9*#]{0,4}?(?:00|011)|9[0-9]{9})", user)
    ]
    if len(away) >= _DIALLED * 2 and len(away) * 2 >= len(numbers):
        return f"{len(away)} international numbers dialled, no call answered"
    return ""


def _passwords(sums: Sums, group: Group) -> list[tuple[CampaignType, str]]:
    asked = sums.asked("REGISTER")
    # What a ban dropped has no method; it was more of what came before.
    dropped = sums.banned if sums.register * 2 > sums.messages - sums.banned else 0
    tries = sums.register + dropped
    if not asked or tries < _TRIED / 2 or sums.lawful * 4 > sums.register:
        return []
    users = len(asked)
    each = sums.register / users
    tried = sums.authorized or sums.refused_login
    if users == 1 and sums.peak <= PATIENT_PER_MINUTE and not sums.tool and not _overlap(group.sources):
        # A phone with a wrong password does just this, for weeks; on the move from changing addresses.
        return []
    if dropped:
        if users >= _SPRAYED and each < _SPRAY_EACH / 2:
            # Banned at the start: those who came before the ban stand for the rest.
            users = round(tries / each)
        else:
            each = tries / users
    if users >= _SPRAYED and each <= _SPRAY_EACH:
        if each < 1.8 and tried < users * 0.5:
            return []
        why = f"{tries:,} registrations as {users:,} users, {each:.1f} each, none accepted"
        return [(CampaignType.SPRAYING, why)]
    if tries >= _TRIED and each > 3:
        who = f"{users:,} user{'s' * (users > 1)}"
        return [(CampaignType.BRUTE_FORCE, f"{tries:,} registrations as {who}, {each:.0f} each, none accepted")]
    return []


def _overlap(sources: list[Source]) -> bool:
    """Whether several sources were active at the same time."""
    ordered = sorted(sources, key=lambda source: source.first_us)
    return any(later.first_us < earlier.last_us for earlier, later in pairwise(ordered))


def _fuzzing(sums: Sums, forged: bool) -> str:
    if sums.zero >= _ZERO and sums.lawful * 4 <= sums.messages:
        return f"{sums.zero} INVITEs without a body (Content-Length: 0) outside any call"
    if forged or sums.malformed < _MALFORMED or sums.lawful * 4 > sums.messages:
        return ""
    if len(sums.defects) < 4 and sums.peak_invites + (sums.banned if sums.limited else 0) >= _FLOOD_INVITES:
        return ""
    if len(sums.defects) >= 2 or sums.malformed * 2 >= sums.messages:
        return f"{sums.malformed} malformed messages, broken in {len(sums.defects)} way{'s' * (len(sums.defects) > 1)}"
    return ""


def _enumeration(sums: Sums, kinds: set[CampaignType]) -> str:
    if kinds & {CampaignType.SPRAYING, CampaignType.BRUTE_FORCE, CampaignType.FUZZING, CampaignType.INJECTION}:
        return ""
    for method in ("REGISTER", "INVITE", "OPTIONS", "SUBSCRIBE", "MESSAGE"):
        asked = sums.users.get(method, Counter())
        # A ban cuts an enumeration short: those who came before it tell enough.
        enough = _ENUMERATED // 2 if sums.banned > _ENUMERATED else _ENUMERATED
        if len(asked) >= enough and sums.lawful * 4 <= sums.messages:
            return f"{len(asked)} users asked for by {method}, none answered"
    return ""


def _scan(sums: Sums, group: Group) -> str:
    if sums.tool:
        return f"{sums.tool} messages of an attack tool"
    if sums.options >= sums.messages * 0.8 and sums.messages >= 3 and not sums.lawful:
        agents = {agent for source in group.sources for agent in source.agents}
        if not any(habits.is_research(agent) for agent in agents):
            return f"{sums.options} OPTIONS and nothing after them"
    return ""


def _campaign(kind: CampaignType, why: str, group: Group, sums: Sums) -> Campaign:
    hits = [hit for source in group.sources for hit in source.hits]
    messages = sums.messages
    first, last = min(s.first_us for s in group.sources), max(s.last_us for s in group.sources)
    rules: set[str] = set()
    if kind is CampaignType.INJECTION:
        mine = [hit for source in group.sources for hit in source.injections]
    elif kind is CampaignType.FUZZING:
        mine = [
            hit
            for hit in hits
            if (hit.family or habits.family_of(hit.rule)) in ("structure", "control", "content_length_zero")
        ]
    elif kind is CampaignType.FLOOD:
        mine = [hit for hit in hits if (hit.family or habits.family_of(hit.rule)) in ("limits", "structure")]
    else:
        mine = []
    if mine:
        rules = {hit.rule for hit in mine}
        if kind is not CampaignType.FLOOD:
            messages = max(_by_rule(mine).values())
            first, last = min(hit.first_us for hit in mine), max(hit.last_us for hit in mine)
    methods = Counter[str]()
    for source in group.sources:
        for profile in source.profiles:
            methods.update(profile.methods)
    relevant = {
        CampaignType.BRUTE_FORCE: ("REGISTER",),
        CampaignType.SPRAYING: ("REGISTER",),
        CampaignType.TOLL_FRAUD: ("INVITE",),
    }.get(kind, tuple(sums.users))
    asked = sums.asked(*relevant)
    return Campaign(
        kind, sorted({s.ip for s in group.sources if s.ip}), first, last, messages, why,
        methods=[name for name, _ in methods.most_common(6)], rules=sorted(rules),
        targets=[user for user, _ in sorted(asked.items(), key=lambda item: (-item[1], item[0]))[:20]], target_count=len(asked),
    )  # fmt: skip
