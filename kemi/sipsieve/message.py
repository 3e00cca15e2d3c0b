"""Reads bytes into a `Message`: bounded, tolerant, and silent about errors, which become defects."""

from __future__ import annotations

import re
from typing import Final

from . import grammar, normalize
from .model import Defect, Header, Kind, Message

#: Header fields read of one message. Real messages have 10 to 40; the rest is a defect.
MAX_HEADERS: Final = 128

#: Bytes of a header name by which a field is known; the longest that is registered has 31.
MAX_NAME: Final = 64

#: Folds of one header value. Clients fold a long list once an entry, if at all.
MAX_FOLDS: Final = 64

# The end of a header value: no line that begins with white space follows (7.3.1).
_LAST_LINE: Final = re.compile(rb"\n(?![ \t])")
#: Bytes that mean nothing inside a header name but that parsers skip or stop at.
_NAME_EDGE: Final = b" \t\r\n"
_VALUE_EDGE: Final = b" \t\r"

_new: Final = tuple.__new__


def canonical(name: bytes) -> str:
    """A header name in lower case with its compact form expanded; foreign bytes as `\\xNN`, 64 bytes at the most."""
    lower = name[:MAX_NAME].lower()
    return grammar.COMPACT.get(lower) or lower.decode("ascii", "backslashreplace")


def parse(raw: bytes) -> Message:
    """Reads one message.

    Never raises. Costs time linear in `len(raw)`. Lines end with CRLF or LF, as Kamailio takes them;
    leading empty lines are skipped (RFC 3261 7.5).
    """
    start = len(raw) - len(raw.lstrip(b"\r\n"))
    line_end = raw.find(b"\n", start)
    if line_end < 0:
        line_end = len(raw)
    first = raw[start:line_end].rstrip(b"\r")
    message = _first_line(raw, first, start)

    head_end, message.body_start = _header_end(raw, max(start, line_end - 1))
    if head_end < 0:
        head_end = message.body_start = len(raw)
        message.defects.append(Defect("header-unfinished", "message", "no empty line ends the header section"))
    message.headers = _headers(message, line_end + 1, head_end)
    if message.kind is Kind.REPLY:
        cseq = message.get("cseq")
        match = grammar.CSEQ.match(cseq.value) if cseq else None
        message.method = match[2].decode("ascii", "backslashreplace") if match else ""
    return message


def _header_end(raw: bytes, start: int) -> tuple[int, int]:
    """Where the last header line ends and where the body begins; (-1, -1) without an empty line."""
    bare = raw.find(b"\n\n", start)
    full = raw.find(b"\n\r\n", start, len(raw) if bare < 0 else bare)
    position = full if full >= 0 else bare
    if position < 0:
        return -1, -1
    body = position + (3 if full >= 0 else 2)
    return position - (position > start and raw[position - 1] == 0x0D), body


def _first_line(raw: bytes, first: bytes, start: int) -> Message:
    line = first.rstrip(b" \t")
    cut = max(line.rfind(b" "), line.rfind(b"\t"))
    if (
        grammar.VERSION.fullmatch(line, cut + 1)
        and (word := grammar.METHOD.match(line)) is not None
        and word.end(1) < cut
        and b"\r" not in line
    ):
        uri = line[word.end() : cut].lstrip(b" \t")
        uri_start = start + cut - len(uri)
        return Message(
            raw,
            Kind.REQUEST,
            method=word[1].decode("ascii", "backslashreplace"),
            uri=uri.rstrip(b" \t"),
            uri_start=uri_start,
        )
    if (reply := grammar.STATUS_LINE.match(first)) is not None:
        phrase = (start + reply.start(3), start + reply.end(3)) if reply[3] else (0, 0)
        return Message(raw, Kind.REPLY, status=min(int(reply[2]), 9999), phrase=phrase)
    message = Message(raw, Kind.MALFORMED)
    name = first[:64].split(b" ", 1)[0]
    if grammar.is_token(name):
        message.method = name.decode("ascii")
    message.defects.append(Defect("first-line", "first_line", "neither a request line nor a status line", first[:128]))
    return message


def _headers(message: Message, position: int, end: int) -> tuple[Header, ...]:
    raw = message.raw
    headers: list[Header] = []
    others = 0
    while position < end:
        if len(headers) + others >= MAX_HEADERS:
            message.defects.append(Defect("header-count", "message", f"more than {MAX_HEADERS} header fields"))
            break
        line_end = raw.find(b"\n", position, end)
        stop = end if line_end < 0 else line_end
        folded = False
        if line_end >= 0 and line_end + 1 < end and raw[line_end + 1] in b" \t":
            folded = True
            last = _LAST_LINE.search(raw, line_end, end)
            stop = last.start() if last else end
        next_position = stop + 1
        if stop > position and raw[stop - 1] == 0x0D:
            stop -= 1
        colon = raw.find(b":", position, stop)
        if colon < 0:
            # Not fields, and as dear to read.
            others += 1
            if raw[position:stop].strip(_NAME_EDGE):
                message.defects.append(
                    Defect(
                        "header-colon",
                        "message",
                        "a header line without a colon",
                        raw[position : min(stop, position + 128)],
                    )
                )
        else:
            raw_name = raw[position:colon].rstrip(_NAME_EDGE)
            name = canonical(raw_name)
            value = raw[colon + 1 : stop].strip(_VALUE_EDGE)
            if folded:
                if (folds := value.count(b"\n")) > MAX_FOLDS:
                    reason = f"{folds} folds, {MAX_FOLDS} are read"
                    message.defects.append(Defect("header-folds", name, reason))
                    value = value.translate(None, b"\r\n")
                value = normalize.unfold(value).strip(b" \t\r\n")
            # A bare tuple takes half of the time that naming its fields does.
            headers.append(_new(Header, (name, raw_name, value, position, colon + 1, stop, folded)))
        position = next_position
    return tuple(headers)
