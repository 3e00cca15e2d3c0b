"""Finds which rules fire on which parts of a message."""

from __future__ import annotations

import re
from typing import Final

from . import grammar, structure
from .model import Finding, Header, Kind, Message, Part, PartKind
from .normalize import is_encoded, needs_decoding, variants
from .parts import parts
from .policy import Detection
from .ruleset import Rule, Ruleset
from .scrub import removable

#: Findings kept of one message: enough to explain, too few to flood a log.
MAX_FINDINGS: Final = 16

#: How many times more bytes are matched as they are than are decoded.
MATCHED: Final = 2.25

#: What a part costs by itself, counted in bytes: one that reads in one way only, and what is added where it has
#: more forms. A call through ten proxies has some 120 parts, few of which have more than one form.
PART_COST: Final = 40
FORMS_COST: Final = 60

#: What a value with an encoding costs by itself of the bytes that are decoded: a round for each layer.
DECODED_COST: Final = 80

#: Forms that most values with an encoding have; more count like values of their own.
FORMS: Final = 3

#: What part of that is spent on whatever comes first. After it, and of long header fields always, those are passed
#: over in which nothing can be found.
WHATEVER: Final = 0.3

#: Bytes of a long header field; and what it costs to see that nothing can be found in one, whole and for each byte.
LONG: Final = 512
LINE_COST: Final = 20
BYTE_COST: Final = 0.2

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

#: Header fields with a display name, userinfo, host, tag or branch, or that are a name; and what ends one.
_NAMING: Final = grammar.ADDRESS_HEADERS | grammar.PARAMETER_HEADERS | {"via", "call-id"}
_DELIMITER: Final = re.compile(rb'[<>"@;]')


def detect(message: Message, ruleset: Ruleset, policy: Detection = _DEFAULT) -> list[Finding]:
    """All findings, at most one for a rule and part, in message order.

    The policy's `max_decoded_bytes` bounds what is decoded and what is matched, so that no message costs more than about
    a millisecond: values that need decoding may hold that many bytes in all, all values `MATCHED` times
    as many. In a long message that goes to the header fields in which something may be found. More is a finding itself.
    """
    findings: list[Finding] = []
    max_decoded = policy.max_decoded_bytes
    if structure.is_malformed(message):
        # It will be refused anyway, so a short look has to do to say what else is wrong with it.
        max_decoded //= 6
    decodable, matchable = max_decoded, max_decoded * MATCHED
    enough = matchable * (1 - WHATEVER)
    is_reply = message.kind is Kind.REPLY

    def passed_over(header: Header | None) -> bool:
        nonlocal matchable
        if header is None:
            return matchable <= enough and ruleset.body_is_plain(message.body)
        size = header.end - header.start
        if matchable > enough and size <= LONG:
            return False
        matchable -= LINE_COST + size * BYTE_COST
        return matchable >= 0 and not _may_be_long(header, policy) and ruleset.line_is_plain(header)

    for part in parts(message, sdp=policy.sdp, text_bodies=policy.text_bodies, passed_over=passed_over):
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
                decodable -= size + DECODED_COST
        if decodable < 0 or matchable < 0:
            reason = (
                f"{size} bytes, and more than detection.max_decoded_bytes = {policy.max_decoded_bytes} to decode in all"
            )
            findings.append(_too_long(part, reason))
            break
        forms = variants(part, needed=True) if needed else [part.value]
        if len(forms) > FORMS:
            matchable -= sum(len(form) + FORMS_COST for form in forms[FORMS:])
        _match(part, forms, ruleset, policy.paranoia, is_reply, findings)
        if len(findings) >= MAX_FINDINGS:
            break
    return findings[:MAX_FINDINGS]


def _may_be_long(header: Header, policy: Detection) -> bool:
    """Whether a name in a header field's value may be longer than the policy lets it be."""
    value = header.value
    return len(value) > policy.max_value_bytes and (
        header.name in _NAMING and max(map(len, _DELIMITER.split(value))) > policy.max_value_bytes
    )


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
