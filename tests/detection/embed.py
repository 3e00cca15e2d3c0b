"""Places a text in a field of an otherwise ordinary SIP message, escaped as that field's grammar asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

# unreserved / user-unreserved of userinfo (RFC 3261 25.1): everything else is percent-encoded there.
_USER: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.!~*'()&=+$,;?/")
# token (25.1)
_TOKEN: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.!%*_+`'~")

_SDP: Final = b"v=0\r\no=- 1 1 IN IP4 192.0.2.4\r\ns=-\r\nc=IN IP4 192.0.2.4\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"


def quoted(text: bytes) -> bytes:
    """As the content of a quoted-string: `"` and `\\` behind a backslash."""
    return text.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def userinfo(text: bytes) -> bytes:
    """As userinfo: percent-encoded where the grammar asks for it, escapes that are there kept."""
    out = bytearray()
    for position, byte in enumerate(text):
        escape = byte == 0x25 and all(c in b"0123456789abcdefABCDEF" for c in text[position + 1 : position + 3])
        if byte in _USER or (escape and len(text) >= position + 3):
            out.append(byte)
        else:
            out += b"%%%02X" % byte
    return bytes(out)


def token(text: bytes) -> bytes:
    """As a token: what the grammar does not allow is percent-encoded, as clients do."""
    return b"".join(bytes((b,)) if b in _TOKEN else b"%%%02X" % b for b in text)


def parameter(text: bytes) -> bytes:
    """As the value of a URI parameter (paramchar of RFC 3261 25.1), escapes that are there kept."""
    return userinfo(text).replace(b";", b"%3B").replace(b"?", b"%3F").replace(b"=", b"%3D").replace(b",", b"%2C")


def bare_uri(text: bytes) -> bytes:
    """As it stands between `<` and `>`: without what would end it or the line."""
    return text.replace(b">", b"%3E").replace(b"\r", b"%0D").replace(b"\n", b"%0A")


def _line(text: bytes) -> bytes:
    """One line of SDP: a text's own line ends would begin others."""
    return text.replace(b"\r", b" ").replace(b"\n", b" ")


def _with_sdp(lines: bytes, origin: bytes = b"-") -> bytes:
    body = (
        b"v=0\r\no=" + origin + b" 1 1 IN IP4 192.0.2.4\r\n" + lines + b"\r\nc=IN IP4 192.0.2.4\r\nt=0 0\r\n"
        b"m=audio 40000 RTP/AVP 0\r\n"
    )
    return message(more=b"Content-Type: application/sdp\r\n", body=body)


def message(
    *,
    method: bytes = b"INVITE",
    uri: bytes = b"sip:+15551234567@example.com",
    via: bytes = b"SIP/2.0/UDP 192.0.2.4:5060;branch=z9hG4bKnashds7;rport",
    from_: bytes = b'"Alice" <sip:alice@example.com>;tag=9fxced76sl',
    to: bytes = b"<sip:+15551234567@example.com>",
    contact: bytes = b"<sip:alice@192.0.2.4:5060>",
    agent: bytes = b"Yealink SIP-T46S 66.85.0.5",
    call_id: bytes = b"3848276298220188511@192.0.2.4",
    more: bytes = b"",
    body: bytes = _SDP,
) -> bytes:
    """An INVITE as a phone sends it, with some of its values exchanged."""
    kind = b"Content-Type: application/sdp\r\n" if body == _SDP else b""
    return (
        b"%s %s SIP/2.0\r\nVia: %s\r\nMax-Forwards: 70\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: 1 %s\r\n"
        b"Contact: %s\r\nAllow: INVITE, ACK, CANCEL, OPTIONS, BYE\r\nUser-Agent: %s\r\n%s%sContent-Length: %d\r\n\r\n%s"
        % (method, uri, via, from_, to, call_id, method, contact, agent, more, kind, len(body), body)
    )


#: Field → the message that carries `text` there.
FIELDS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "from.display": lambda t: message(from_=b'"' + quoted(t) + b'" <sip:alice@example.com>;tag=9fxced76sl'),
    "from.user": lambda t: message(from_=b"<sip:" + userinfo(t) + b"@example.com>;tag=9fxced76sl"),
    "to.display": lambda t: message(to=b'"' + quoted(t) + b'" <sip:bob@example.com>'),
    "to.user": lambda t: message(to=b"<sip:" + userinfo(t) + b"@example.com>"),
    "contact.display": lambda t: message(contact=b'"' + quoted(t) + b'" <sip:alice@192.0.2.4>'),
    "contact.user": lambda t: message(contact=b"<sip:" + userinfo(t) + b"@192.0.2.4>"),
    "via.quoted": lambda t: message(via=b'SIP/2.0/UDP 192.0.2.4;branch=z9hG4bKx;i="' + quoted(t) + b'"'),
    "via.token": lambda t: message(via=b"SIP/2.0/UDP 192.0.2.4;branch=z9hG4bKx;i=" + token(t)),
    "via.raw": lambda t: message(via=b"SIP/2.0/UDP 192.0.2.4;branch=z9hG4bKx;received=" + t),
    "user-agent": lambda t: message(agent=t),
}

#: More fields, for a second look.
MORE_FIELDS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "uri.user": lambda t: message(uri=b"sip:" + userinfo(t) + b"@example.com"),
    "subject": lambda t: message(more=b"Subject: " + t + b"\r\n"),
    "x-header": lambda t: message(more=b"X-Customer: " + t + b"\r\n"),
    "call-id": lambda t: message(call_id=t),
    "from.param": lambda t: message(from_=b'<sip:a@example.com>;tag=1;x="' + quoted(t) + b'"'),
    "from.display.token": lambda t: message(from_=t.replace(b"<", b"%3C") + b" <sip:a@example.com>;tag=1"),
    "contact.second": lambda t: message(contact=b'<sip:a@192.0.2.4>, "' + quoted(t) + b'" <sip:b@192.0.2.4>'),
    "pai.display": lambda t: message(more=b'P-Asserted-Identity: "' + quoted(t) + b'" <sip:a@example.com>\r\n'),
    "uri.parameter": lambda t: message(uri=b"sip:bob@example.com;x=" + parameter(t)),
    "contact.uri.parameter": lambda t: message(contact=b"<sip:alice@192.0.2.4;x=" + parameter(t) + b">"),
    "call-info": lambda t: message(more=b"Call-Info: <" + bare_uri(t) + b">;purpose=info\r\n"),
    "digest.username": lambda t: message(
        more=b'Authorization: Digest username="' + quoted(t) + b'", realm="a", nonce="b", uri="sip:c", response="d"\r\n'
    ),
    "sdp.s": lambda t: _with_sdp(b"s=" + _line(t)),
    "sdp.i": lambda t: _with_sdp(b"s=-\r\ni=" + _line(t)),
    "sdp.o": lambda t: _with_sdp(b"s=-", origin=_line(t)),
    "message.body": lambda t: message(method=b"MESSAGE", more=b"Content-Type: text/plain;charset=UTF-8\r\n", body=t),
}

#: Fields in which prose stands, so that harmless texts are tried there.
PROSE_FIELDS: Final = ("from.display", "to.display", "contact.display", "pai.display", "subject")
BODY_PROSE_FIELDS: Final = ("sdp.s", "sdp.i")
