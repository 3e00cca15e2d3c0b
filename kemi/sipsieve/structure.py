"""Checks framing and header set: what makes a message unreadable, ambiguous, or merely odd."""

from __future__ import annotations

from typing import Final, NamedTuple

from . import grammar
from .model import Defect, Finding, Kind, Message

FAMILY: Final = "structure"


class Check(NamedTuple):
    """One structural rule: its score (5 and more rejects on its own; 0 is only logged) and why."""

    score: int
    why: str


#: Every structural rule by id.
CHECKS: Final = {
    "first-line": Check(5, "RFC 3261 7.1, 7.2: the first line says what a message is"),
    "header-unfinished": Check(5, "RFC 3261 7.5: an empty line ends the header section"),
    "header-colon": Check(5, "RFC 3261 7.3.1; Kamailio then no longer finds the headers before it either"),
    "header-name": Check(5, "RFC 3261 25.1: a header name is a token; others are read differently by each parser"),
    "header-count": Check(5, "far more header fields than any client sends"),
    "header-missing": Check(5, "RFC 3261 8.1.1: Via, From, To, Call-ID and CSeq are mandatory"),
    "header-twice": Check(5, "RFC 3261 7.3.1: may be there only once; two parsers may take one each"),
    "from-format": Check(5, "RFC 3261 20.20: not a name-addr or addr-spec"),
    "to-format": Check(5, "RFC 3261 20.39: not a name-addr or addr-spec"),
    "via-format": Check(5, "RFC 3261 20.42: not SIP/2.0/transport and a host"),
    "cseq-format": Check(5, "RFC 3261 20.16: not a number and a method"),
    "cseq-method": Check(5, "RFC 3261 8.1.1.5: the CSeq's method is not the request's"),
    "content-length-format": Check(5, "RFC 3261 20.14: not a number"),
    "content-length-conflict": Check(5, "two Content-Length values: request smuggling"),
    "content-length-beyond": Check(5, "RFC 3261 18.3: the datagram ends before the body does"),
    "content-length-short": Check(0, "RFC 3261 18.3: bytes after the body are to be discarded"),
    "content-length-twice": Check(0, "the same Content-Length twice"),
    "parse-error": Check(5, "the server itself could not read the message"),
    "version": Check(5, "RFC 3261 21.5.6: not SIP/2.0"),
    "value-overlong": Check(
        5, "longer than any client sends, and not plain text: made to wear out a parser or a filter"
    ),
    "header-folds": Check(5, "more folded lines than any client sends"),
    "max-forwards": Check(5, "RFC 3261 20.22: not a number from 0 to 255"),
    "tag-empty": Check(3, "RFC 3261 25.1: a tag is a token, never empty (CVE-2018-14767)"),
    "oversize": Check(5, "longer than detection.max_bytes"),
}


def finding(defect: Defect) -> Finding:
    """A defect as a finding of family `structure`."""
    return Finding(defect.rule, FAMILY, CHECKS[defect.rule].score, defect.field, defect.reason, defect.excerpt)


def is_malformed(message: Message) -> bool:
    """Whether a defect makes the message unfit to be routed."""
    return any(CHECKS[defect.rule].score >= 5 for defect in message.defects)


def content_length(message: Message) -> int | None:
    """The declared body length in bytes; None where there is none or none that can be read."""
    header = message.get("content-length")
    if header is None or not grammar.CONTENT_LENGTH.match(header.value):
        return None
    return int(header.value)


def has_body(message: Message) -> bool:
    """Whether a body is left when Content-Length is believed; bytes beyond it are not a body (18.3)."""
    declared = content_length(message)
    return bool(message.body) and declared != 0


def check(message: Message, max_bytes: int) -> None:
    """Adds the defects that only a look at the whole message shows."""
    if len(message.raw) > max_bytes:
        _add(message, "oversize", "message", f"{len(message.raw)} bytes, {max_bytes} are allowed")
    if message.kind is Kind.MALFORMED:
        return
    for header in message.headers:
        if not grammar.is_token(header.raw_name):
            _add(message, "header-name", "header_name", "a header name that is no token", header.raw_name[:128])
    if message.kind is Kind.REQUEST and not _first_line_version_is_2(message.raw):
        _add(message, "version", "first_line", "the request line does not end in SIP/2.0")
    _check_mandatory(message)
    _check_addresses(message)
    _check_cseq(message)
    _check_length(message)
    _check_hops(message)


def _add(message: Message, rule: str, field: str, reason: str, excerpt: bytes = b"") -> None:
    message.defects.append(Defect(rule, field, reason, excerpt[:256]))


def _first_line_version_is_2(raw: bytes) -> bool:
    line = raw.lstrip(b"\r\n").split(b"\n", 1)[0].rstrip()
    return line[-7:].upper() == b"SIP/2.0"


def _check_mandatory(message: Message) -> None:
    names = [header.name for header in message.headers]
    for name in ("via", "from", "to", "call-id", "cseq"):
        count = names.count(name)
        if count == 0:
            _add(message, "header-missing", name, f"no {name} header field")
        elif count > 1 and name != "via":
            _add(message, "header-twice", name, f"{count} {name} header fields")


def _check_addresses(message: Message) -> None:
    for name in ("from", "to"):
        header = message.get(name)
        if header is not None and not grammar.ADDRESS.match(header.value):
            _add(message, f"{name}-format", name, "not a name-addr or addr-spec", header.value)
    for number, header in enumerate(message.all("via")):
        words = header.value.split(None, 3)
        # sent-protocol may have spaces round its slashes (25.1), so only the first token and a host are asked for.
        if header.value[:3].upper() != b"SIP" or len(words) < 2:
            _add(
                message, "via-format", "via" if number == 0 else f"via[{number}]", "no protocol and host", header.value
            )


def _check_cseq(message: Message) -> None:
    header = message.get("cseq")
    if header is None:
        return
    match = grammar.CSEQ.match(header.value)
    if match is None or int(match[1]) >= 2**32:
        _add(message, "cseq-format", "cseq", "not a number and a method", header.value)
    elif message.kind is Kind.REQUEST and match[2].decode("ascii", "backslashreplace") != message.method:
        _add(message, "cseq-method", "cseq", f"the request is {message.method}", header.value)


def _check_length(message: Message) -> None:
    lengths = message.all("content-length")
    values = set()
    for header in lengths:
        if not grammar.CONTENT_LENGTH.match(header.value):
            _add(message, "content-length-format", "content-length", "not a number", header.value)
            return
        values.add(int(header.value))
    if len(values) > 1:
        _add(message, "content-length-conflict", "content-length", f"{len(lengths)} different values")
        return
    if len(lengths) > 1:
        _add(message, "content-length-twice", "content-length", f"{len(lengths)} times the same value")
    if values:
        declared, there = values.pop(), len(message.body)
        if declared > there:
            _add(message, "content-length-beyond", "content-length", f"{declared} declared, {there} bytes there")
        elif declared < there:
            _add(message, "content-length-short", "content-length", f"{declared} declared, {there} bytes there")


def _check_hops(message: Message) -> None:
    for header in message.all("max-forwards"):
        # Max-Forwards = "Max-Forwards" HCOLON 1*DIGIT; 0 to 255 (20.22)
        if not header.value.isdigit() or int(header.value[:10]) > 255:
            _add(message, "max-forwards", "max-forwards", "not a number from 0 to 255", header.value)
    for name in ("from", "to"):
        for header in message.all(name):
            tag = grammar.TAG.search(header.value.rpartition(b">")[2])
            if tag is not None and not tag[1]:
                _add(message, "tag-empty", name, "a tag without a value", header.value)
