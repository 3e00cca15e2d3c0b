"""Finds which rules fire on which parts of a message."""

from __future__ import annotations

from typing import Final

from . import grammar, structure
from .model import Finding, Kind, Message, Part, PartKind
from .normalize import is_encoded, needs_decoding, variants
from .parts import body_parts, parts
from .policy import Detection
from .ruleset import Rule, Ruleset
from .scrub import removable

#: Findings kept of one message: enough to explain, too few to flood a log.
MAX_FINDINGS: Final = 16

#: How many times more bytes are matched as they are than are decoded.
MATCHED: Final = 3

#: What a part costs by itself, counted in bytes: one that reads in one way only, and what is added where it has
#: more forms. A call through ten proxies has some 120 parts, few of which have more than one form.
PART_COST: Final = 40
FORMS_COST: Final = 40

#: Forms that most values with an encoding have; more count like values of their own.
FORMS: Final = 3

#: Bytes of plain values beyond those, part by part: what follows is looked at as a whole first.
MAX_PLAIN: Final = 16384

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
    # A device writes SDP's text lines, hardly ever a person; and a body is never scrubbed.
    if part.header in grammar.CREDENTIAL_HEADERS or part.field.startswith("sdp."):
        return True
    return part.kind is not PartKind.DISPLAY_NAME and part.header in grammar.ROUTED_HEADERS


_DEFAULT: Final = Detection()


def detect(message: Message, ruleset: Ruleset, policy: Detection = _DEFAULT) -> list[Finding]:
    """All findings, at most one for a rule and part, in message order.

    The policy's `max_decoded_bytes` bounds what is decoded and what is matched, so that no message costs more than about
    a millisecond: values that need decoding may hold that many bytes in all, all values `MATCHED` times
    as many. What is longer and not plain is a finding itself.
    """
    findings: list[Finding] = []
    max_decoded = policy.max_decoded_bytes
    if structure.is_malformed(message):
        # It will be refused anyway, so a short look has to do to say what else is wrong with it.
        max_decoded //= 6
    decodable, matchable = max_decoded, max_decoded * MATCHED
    rest_asked = False
    is_reply = message.kind is Kind.REPLY
    source = parts(message, sdp=policy.sdp, text_bodies=policy.text_bodies)
    while (part := next(source, None)) is not None:
        size = len(part.value)
        if size > policy.max_value_bytes and _is_name(part):
            reason = f"{size} bytes; detection.max_value_bytes = {policy.max_value_bytes}"
            findings.append(_too_long(part, reason))
        matchable -= size + PART_COST
        # The longest values are not even asked.
        needed = matchable >= 0 and needs_decoding(part)
        if needed:
            matchable -= FORMS_COST
            if is_encoded(part.value):
                decodable -= size + FORMS_COST
        if decodable < 0 or matchable < 0:
            if not rest_asked and part.start < message.body_start:
                rest_asked = True
                rest = message.raw[part.start : message.body_start]
                if len(rest) <= MAX_PLAIN and ruleset.is_plain(rest):
                    source = body_parts(message, sdp=policy.sdp, text_bodies=policy.text_bodies)
                    continue
            # Asking one by one costs more than the bytes.
            matchable -= PART_COST
            if matchable > -MAX_PLAIN and ruleset.is_plain(part.value):
                continue
            reason = f"{size} bytes, and more than detection.max_decoded_bytes = {max_decoded} to decode in all"
            findings.append(_too_long(part, reason))
            return findings
        forms = variants(part, needed=needed)
        if len(forms) > FORMS:
            matchable -= sum(len(form) + FORMS_COST for form in forms[FORMS:])
        _match(part, forms, ruleset, policy.paranoia, is_reply, findings)
        if len(findings) >= MAX_FINDINGS:
            return findings[:MAX_FINDINGS]
    return findings


def _is_name(part: Part) -> bool:
    return (
        part.kind in (PartKind.DISPLAY_NAME, PartKind.USERINFO, PartKind.HOST)
        or part.header == "call-id"
        or part.field.endswith((".tag", ".branch"))
    )


def _too_long(part: Part, reason: str) -> Finding:
    secret = part.header in grammar.CREDENTIAL_HEADERS
    score = structure.CHECKS["value-overlong"].score
    excerpt = b"" if secret else part.value[:256]
    return Finding("value-overlong", structure.FAMILY, score, part.field, reason, excerpt, (0, 0), part.kind)


def _match(
    part: Part, forms: list[bytes], ruleset: Ruleset, paranoia: int, is_reply: bool, findings: list[Finding]
) -> None:
    fired: set[str] = set()
    for number, form in enumerate(forms):
        for rule in ruleset.match(form):
            if rule.id in fired or (number and rule.as_sent) or rule.paranoia > paranoia or not applies(rule, part):
                continue
            fired.add(rule.id)
            score = _score(rule, part, paranoia)
            if not score or ruleset.excepted(rule, part):
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
                    removable(part, is_reply),
                )
            )


def _score(rule: Rule, part: Part, paranoia: int) -> int:
    """What a rule weighs in that part.

    At level 1 text gets the benefit of the doubt. At level 2 what a rule is sure of weighs as much there as
    in a token, at level 3 whatever a rule finds does: such a name is then refused, not scrubbed.
    """
    if is_tight(part):
        return rule.tight
    strict = paranoia >= 3 or (paranoia == 2 and rule.confidence == "high")
    return max(rule.score, rule.tight) if strict and rule.score else rule.score


def applies(rule: Rule, part: Part) -> bool:
    """Whether a rule is meant for a part of that kind and header."""
    if rule.parts:
        if part.kind not in rule.parts:
            return False
    elif part.kind in (PartKind.NAME, PartKind.METHOD):
        return False
    return not rule.headers or part.header in rule.headers
