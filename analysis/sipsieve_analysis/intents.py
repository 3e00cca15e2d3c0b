"""Says what an actor wants, and which rule or number says so."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from . import attack, habits
from .attack import Intent, Technique
from .campaigns import Campaign, CampaignType
from .census import Hit


@dataclass(slots=True, frozen=True)
class Motive:
    """One intent with its techniques; `why` names the rule or statistic."""

    intent: Intent
    techniques: tuple[Technique, ...]
    why: str


_BY_TYPE: Final[dict[CampaignType, tuple[Intent, tuple[Technique, ...]]]] = {
    CampaignType.FLOOD: (Intent.DENIAL_OF_SERVICE, (attack.T1498_001, attack.T1499_002)),
    CampaignType.SPOOFED_FLOOD: (Intent.DENIAL_OF_SERVICE, (attack.T1498_001, attack.T1499_002)),
    CampaignType.DISTRIBUTED_FLOOD: (Intent.DENIAL_OF_SERVICE, (attack.T1498_001, attack.T1499_002)),
    CampaignType.FUZZING: (Intent.DENIAL_OF_SERVICE, (attack.T1499_004,)),
    CampaignType.TOLL_FRAUD: (Intent.TOLL_FRAUD, (attack.T1496,)),
    CampaignType.WANGIRI: (Intent.TOLL_FRAUD, (attack.T1496,)),
    CampaignType.ACCOUNT_TAKEOVER: (Intent.CREDENTIAL_THEFT, (attack.T1110_001, attack.T1078)),
    CampaignType.CREDENTIAL_STUFFING: (Intent.CREDENTIAL_THEFT, (attack.T1110_004,)),
    CampaignType.BRUTE_FORCE: (Intent.CREDENTIAL_THEFT, (attack.T1110_001,)),
    CampaignType.SPRAYING: (Intent.CREDENTIAL_THEFT, (attack.T1110_003,)),
    CampaignType.ENUMERATION: (Intent.RECONNAISSANCE, (attack.T1589_001,)),
    CampaignType.SCAN: (Intent.RECONNAISSANCE, (attack.T1595_001, attack.T1595_002)),
}

_EXECUTES: Final = frozenset({"shell", "code", "template", "jndi", "ssi", "format"})
_READS: Final = frozenset({"path", "xml", "ldap", "nosql"})

#: SQL that writes. What it writes to decides whether credentials are meant as well.
_WRITES: Final = re.compile(
    r"\b(?:update\b.{1,80}?\bset|insert\b.{0,20}?\binto|delete\s+from|drop\s+\w|alter\s+\w|truncate\b|replace\s+into|create\s+\w)",
    re.I | re.S,
)
_WRITE_RULES: Final = re.compile(r"update|insert|delete|drop|alter|truncate|stacked")
_SQL_SHELL: Final = re.compile(
    r"xp_cmdshell|into\s+(?:out|dump)file|sys_exec|copy\b.{1,60}\bprogram|lo_export", re.I | re.S
)


def of_hit(hit: Hit) -> list[Motive]:
    """What a hostile value is for."""
    family = hit.family or habits.family_of(hit.rule)
    why = f"rule {hit.rule}"
    if family in _EXECUTES:
        technique = attack.T1059_004 if family == "shell" else attack.T1059
        return [Motive(Intent.REMOTE_CODE_EXECUTION, (attack.T1190, technique), why)]
    if family == "xss":
        return [Motive(Intent.REMOTE_CODE_EXECUTION, (attack.T1190, attack.T1059_007), why)]
    if family == "sql":
        return _of_sql(hit, why)
    if family in _READS:
        return [
            Motive(Intent.CREDENTIAL_THEFT, (attack.T1190, attack.T1212 if family != "path" else attack.T1005), why)
        ]
    if family == "sip" and re.search("dialplan|zap|channel", hit.rule):
        return [Motive(Intent.TOLL_FRAUD, (attack.T1190, attack.T1496), why)]
    return []


def _is_part(hit: Hit, commands: list[str]) -> bool:
    """Whether a file name or the like only stands in a command that other rules have seen."""
    family = hit.family or habits.family_of(hit.rule)
    return family in _READS and any(hit.excerpt in text or text in hit.excerpt for text in commands)


def _of_sql(hit: Hit, why: str) -> list[Motive]:
    motives = []
    text = hit.excerpt
    writes = bool(_WRITES.search(text) or (_WRITE_RULES.search(hit.rule) and not text))
    if _SQL_SHELL.search(text):
        motives.append(Motive(Intent.REMOTE_CODE_EXECUTION, (attack.T1190, attack.T1059), why))
    if writes:
        motives.append(Motive(Intent.DATA_TAMPERING, (attack.T1190, attack.T1565_001), why))
    if not writes:
        motives.append(Motive(Intent.CREDENTIAL_THEFT, (attack.T1190, attack.T1212), why))
    elif re.search(r"passw|\bpwd\b|secret|\bha1|credential", text, re.I):
        motives.append(Motive(Intent.CREDENTIAL_THEFT, (attack.T1190, attack.T1098), why))
    return motives


def of(campaigns: list[Campaign], hits: list[Hit]) -> list[Motive]:
    """All intents of an actor, the gravest first; each with the first reason that was found for it.

    `hits` are those that attack a backend.
    """
    found: dict[Intent, Motive] = {}
    commands = [hit.excerpt for hit in hits if (hit.family or habits.family_of(hit.rule)) in _EXECUTES]
    for hit in sorted(hits, key=lambda hit: (-hit.score, -hit.messages, hit.rule, hit.excerpt)):
        if not _is_part(hit, commands):
            for motive in of_hit(hit):
                found.setdefault(motive.intent, motive)
    for campaign in campaigns:
        if campaign.type in _BY_TYPE:
            intent, techniques = _BY_TYPE[campaign.type]
            found.setdefault(intent, Motive(intent, techniques, campaign.why))
    return [found[intent] for intent in Intent if intent in found]
