"""Finds which rules fire on which parts of a message."""

from __future__ import annotations

from . import grammar
from .model import Finding, Message, PartKind
from .normalize import variants
from .parts import parts
from .ruleset import Ruleset

#: Findings kept of one message: enough to explain, too few to flood a log.
MAX_FINDINGS = 16


def detect(message: Message, ruleset: Ruleset) -> list[Finding]:
    """All findings, at most one for a rule and part, in message order."""
    findings: list[Finding] = []
    for part in parts(message):
        fired: set[str] = set()
        for form in variants(part):
            for rule in ruleset.match(form):
                if rule.id in fired:
                    continue
                if part.kind in (PartKind.NAME, PartKind.METHOD) and part.kind not in rule.parts:
                    continue
                if rule.parts and part.kind not in rule.parts:
                    continue
                if rule.headers and part.header not in rule.headers:
                    continue
                fired.add(rule.id)
                # Digest secrets never reach the log, whatever fired on them.
                secret = part.header in grammar.CREDENTIAL_HEADERS
                findings.append(
                    Finding(
                        rule.id,
                        rule.family,
                        rule.score,
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
