"""Finds campaigns: what a group of sources did together, with the numbers that say so."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Final

from . import habits
from .attribution.accounts import fraud, taken_over
from .attribution.destinations import Costly
from .attribution.exchanges import ABROAD, Calls, Login
from .attribution.sums import Sums, Targets
from .census import Hit, Profile
from .links import Group, moves, overlap
from .sources import PATIENT_PER_MINUTE, Source


class CampaignType(StrEnum):
    """What kind of campaign."""

    ACCOUNT_TAKEOVER = "account_takeover"
    INJECTION = "injection"
    FLOOD = "flood"
    SPOOFED_FLOOD = "spoofed_flood"
    DISTRIBUTED_FLOOD = "distributed_flood"
    TOLL_FRAUD = "toll_fraud"
    WANGIRI = "wangiri"
    BRUTE_FORCE = "brute_force"
    CREDENTIAL_STUFFING = "credential_stuffing"
    SPRAYING = "spraying"
    FUZZING = "fuzzing"
    ENUMERATION = "enumeration"
    MOVER = "mover"
    SCAN = "scan"


@dataclass(slots=True)
class Seen:
    """What the log tells beside the sources: targets, logins and answered calls by address, whether it has answers."""

    targets: Targets
    logins: dict[str, list[Login]] = field(default_factory=dict)
    calls: dict[str, list[Calls]] = field(default_factory=dict)
    #: Dear calls by address that are no ordinary ones.
    costly: dict[str, Costly] = field(default_factory=dict)
    answers: bool = True
    #: Messages of all sources of a group in its busiest minute.
    peak: Callable[[list[Source]], int] = field(default=lambda sources: 0)


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
    #: Whether the attacker reached what it wanted.
    succeeded: bool = False


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

#: Who waits for a lockout to pass tries more: what tells then is that there are many more users than attempts on each.
_PATIENT_EACH: Final = 12.0
_WIDE: Final = 4

#: Numbers dialled without an answer, and ways of dialling the same number.
_DIALLED: Final = 4
_NUMBER: Final = re.compile(r"[+*#0-9A-Da-d.\-]{0,24}?([0-9]{7,20})\Z")

#: Malformed messages, or INVITEs without a body, that make a campaign.
_MALFORMED: Final = 5
_ZERO: Final = 3


def _stolen(group: Group, seen: Seen, taken: set[str]) -> tuple[str, bool]:
    ips = sorted({source.ip for source in group.sources if not source.is_claimed})
    for ip in ips:
        for call in seen.calls.get(ip, []):
            if why := fraud(call, seen.logins, taken):
                return why, True
    for ip in ips:
        if (dear := seen.costly.get(ip)) is not None:
            return dear.said(seen.answers), dear.answered > 0
    return "", False


def _costs(group: Group, seen: Seen) -> bool:
    return any(source.ip in seen.costly for source in group.sources if not source.is_claimed)


def find(group: Group, seen: Seen, forged: bool = False) -> list[Campaign]:
    """The campaigns of a group; none where it is a phone, an office or a trunk."""
    sums = Sums.of(group.sources, seen.targets)
    guessing = [] if forged or seen.answers else [profile for source in group.sources for profile in source.guessing]
    if not forged and not seen.answers and not _costs(group, seen) and _looks_ordinary(sums, group):
        return [_beside_others(guessing, group, sums)] if guessing else []
    found: list[Campaign] = []
    taken, taken_why = taken_over({source.ip for source in group.sources}, sums.peak, seen.logins, seen.calls)
    stolen, paid = _stolen(group, seen, taken)
    if taken or any(source.guesses for source in group.sources):
        # The calls and registrations behind a guessed password speak for nobody.
        sums.lawful = 0
    if taken_why:
        found.append(_campaign(CampaignType.ACCOUNT_TAKEOVER, taken_why, group, sums, succeeded=True))
        found[-1].targets, found[-1].target_count = sorted(taken)[:20], len(taken)
    flood_kind, flood_why = _flood(sums, forged, group, seen)
    passwords = _passwords(sums, group, bool(taken))
    for kind, why in (
        (CampaignType.INJECTION, _injection(group)),
        (flood_kind, flood_why),
        (CampaignType.TOLL_FRAUD, stolen or ("" if forged else _toll_fraud(sums))),
        *passwords,
        (CampaignType.FUZZING, _fuzzing(sums, forged)),
    ):
        if why:
            found.append(_campaign(kind, why, group, sums))
            found[-1].succeeded = kind is CampaignType.TOLL_FRAUD and paid
    if guessing and not (passwords or taken_why):
        found.append(_beside_others(guessing, group, sums))
    kinds = {campaign.type for campaign in found}
    if not kinds & {CampaignType.TOLL_FRAUD, *FLOODS} and (why := _enumeration(sums, group, kinds)):
        found.append(_campaign(CampaignType.ENUMERATION, why, group, sums))
    if not found and (why := _scan(sums, group)):
        found.append(_campaign(CampaignType.SCAN, why, group, sums))
    if found and (why := moves(group)):
        found.append(_campaign(CampaignType.MOVER, why, group, sums))
    return found


#: All kinds of flood.
FLOODS: Final = frozenset({CampaignType.FLOOD, CampaignType.SPOOFED_FLOOD, CampaignType.DISTRIBUTED_FLOOD})


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


def _flood(sums: Sums, forged: bool, group: Group, seen: Seen) -> tuple[CampaignType, str]:
    one, sources = CampaignType.FLOOD, len({source.ip for source in group.sources})
    if forged:
        why = f"{sums.messages:,} messages from {sources:,} addresses that each sent a few and never went on"
        return CampaignType.SPOOFED_FLOOD, why
    if sums.lawful * 4 > sums.messages or sums.lawful * 4 > sums.invite > 0:
        return one, ""
    if sources > 1 and not sums.register * 2 > sums.messages:
        peak = seen.peak(group.sources)
        if peak >= _FLOOD_MESSAGES and not _is_list(sums) and peak * 2 > max(s.peak for s in group.sources) * 3:
            kind = CampaignType.DISTRIBUTED_FLOOD
            return kind, f"{sums.messages:,} messages from {sources:,} addresses, up to {peak:,} in a minute"
    # What a ban dropped has no method; it was more of what came before.
    dropped = sums.banned if sums.invite * 2 > sums.messages - sums.banned else 0
    if (
        not sums.limited
        and sums.malformed * 2 < sums.invite
        and (len(sums.asked("INVITE")) * 2 > sums.invite or (_is_list(sums) and sums.peak_invites < _FLOOD_MESSAGES))
    ):
        # Each number once: somebody looks for something, fast.
        return one, ""
    if _is_list(sums) and sums.malformed * 2 < sums.invite:
        return one, ""
    if sums.peak_invites + dropped >= _FLOOD_INVITES and (sums.peak_invites >= _FLOOD_INVITES or sums.limited):
        over = f" over {sums.ports} source ports" if sums.ports > 1 else ""
        more = f" and {dropped} dropped while banned" if dropped else ""
        return one, f"{sums.invite} INVITEs{over}, up to {sums.peak_invites} in a minute{more}"
    if sums.register < sums.messages / 2 and (
        sums.peak >= _FLOOD_MESSAGES or (sums.banned > _FLOOD_MESSAGES and not sums.register)
    ):
        users = sums.asked("OPTIONS", "SUBSCRIBE", "MESSAGE")
        if len(users) < sums.messages / 4:
            return one, f"{sums.messages} messages, up to {sums.peak} in a minute"
    return one, ""


def _is_list(sums: Sums) -> bool:
    """Whether the users asked for are worked through like a list: each about once, most of them numbers in a row."""
    asked = sums.asked("INVITE", "OPTIONS", "REGISTER", "SUBSCRIBE", "MESSAGE")
    if len(asked) < _ENUMERATED:
        return False
    numbers = sorted({int(user) for user in asked if user.isascii() and user.isdigit() and len(user) <= 9})
    in_row = sum(later - earlier <= 2 for earlier, later in pairwise(numbers))
    return in_row * 2 >= len(asked) and sum(asked.values()) <= 3 * len(asked)


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
        end = "no call answered" if sums.answered else sums.outcome
        return f"one number dialled in {times} ways ({len(numbers)} numbers in all), {end}"
    away = [
        user
        for user, number in numbers.items()
        if len(number) >= 9
        and (re.match(ABROAD, user) or re.match(r"(?:0{2,}|[0-9*#]{0,4}?(?:00|011)|9[0-9]{9})", user))
    ]
    if len(away) >= _DIALLED * 2 and len(away) * 2 >= len(numbers):
        end = "no call answered" if sums.answered else sums.outcome
        return f"{len(away)} international numbers dialled, {end}"
    return ""


def _passwords(sums: Sums, group: Group, got_in: bool) -> list[tuple[CampaignType, str]]:
    asked = sums.asked("REGISTER")
    # What a ban dropped has no method; it was more of what came before.
    dropped = sums.banned if sums.register * 2 > sums.messages - sums.banned else 0
    tries = sums.register + dropped
    outcome = "one of them accepted" if got_in else sums.outcome
    if tries < _TRIED / 2 or sums.lawful * 4 > sums.register or sums.is_refreshing:
        return []
    if not asked:
        # Counts alone: users and answers are unknown, pace and what the guard did about it are not.
        hasty = (
            sums.peak >= _COUNTED_PER_MINUTE
            and sums.register * 10 >= sums.messages * 9
            and sums.register >= 10 * _TRIED
        )
        if sums.limited or dropped or hasty:
            why = (
                f"{tries:,} registrations, up to {sums.peak} in a minute; the log holds counts, no users and no answers"
            )
            return [(CampaignType.BRUTE_FORCE, why)]
        return []
    users = len(asked)
    each = sums.register / users
    tried = sums.authorized or sums.refused_login
    if users == 1 and sums.peak <= PATIENT_PER_MINUTE and not sums.tool and not got_in and not overlap(group.sources):
        # A phone with a wrong password does just this, for weeks; on the move from changing addresses.
        return []
    if _is_stale(sums, group, users) and not got_in:
        return []
    if dropped:
        if users >= _SPRAYED and each < _SPRAY_EACH / 2:
            # Banned at the start: those who came before the ban stand for the rest.
            users = round(tries / each)
        else:
            each = tries / users
    attempts = sums.authorized / len(asked) if sums.authorized else each
    is_wide = attempts <= _PATIENT_EACH and users >= _WIDE * attempts
    if users >= _SPRAYED and (each <= _SPRAY_EACH or is_wide):
        if each < 1.8 and tried < len(asked) * 0.5:
            return []
        why = f"{tries:,} registrations as {users:,} users, {each:.1f} each, {outcome}"
        if users >= _STUFFED and each <= 2.2 and _are_names(asked):
            return [(CampaignType.CREDENTIAL_STUFFING, why)]
        return [(CampaignType.SPRAYING, why)]
    if tries >= _TRIED and each > 3:
        who = f"{users:,} user{'s' * (users > 1)}"
        return [(CampaignType.BRUTE_FORCE, f"{tries:,} registrations as {who}, {each:.0f} each, {outcome}")]
    return []


def _beside_others(guessing: list[Profile], group: Group, sums: Sums) -> Campaign:
    """What clients do that guess behind an address at which others register and call as phones do."""
    tries, users = sum(one.method("REGISTER") for one in guessing), sum(one.register_users for one in guessing)
    who = f"{users:,} user{'s' * (users != 1)}"
    why = f"{tries:,} registrations as {who} by {len(guessing)} of the clients at an address, {sums.outcome}"
    campaign = _campaign(CampaignType.BRUTE_FORCE, why, group, sums)
    campaign.messages, campaign.methods = sum(one.messages for one in guessing), ["REGISTER"]
    campaign.sources = sorted({one.ip for one in guessing} & set(campaign.sources))
    campaign.first_us, campaign.last_us = min(p.first_us for p in guessing), max(p.last_us for p in guessing)
    # Whom the address asked for is known of all its clients together.
    campaign.targets, campaign.target_count = [], users
    return campaign


#: Registrations in a minute, known as counts alone, that no office reaches.
_COUNTED_PER_MINUTE: Final = 120

#: Users with one password each that came from somebody's list of stolen ones.
_STUFFED: Final = 20

#: Registrations of one user in a minute that a PBX with an old password sends: an attempt, of two messages, in 20 s.
_STALE_PER_MINUTE: Final = 6


def _are_names(asked: Counter[str]) -> bool:
    """Whether users are no extensions in a row: a list from elsewhere."""
    numbers = sorted({int(user) for user in asked if user.isascii() and user.isdigit() and len(user) <= 9})
    in_row = sum(later - earlier <= 3 for earlier, later in pairwise(numbers))
    return in_row * 3 < len(asked)


def _is_stale(sums: Sums, group: Group, users: int) -> bool:
    """Whether a PBX tries its accounts again and again with an old password: at its pace, each under its one Call-ID."""
    agents = {agent for source in group.sources for agent in source.agents}
    calls = sum(source.total("register_calls") for source in group.sources)
    return (
        len({source.ip for source in group.sources}) == 1
        and not sums.tool
        and bool(agents)
        and all(habits.is_product(agent) for agent in agents)
        and sums.register >= 6 * users
        and sums.peak <= _STALE_PER_MINUTE * users
        and (calls <= 2 * users or (sums.ports <= 2 and len(agents) == 1 and sums.register >= 10 * users))
    )


def _fuzzing(sums: Sums, forged: bool) -> str:
    # Who looks for users or numbers needs no body.
    looks = len(sums.asked("INVITE")) >= _ENUMERATED
    if sums.zero >= _ZERO and sums.lawful * 4 <= sums.messages and not looks:
        return f"{sums.zero} INVITEs without a body (Content-Length: 0) outside any call"
    if forged or sums.malformed < _MALFORMED or sums.lawful * 4 > sums.messages:
        return ""
    if len(sums.defects) < 4 and sums.peak_invites + (sums.banned if sums.limited else 0) >= _FLOOD_INVITES:
        return ""
    if len(sums.defects) >= 2 or sums.malformed * 2 >= sums.messages:
        return f"{sums.malformed} malformed messages, broken in {len(sums.defects)} way{'s' * (len(sums.defects) > 1)}"
    return ""


def _enumeration(sums: Sums, group: Group, kinds: set[CampaignType]) -> str:
    if kinds & {
        CampaignType.SPRAYING, CampaignType.BRUTE_FORCE, CampaignType.CREDENTIAL_STUFFING, CampaignType.FUZZING, CampaignType.INJECTION,
        CampaignType.ACCOUNT_TAKEOVER,
    }:  # fmt: skip
        return ""
    for method in ("REGISTER", "INVITE", "OPTIONS", "SUBSCRIBE", "MESSAGE"):
        asked = sums.users.get(method, Counter())
        # A ban cuts an enumeration short: those who came before it tell enough.
        enough = _ENUMERATED // 2 if sums.banned > _ENUMERATED else _ENUMERATED
        if method == "REGISTER" and (sums.is_refreshing or _is_stale(sums, group, len(asked))):
            continue
        if len(asked) >= enough and sums.lawful * 4 <= sums.messages:
            return f"{len(asked)} users asked for by {method}, {'none answered' if sums.answered else sums.outcome}"
    return ""


def _scan(sums: Sums, group: Group) -> str:
    if sums.tool:
        return f"{sums.tool} messages of an attack tool"
    if sums.options >= sums.messages * 0.8 and sums.messages >= 3 and not sums.lawful:
        agents = {agent for source in group.sources for agent in source.agents}
        if not any(habits.is_research(agent) for agent in agents):
            return f"{sums.options} OPTIONS and nothing after them"
    return ""


def _campaign(kind: CampaignType, why: str, group: Group, sums: Sums, succeeded: bool = False) -> Campaign:
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
    elif kind in FLOODS:
        mine = [hit for hit in hits if (hit.family or habits.family_of(hit.rule)) in ("limits", "structure")]
    else:
        mine = []
    if mine:
        rules = {hit.rule for hit in mine}
        if kind not in FLOODS:
            messages = max(_by_rule(mine).values())
            first, last = min(hit.first_us for hit in mine), max(hit.last_us for hit in mine)
    relevant = {
        CampaignType.BRUTE_FORCE: ("REGISTER",),
        CampaignType.SPRAYING: ("REGISTER",),
        CampaignType.CREDENTIAL_STUFFING: ("REGISTER",),
        CampaignType.TOLL_FRAUD: ("INVITE",),
    }.get(kind, tuple(sums.users))
    asked = sums.asked(*relevant)
    return Campaign(
        kind, sorted({s.ip for s in group.sources if s.ip and not s.is_claimed}), first, last, messages, why,
        methods=[name for name, _ in sums.methods.most_common(6)], rules=sorted(rules),
        targets=[user for user, _ in sorted(asked.items(), key=lambda item: (-item[1], item[0]))[:20]], target_count=len(asked), succeeded=succeeded,
    )  # fmt: skip
