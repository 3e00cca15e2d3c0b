"""Splits header values into the parts that rules are scoped to, with their place in the raw message."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from . import grammar
from .message import MAX_NAME
from .model import Header, Message, Part, PartKind
from .sdp import text_lines

#: Entries read of one comma-joined header value.
MAX_ENTRIES: Final = 64

#: Bytes of a message that are split into entries and parameters. Real messages have at most 4,000 in
#: such headers; what is beyond is read as it stands.
MAX_SPLIT: Final = 6144

#: URI headers read one by one.
MAX_URI_HEADERS: Final = 16

#: Header fields with parts; of others the value is one.
_STRUCTURED: Final = (
    grammar.ADDRESS_HEADERS
    | grammar.PARAMETER_HEADERS
    | grammar.CREDENTIAL_HEADERS
    | {"via", "content-type", "call-id"}
)
_SPACE: Final = b" \t\r\n"
# Of a token's marks (25.1) what a payload needs: an escape, or a quote before a word.
_TOKEN_MARKS: Final = re.compile(rb"%[0-9A-Fa-f]{2}|['`][A-Za-z0-9-]")
# scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )   (25.1); or no scheme at all, as careless clients send it
_URI_START: Final = re.compile(rb"[ \t\r\n]*(?:[a-z][a-z0-9+.-]*[ \t\r\n]*:|[^\s/<>\"'=]+[@.])", re.I)
# What no word of a Call-ID has (25.1) and a shell separates commands by; per cent signs, behind which it may hide.
_NO_WORD: Final = re.compile(rb"[;|&$%]")
_BRANCH_MARKS: Final = re.compile(rb"%[013-9A-Fa-f]|%2[^3]")
_TAIL_MARKS: Final = re.compile(rb"['`(|&]")
# RFC 3261 8.1.1.7: branches begin with this cookie; what follows it is the client's own.
_COOKIE: Final = b"z9hg4bk"
_NESTING: Final = re.compile(rb'["<>\\]')
_MARKS: Final = re.compile(rb'[",;<>\\]')
# quoted-string = DQUOTE *( qdtext / quoted-pair ) DQUOTE   (25.1)
_QUOTED: Final = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*"', re.S)


def parts(
    message: Message,
    *,
    sdp: bool = True,
    text_bodies: bool = False,
    passed_over: Callable[[Header | None], bool] | None = None,
) -> Iterator[Part]:
    """All parts of a message: first line, header fields in their order, lines of the body.

    `sdp` and `text_bodies` as in the policy's [detection]. A header field with an ordinary name, or an SDP body (None), is
    left out where `passed_over` says so.
    Every byte of every header value is in at least one part, so that nothing is left unread: what
    does not follow its header's grammar comes as `TEXT`.
    """
    raw = message.raw
    if message.method:
        method = message.method.encode("ascii", "replace")
        yield Part(PartKind.METHOD, "method", "method", 0, 0, method)
        if _TOKEN_MARKS.search(method):
            yield Part(PartKind.PARAMETER, "method", "method", 0, 0, method)
    if message.uri:
        yield from _uri(raw, message.uri_start, message.uri_start + len(message.uri), "request_uri", "request_uri")
    if message.phrase[1] > message.phrase[0]:
        start, end = message.phrase
        yield Part(PartKind.TEXT, "reason_phrase", "reason_phrase", start, end, raw[start:end])
    seen: dict[str, int] = {}
    left = MAX_SPLIT
    for header in message.headers:
        index = seen.get(header.name, 0)
        seen[header.name] = index + 1
        field = header.name if index == 0 else f"{header.name}[{index}]"
        if not grammar.is_token(header.raw_name):
            yield Part(PartKind.NAME, "header_name", header.name, header.start, header.start, header.raw_name)
        elif len(header.raw_name) > MAX_NAME or _TOKEN_MARKS.search(header.raw_name):
            # A legal name can carry an escaped payload to whatever stores header fields by name.
            yield Part(PartKind.PARAMETER, "header_name", "header_name", header.start, header.start, header.raw_name)
        elif passed_over is not None and passed_over(header):
            continue
        left -= header.end - header.value_start
        if left < 0 or header.name not in _STRUCTURED:
            start, end = _trim(raw, header.value_start, header.end)
            if start < end:
                yield Part(PartKind.TEXT, field, header.name, start, end, raw[start:end])
        else:
            yield from _header(raw, header, field)
    yield from _body_parts(message, sdp, text_bodies, passed_over)


def _body_parts(
    message: Message, sdp: bool, text_bodies: bool, passed_over: Callable[[Header | None], bool] | None
) -> Iterator[Part]:
    if message.body_start >= len(message.raw):
        return
    raw, start = message.raw, message.body_start
    header = message.get("content-type")
    kind = header.value.lower() if header else b""
    if sdp and (b"sdp" in kind or kind.startswith(b"multipart/")):
        if passed_over is not None and passed_over(None):
            return
        for low, high in text_lines(raw, start):
            yield Part(PartKind.BODY, f"sdp.{chr(raw[low])}", "body", low + 2, high, raw[low + 2 : high])
    elif text_bodies and message.method in ("MESSAGE", "INFO") and kind.startswith((b"text/", b"")):
        yield Part(PartKind.BODY, "body", "body", start, len(raw), raw[start:])


def _header(raw: bytes, header: Header, field: str) -> Iterator[Part]:
    start, end = _trim(raw, header.value_start, header.end)
    if start >= end:
        return
    if header.name in grammar.ADDRESS_HEADERS:
        for number, (low, high) in enumerate(split(raw, start, end, b",")):
            yield from _address(raw, low, high, field if number == 0 else f"{field}.{number}", header.name)
    elif header.name == "via":
        for number, (low, high) in enumerate(split(raw, start, end, b",")):
            yield from _via(raw, low, high, field if number == 0 else f"{field}.{number}")
    elif header.name in grammar.PARAMETER_HEADERS:
        for number, (low, high) in enumerate(split(raw, start, end, b",")):
            yield from _parameterized(raw, low, high, field if number == 0 else f"{field}.{number}", header.name)
    elif header.name in grammar.CREDENTIAL_HEADERS:
        yield from _credentials(raw, start, end, field, header.name)
    elif header.name == "content-type" and (match := grammar.BOUNDARY.match(raw[start:end])):
        # Dashes round a boundary are its own, and no comment of SQL.
        low, high = match.span("quoted" if match["quoted"] is not None else "token")
        spans = ((start, start + low), (start + low, start + high), (start + high, end))
        for number, (first, last) in enumerate(spans):
            name = f"{field}.boundary" if number == 1 else field
            first = first if number != 2 else last - len(raw[first:last].lstrip(b"-"))
            last = last if number else first + len(raw[first:last].rstrip(b"-"))
            if first < last:
                yield Part(PartKind.TEXT, name, header.name, first, last, raw[first:last])
    else:
        yield Part(PartKind.TEXT, field, header.name, start, end, raw[start:end])
        # callid = word [ "@" word ]   (25.1)
        if header.name == "call-id" and (at := raw.find(b"@", start, end)) > start and _NO_WORD.search(raw, start, at):
            yield Part(PartKind.TEXT, field, header.name, start, at, raw[start:at])


def _parameterized(raw: bytes, start: int, end: int, field: str, header: str) -> Iterator[Part]:
    # value *( SEMI generic-param );  warning-value = warn-code SP warn-agent SP warn-text, a quoted-string   (25.1)
    quote = raw.find(b'"', start, end)
    semicolon = raw.find(b";", start, end if quote < 0 else quote)
    stop = end if semicolon < 0 else semicolon
    if semicolon < 0 <= quote and (close := _closing_quote(raw, quote + 1, end)) >= 0:
        yield from _rest(raw, start, quote, field, header)
        yield Part(PartKind.PARAMETER, f"{field}.text", header, quote + 1, close, raw[quote + 1 : close], True)
        yield from _rest(raw, close + 1, end, field, header)
        return
    yield from _rest(raw, start, stop, field, header)
    if semicolon >= 0:
        yield from _tail(raw, start, semicolon + 1, end, field, header)


def split(raw: bytes, start: int, end: int, separator: bytes) -> list[tuple[int, int]]:
    """The spans between separators that stand outside quotes and angle brackets, outer space trimmed."""
    if raw.find(separator, start, end) < 0:
        return [(start, end)]
    spans: list[tuple[int, int]] = []
    if _NESTING.search(raw, start, end) is None:
        low = start
        for piece in raw[start:end].split(separator, MAX_ENTRIES - 1):
            if piece and not piece.isspace():
                spans.append(_trim(raw, low, low + len(piece)))
            low += len(piece) + 1
        return spans
    quoted = angle = False
    low = skip = start
    for match in _MARKS.finditer(raw, start, end):
        position = match.start()
        if position < skip:
            continue
        byte = match[0]
        if quoted:
            if byte == b"\\":
                skip = position + 2
            elif byte == b'"':
                quoted = False
        elif byte == b'"':
            quoted = True
        elif byte == b"<":
            angle = True
        elif byte == b">":
            angle = False
        elif byte == separator and not angle:
            if len(spans) == MAX_ENTRIES - 1:
                break
            spans.append(_trim(raw, low, position))
            low = position + 1
    spans.append(_trim(raw, low, end))
    return [span for span in spans if span[0] < span[1]]


def _trim(raw: bytes, start: int, end: int) -> tuple[int, int]:
    if start < end and raw[start] in _SPACE:
        start = end - len(raw[start:end].lstrip(_SPACE))
    if end > start and raw[end - 1] in _SPACE:
        end = start + len(raw[start:end].rstrip(_SPACE))
    return start, end


def _closing_quote(raw: bytes, start: int, end: int) -> int:
    """The offset of the quote that closes a string opened just before `start`; -1 if none does."""
    match = _QUOTED.match(raw, start, end)
    return match.end() - 1 if match else -1


def _address(raw: bytes, start: int, end: int, field: str, header: str) -> Iterator[Part]:
    # name-addr = [ display-name ] LAQUOT addr-spec RAQUOT;  display-name = *(token LWS) / quoted-string
    if raw[start] == 0x22:
        close = _closing_quote(raw, start + 1, end)
        if close < 0:
            yield Part(PartKind.TEXT, field, header, start, end, raw[start:end])
            return
        yield Part(
            PartKind.DISPLAY_NAME, f"{field}.display_name", header, start + 1, close, raw[start + 1 : close], True
        )
        low = raw.find(b"<", close + 1, end)
        between = (close + 1, low if low >= 0 else end)
    else:
        low = raw.find(b"<", start, end)
        between = (start, start)
        if low > start:
            name_start, name_end = _trim(raw, start, low)
            if name_start < name_end:
                yield Part(
                    PartKind.DISPLAY_NAME,
                    f"{field}.display_name",
                    header,
                    name_start,
                    name_end,
                    raw[name_start:name_end],
                )
    if low < 0:
        # addr-spec without brackets: what follows a semicolon are header parameters (20.10, 20.20)
        if between[0] != between[1]:
            yield from _rest(raw, between[0], between[1], field, header)
            return
        semicolon = raw.find(b";", start, end)
        stop = end if semicolon < 0 else semicolon
        uri_start, uri_end = _trim(raw, start, stop)
        yield from _uri(raw, uri_start, uri_end, field, header)
        if semicolon >= 0:
            yield from _tail(raw, semicolon + 1, semicolon + 1, end, field, header)
        return
    if between[0] != between[1]:
        yield from _rest(raw, between[0], between[1], field, header)
    high = raw.find(b">", low, end)
    if high < 0:
        yield Part(PartKind.TEXT, field, header, low, end, raw[low:end])
        return
    yield from _uri(raw, low + 1, high, field, header)
    rest_start, rest_end = _trim(raw, high + 1, end)
    if rest_start < rest_end:
        if raw[rest_start] == 0x3B:
            yield from _tail(raw, rest_start + 1, rest_start + 1, rest_end, field, header)
        else:
            yield from _rest(raw, rest_start, rest_end, field, header)


def _rest(raw: bytes, start: int, end: int, field: str, header: str) -> Iterator[Part]:
    start, end = _trim(raw, start, end)
    if start < end:
        yield Part(PartKind.TEXT, field, header, start, end, raw[start:end])


def _uri(raw: bytes, start: int, end: int, field: str, header: str) -> Iterator[Part]:
    # SIP-URI = "sip:" [ userinfo ] hostport uri-parameters [ headers ]   (25.1)
    # telephone-subscriber stands in for userinfo in a tel URI (RFC 3966).
    start, end = _trim(raw, start, end)
    colon = raw.find(b":", start, end)
    scheme = raw[start:colon].lower() if 0 <= colon - start <= 8 else b""
    if scheme == b"tel":
        semicolon = raw.find(b";", colon + 1, end)
        stop = end if semicolon < 0 else semicolon
        yield Part(PartKind.USERINFO, f"{field}.userinfo", header, colon + 1, stop, raw[colon + 1 : stop])
        if semicolon >= 0:
            yield from _parameters(raw, semicolon + 1, end, field, header, PartKind.URI_PARAMETER)
        return
    if scheme not in (b"sip", b"sips"):
        if start < end:
            if raw[start - 1] == 0x3C and _URI_START.match(raw, start, end) is None:
                # No URI, so the brackets may belong to it: markup.
                start, end = start - 1, end + 1
            yield Part(PartKind.TEXT, field, header, start, end, raw[start:end])
        return
    position = colon + 1
    # The user part may hold ";", "?" and "/" (25.1), so it ends at the last "@": an earlier one
    # has no place in any part and is read as belonging to the user.
    at = raw.rfind(b"@", position, end)
    if at >= 0:
        split_at = raw.find(b":", position, at)
        user_end = at if split_at < 0 else split_at
        yield Part(PartKind.USERINFO, f"{field}.userinfo", header, position, user_end, raw[position:user_end])
        if split_at >= 0:
            yield Part(PartKind.PASSWORD, f"{field}.password", header, split_at + 1, at, raw[split_at + 1 : at])
        position = at + 1
    question = raw.find(b"?", position, end)
    stop = end if question < 0 else question
    semicolon = raw.find(b";", position, stop)
    host_end = stop if semicolon < 0 else semicolon
    yield from _hostport(raw, position, host_end, field, header)
    if semicolon >= 0:
        yield from _parameters(raw, semicolon + 1, stop, field, header, PartKind.URI_PARAMETER)
    if question >= 0:
        yield Part(PartKind.URI_HEADER, f"{field}.uri_header", header, question + 1, end, raw[question + 1 : end])
        yield from _uri_headers(raw, question + 1, end, field, header)


def _uri_headers(raw: bytes, start: int, end: int, field: str, header: str) -> Iterator[Part]:
    # headers = "?" header *( "&" header );  header = hname "=" hvalue   (25.1)
    for _ in range(MAX_URI_HEADERS):
        ampersand = raw.find(b"&", start, end)
        stop = end if ampersand < 0 else ampersand
        equals = raw.find(b"=", start, stop)
        if 0 <= equals < stop - 1:
            yield Part(PartKind.URI_HEADER, f"{field}.uri_header", header, equals + 1, stop, raw[equals + 1 : stop])
        if ampersand < 0:
            return
        start = ampersand + 1


def _hostport(raw: bytes, start: int, end: int, field: str, header: str) -> Iterator[Part]:
    start, end = _trim(raw, start, end)
    if start >= end:
        return
    bracket = raw.find(b"]", start, end) if raw[start] == 0x5B else -1
    colon = raw.find(b":", max(bracket, start), end)
    host_end = end if colon < 0 else colon
    yield Part(PartKind.HOST, f"{field}.host", header, start, host_end, raw[start:host_end].rstrip(_SPACE))
    if colon >= 0:
        yield Part(PartKind.PORT, f"{field}.port", header, colon + 1, end, raw[colon + 1 : end].strip(_SPACE))


def _tail(raw: bytes, whole: int, start: int, end: int, field: str, header: str) -> Iterator[Part]:
    """Header parameters, one by one; where a mark stands that no parameter has, also as a whole.

    What a semicolon takes apart may mean something only together: what begins at `whole`.
    """
    yield from _parameters(raw, start, end, field, header, PartKind.PARAMETER)
    tail = raw[whole:end]
    if b";" in tail and b'"' not in tail and _TAIL_MARKS.search(tail):
        yield Part(PartKind.PARAMETER, f"{field}.parameters", header, whole, end, tail)


def _parameters(raw: bytes, start: int, end: int, field: str, header: str, kind: PartKind) -> Iterator[Part]:
    # generic-param = token [ EQUAL gen-value ];  gen-value = token / host / quoted-string   (25.1)
    for low, high in split(raw, start, end, b";"):
        equals = raw.find(b"=", low, high)
        name = raw[low : high if equals < 0 else equals].strip(_SPACE)
        if equals < 0 or not grammar.is_token(name) or len(name) > 64:
            if not grammar.is_token(name) and (semicolon := raw.rfind(b";", start - 1, low)) >= 0:
                # No parameter: what a shell or database would take for a command after a semicolon.
                low = semicolon
            yield Part(kind, f"{field}.{kind}", header, low, high, raw[low:high])
            continue
        value_start, value_end = _trim(raw, equals + 1, high)
        quoted = value_end - value_start >= 2 and raw[value_start] == 0x22 and raw[value_end - 1] == 0x22
        if quoted:
            value_start, value_end = value_start + 1, value_end - 1
        elif (
            header == "via"
            and raw[value_start : value_start + 7].lower() == _COOKIE
            and _BRANCH_MARKS.search(raw, value_start, value_end)
        ):
            value_start += 7
        yield Part(
            kind,
            f"{field}.{name.decode('ascii').lower()}",
            header,
            value_start,
            value_end,
            raw[value_start:value_end],
            quoted,
        )


def _via(raw: bytes, start: int, end: int, field: str) -> Iterator[Part]:
    # via-parm = sent-protocol LWS sent-by *( SEMI via-params )   (25.1)
    semicolon = raw.find(b";", start, end)
    stop = end if semicolon < 0 else semicolon
    slash = raw.rfind(b"/", start, stop)
    position = slash + 1 if slash >= 0 else start
    while position < stop and raw[position] in _SPACE:
        position += 1
    while position < stop and raw[position] not in _SPACE:
        position += 1
    if position >= stop:
        # No sent-by after a protocol: read as a whole.
        yield Part(PartKind.TEXT, field, "via", start, stop, raw[start:stop])
    else:
        yield Part(PartKind.TEXT, f"{field}.protocol", "via", start, position, raw[start:position])
        yield from _hostport(raw, position, stop, field, "via")
    if semicolon >= 0:
        yield from _tail(raw, semicolon + 1, semicolon + 1, end, field, "via")


def _credentials(raw: bytes, start: int, end: int, field: str, header: str) -> Iterator[Part]:
    # credentials = ("Digest" LWS digest-response) / other-response   (25.1)
    space = start
    while space < end and raw[space] not in _SPACE:
        space += 1
    scheme_end = space
    if b"=" in raw[start:space]:  # Authentication-Info has no scheme
        space = start
    else:
        yield Part(PartKind.TEXT, f"{field}.scheme", header, start, scheme_end, raw[start:scheme_end])
    for low, high in split(raw, space, end, b","):
        yield from _parameters(raw, low, high, field, header, PartKind.PARAMETER)
