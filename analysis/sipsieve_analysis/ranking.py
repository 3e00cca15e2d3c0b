"""Weighs an actor: a score of named parts, a tier, and the action to take."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from .attack import Intent
from .campaigns import Campaign, CampaignType
from .sources import Source


class Tier(StrEnum):
    """How soon something has to be done."""

    IMMEDIATE = "immediate"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


#: Score from which on a tier is reached.
_FROM: Final = ((75, Tier.IMMEDIATE), (50, Tier.HIGH), (25, Tier.MEDIUM), (0, Tier.LOW))

#: What a successful campaign costs whom it hits, in points of 60. An injection may end the system, passwords and
#: toll fraud cost money, a flood costs time, an enumeration prepares others, a scan is weather.
_SEVERITY: Final = {
    CampaignType.INJECTION: 60,
    CampaignType.ACCOUNT_TAKEOVER: 50,
    CampaignType.DISTRIBUTED_FLOOD: 46,
    CampaignType.FLOOD: 44,
    CampaignType.SPOOFED_FLOOD: 44,
    CampaignType.TOLL_FRAUD: 42,
    CampaignType.WANGIRI: 20,
    CampaignType.CREDENTIAL_STUFFING: 40,
    CampaignType.BRUTE_FORCE: 40,
    CampaignType.SPRAYING: 40,
    CampaignType.FUZZING: 22,
    CampaignType.ENUMERATION: 20,
    CampaignType.MOVER: 4,
    CampaignType.SCAN: 4,
}

#: Whoever got in is dealt with before whoever tries.
_SUCCESS: Final = 30

#: How sure it is: a rule saw it in the message, or numbers say it.
_EVIDENCE: Final = {
    CampaignType.INJECTION: 15,
    CampaignType.ACCOUNT_TAKEOVER: 15,
    CampaignType.FUZZING: 10,
    CampaignType.SCAN: 4,
}
_STATISTIC: Final = 8

#: A scan or an address that behaves well never rises above low, whatever its volume.
_LOW_AT_MOST: Final = 24

_STOLEN: Final = (
    "Lock the account, change its password and end its calls and registrations now; then refuse numbers abroad to accounts "
    "that don't need them, and check the bills since the first call."
)

_ACTIONS: Final = (
    (CampaignType.ACCOUNT_TAKEOVER, "Lock the accounts named here, change their passwords and end their calls and registrations now; block the sources; check calls and bills since the first success."),
    (CampaignType.INJECTION, "Sanitize every SIP header before a backend sees it and parameterize every query that uses one; block the sources and look for the indicators in other logs."),
    (CampaignType.FLOOD, "Rate-limit INVITE per source address and count source ports; ban for minutes, not for ever."),
    (CampaignType.TOLL_FRAUD, "Refuse calls to numbers outside the dial plan before authentication; limit INVITE per source; check recent calls to these numbers."),
    (CampaignType.WANGIRI, "Refuse the block of numbers named here for some days ([[destinations]] forbidden, or callers_per_hour); whoever called it was made to, and is no attacker."),
    (CampaignType.DISTRIBUTED_FLOOD, "Limit by method over all sources before any state is kept; ban the sources for minutes; ask the upstream provider to filter."),
    (CampaignType.SPOOFED_FLOOD, "Do not ban the sources: they are forged. Limit by method before any state is kept, and ask the upstream provider to filter."),
    (CampaignType.CREDENTIAL_STUFFING, "Limit failed registrations across sources; change the passwords of the users named here that exist; look for a success among the answers."),
    (CampaignType.BRUTE_FORCE, "Limit REGISTER per source and per user; change the passwords of the users named here; look for a success among the answers."),
    (CampaignType.SPRAYING, "Limit failed registrations across sources; check the users named here for weak passwords."),
    (CampaignType.FUZZING, "Reject INVITE with Content-Length: 0 and malformed messages at the edge; keep the parser's software up to date."),
    (CampaignType.ENUMERATION, "Answer unknown and known users alike; limit requests per source."),
    (CampaignType.MOVER, "Watch for the next address: what joins the old ones is named here."),
    (CampaignType.SCAN, "Log and group; nothing to do as long as nothing follows."),
)  # fmt: skip


@dataclass(slots=True)
class Rank:
    """A tier with the score's parts by name, and what to do."""

    tier: Tier
    score: int
    parts: dict[str, int]
    action: str


def rank(campaigns: list[Campaign], sources: list[Source], intents: list[Intent], held_down: str = "") -> Rank:
    """Ranks one actor. `held_down` says why it is low at most: lawful behaviour, a forged source; "" if nothing does."""
    parts = {"severity": 0, "evidence": 0, "volume": 0, "persistence": 0, "backend": 0}
    action = "Nothing to do."
    if campaigns:
        worst = max(campaigns, key=lambda campaign: (campaign.succeeded, _SEVERITY[campaign.type]))
        parts["severity"] = _SEVERITY[worst.type]
        if worst.type is CampaignType.INJECTION and Intent.REMOTE_CODE_EXECUTION in intents:
            # A shell on the server is worse than a table in the wrong hands; both are on top.
            parts["severity"] += 5
        parts["evidence"] = _EVIDENCE.get(worst.type, _STATISTIC)
        action = next(text for kind, text in _ACTIONS if kind is worst.type)
        if worst.succeeded:
            parts["success"] = _SUCCESS
            if worst.type is CampaignType.TOLL_FRAUD:
                action = _STOLEN
    messages = sum(source.messages for source in sources)
    parts["volume"] = min(8, round(2 * math.log10(max(1, messages))))
    # Hours of presence, not length of time: one packet on Monday and one on Friday are no siege.
    hours = sum(source.total("hours") for source in sources)
    parts["persistence"] = min(6, round(2 * math.log2(max(1, hours)) / 2))
    received = sum(hit.received for source in sources for hit in source.injections)
    accepted = sum(source.total("accepted") for source in sources)
    if campaigns and campaigns[0].type is not CampaignType.SCAN:
        parts["backend"] = (6 if received else 0) + (6 if accepted else 0)
    score = min(100, sum(parts.values()))
    only_scan = all(campaign.type in (CampaignType.SCAN, CampaignType.MOVER) for campaign in campaigns)
    if held_down or only_scan:
        if score > _LOW_AT_MOST:
            parts["held down"] = _LOW_AT_MOST - score
            score = _LOW_AT_MOST
        if held_down:
            action = held_down
    tier = next(name for least, name in _FROM if score >= least)
    return Rank(tier, score, parts, action)
