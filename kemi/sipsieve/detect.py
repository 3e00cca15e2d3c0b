"""Finds which rules fire on which parts of a message."""

from __future__ import annotations

from typing import Final

from . import grammar, structure
from .model import Finding, Message, Part, PartKind
from .normalize import needs_decoding, variants
from .parts import parts
from .ruleset import Rule, Ruleset

#: Findings kept of one message: enough to explain, too few to flood a log.
MAX_FINDINGS: Final = 16

#: How many times more bytes are matched as they are than are decoded.
MATCHED: Final = 3

#: What a part costs by itself, counted in bytes.
PART_COST: Final = 24

#: Bytes of plain values beyond those: half of the largest datagram, ten times the longest real call.
MAX_PLAIN: Final = 32768

#: Parts whose grammar leaves no room for prose: what looks like code there is code.
TIGHT: Final = frozenset(
    {
        PartKind.USERINFO,
        PartKind.PASSWORD,
        PartKind.HOST,
        PartKind.PORT,
        PartKind.URI_PARAMETER,
        PartKind.URI_HEADER,
        PartKind.PARAMETER,
        PartKind.NAME,
        PartKind.METHOD,
    }
)


def is_tight(part: Part) -> bool:
    """Whether a part is a token, host or userinfo, and no free text.

    A value that others act on is never scrubbed, so it is measured as strictly as a token.
    """
    if part.kind in TIGHT and not part.quoted:
        return True
    return part.kind is not PartKind.DISPLAY_NAME and part.header in grammar.ROUTED_HEADERS


def detect(message: Message, ruleset: Ruleset, max_decoded: int = 3072) -> list[Finding]:
    """All findings, at most one for a rule and part, in message order.

    `max_decoded` bounds what is decoded and what is matched, so that no message costs more than about
    a millisecond: values that need decoding may hold that many bytes in all, all values `MATCHED` times
    as many. What is longer and not plain is a finding itself.
    """
    findings: list[Finding] = []
    decodable, matchable = max_decoded, max_decoded * MATCHED
    for part in parts(message):
        size = len(part.value)
        if needs_decoding(part):
            decodable -= size + PART_COST
        matchable -= size + PART_COST
        if decodable < 0 or matchable < 0:
            if matchable > -MAX_PLAIN and ruleset.is_plain(part.value):
                continue
            findings.append(
                Finding(
                    "value-overlong",
                    "structure",
                    structure.CHECKS["value-overlong"].score,
                    part.field,
                    f"{size} bytes, and more than detection.max_decoded_bytes = {max_decoded} to decode in all",
                    b"" if part.header in grammar.CREDENTIAL_HEADERS else part.value[:256],
                    (part.start, part.end),
                    part.kind,
                )
            )
            return findings
        _match(part, ruleset, findings)
        if len(findings) >= MAX_FINDINGS:
            return findings[:MAX_FINDINGS]
    return findings


def _match(part: Part, ruleset: Ruleset, findings: list[Finding]) -> None:
    fired: set[str] = set()
    for number, form in enumerate(variants(part)):
        for rule in ruleset.match(form):
            if rule.id in fired or (number and rule.as_sent) or not applies(rule, part):
                continue
            fired.add(rule.id)
            score = rule.tight if is_tight(part) else rule.score
            if not score:
                continue
            # Digest secrets never reach the log, whatever fired on them.
            secret = part.header in grammar.CREDENTIAL_HEADERS
            findings.append(
                Finding(
                    rule.id,
                    rule.family,
                    score,
                    part.field,
                    rule.reason,
                    b"" if secret else part.value[:4096],
                    (part.start, part.end),
                    part.kind,
                )
            )


def applies(rule: Rule, part: Part) -> bool:
    """Whether a rule is meant for a part of that kind and header."""
    if rule.parts:
        if part.kind not in rule.parts:
            return False
    elif part.kind in (PartKind.NAME, PartKind.METHOD):
        return False
    return not rule.headers or part.header in rule.headers
