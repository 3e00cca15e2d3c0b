"""Finds which rules fire on which parts of a message."""

from __future__ import annotations

from typing import Final

from . import grammar
from .model import Finding, Message, Part, PartKind
from .normalize import variants
from .parts import parts
from .ruleset import Rule, Ruleset

#: Findings kept of one message: enough to explain, too few to flood a log.
MAX_FINDINGS: Final = 16

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


def detect(message: Message, ruleset: Ruleset) -> list[Finding]:
    """All findings, at most one for a rule and part, in message order."""
    findings: list[Finding] = []
    for part in parts(message):
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
                if len(findings) >= MAX_FINDINGS:
                    return findings
    return findings


def applies(rule: Rule, part: Part) -> bool:
    """Whether a rule is meant for a part of that kind and header."""
    if rule.parts:
        if part.kind not in rule.parts:
            return False
    elif part.kind in (PartKind.NAME, PartKind.METHOD):
        return False
    return not rule.headers or part.header in rule.headers
