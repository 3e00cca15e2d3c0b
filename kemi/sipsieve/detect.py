"""Finds which rules fire on which parts of a message."""

from __future__ import annotations

from typing import Final

from . import grammar, structure
from .model import Finding, Kind, Message, Part, PartKind
from .normalize import is_encoded, needs_decoding, variants
from .parts import body_parts, header_parts, parts
from .policy import Detection
from .ruleset import Rule, Ruleset
from .scrub import removable

#: Findings kept of one message: enough to explain, too few to flood a log.
MAX_FINDINGS: Final = 16

#: How many times more bytes are matched as they are than are decoded.
MATCHED: Final = 2

#: What a part costs by itself, counted in bytes: one that reads in one way only, and what is added where it has
#: more forms. A call through ten proxies has some 120 parts, few of which have more than one form.
PART_COST: Final = 40
FORMS_COST: Final = 60

#: What a value with an encoding costs by itself of the bytes that are decoded: a round for each layer.
DECODED_COST: Final = 80

#: Forms that most values with an encoding have; more count like values of their own.
FORMS: Final = 3

#: Bytes of plain header fields beyond those.
MAX_PLAIN: Final = 20480

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
    as many. What comes after them is looked at line by line, and a finding itself where it is not plain.
    """
    findings: list[Finding] = []
    max_decoded = policy.max_decoded_bytes
    if structure.is_malformed(message):
        # It will be refused anyway, so a short look has to do to say what else is wrong with it.
        max_decoded //= 6
    decodable, matchable = max_decoded, max_decoded * MATCHED
    is_reply = message.kind is Kind.REPLY
    for part in parts(message, sdp=policy.sdp, text_bodies=policy.text_bodies):
        size = len(part.value)
        if size > policy.max_value_bytes and _is_name(part):
            findings.append(_long_name(part, policy))
        matchable -= size + PART_COST
        # The longest values are not even asked.
        needed = matchable >= 0 and needs_decoding(part)
        if needed:
            matchable -= FORMS_COST
            if is_encoded(part.value):
                decodable -= size + DECODED_COST
        if decodable < 0 or matchable < 0:
            findings += _beyond(message, part, ruleset, policy, max_decoded)
            break
        forms = variants(part, needed=True) if needed else [part.value]
        if len(forms) > FORMS:
            matchable -= sum(len(form) + FORMS_COST for form in forms[FORMS:])
        _match(part, forms, ruleset, policy.paranoia, is_reply, findings)
        if len(findings) >= MAX_FINDINGS:
            break
    return findings[:MAX_FINDINGS]


def _beyond(message: Message, first: Part, ruleset: Ruleset, policy: Detection, max_decoded: int) -> list[Finding]:
    """What is wrong from a part on, where there is too much to match it part by part.

    Header fields are looked at as they stand: what is around a value may be what makes it one of the shapes.
    """
    raw = message.raw
    findings: list[Finding] = []
    left = MAX_PLAIN
    reason = f"after more than detection.max_decoded_bytes = {max_decoded} to decode in all, and not plain"
    fields = [header for header in message.headers if header.end > first.start]
    if len(fields) == len(message.headers):
        # What is too long stands in the first line.
        line = raw[: fields[0].start if fields else message.body_start]
        left -= len(line)
        if left < 0 or not ruleset.is_plain(line):
            return [_too_long(first, reason)]
    for header in fields:
        size = header.end - header.start
        left -= size + PART_COST
        plain = left >= 0 and ruleset.is_plain(raw[header.start - 1 : header.end + 1])
        if size > policy.max_value_bytes:
            names = header_parts(raw, header, header.name) if plain else ()
            findings += [_long_name(part, policy) for part in names if _is_long(part, policy)]
        if not plain:
            own = first.start > header.start
            start, end = (first.start, first.end) if own else (header.value_start, header.end)
            field = first.field if own else header.name
            return [*findings, _too_long(Part(PartKind.TEXT, field, header.name, start, end, raw[start:end]), reason)]
    rest = [
        part
        for part in body_parts(message, sdp=policy.sdp, text_bodies=policy.text_bodies)
        if part.start >= first.start
    ]
    if not rest:
        return findings
    if rest[0].field == "body":
        plain = len(rest[0].value) <= left and ruleset.is_plain(rest[0].value)
    else:
        # Each with its name, which stands before it.
        plain = ruleset.text_is_plain(b"\n".join([raw[part.start - 2 : part.end] for part in rest]))
    return findings if plain else [*findings, _too_long(rest[0], reason)]


def _is_long(part: Part, policy: Detection) -> bool:
    return len(part.value) > policy.max_value_bytes and _is_name(part)


def _long_name(part: Part, policy: Detection) -> Finding:
    return _too_long(part, f"{len(part.value)} bytes; detection.max_value_bytes = {policy.max_value_bytes}")


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
