"""Builds what follows an answer: the ACK, the BYE of a call that was answered, the request with credentials."""

from __future__ import annotations

import hashlib
import re
import secrets

_COMPACT = {b"call-id": b"i", b"from": b"f", b"to": b"t", b"via": b"v", b"contact": b"m", b"content-length": b"l"}


def headers(message: bytes, name: bytes) -> list[bytes]:
    """All values of a header field, by its long name in lower case; folding is not undone."""
    head = message.partition(b"\r\n\r\n")[0]
    names = {name, _COMPACT.get(name, name)}
    found = []
    for line in head.split(b"\r\n")[1:]:
        key, colon, value = line.partition(b":")
        if colon and key.strip().lower() in names:
            found.append(value.strip())
    return found


def header(message: bytes, name: bytes) -> bytes:
    """The first value, empty where there is none."""
    return next(iter(headers(message, name)), b"")


def after_invite(request: bytes, answer: bytes) -> list[bytes]:
    """ACK for a refused INVITE (RFC 3261 17.1.1.3); ACK and BYE for one that was answered (13.2.2.4, 15)."""
    number = header(request, b"cseq").split()[:1] or [b"1"]
    to = header(answer, b"to")
    uri = request.split(b" ", 2)[1]
    if answer[8:9] != b"2":
        return [_request(b"ACK", uri, request, to, number[0], headers(request, b"via")[:1], headers(request, b"route"))]
    contact = re.search(rb"<([^>]*)>", header(answer, b"contact"))
    remote = contact[1] if contact else uri
    route = [part.strip() for value in headers(answer, b"record-route") for part in value.split(b",")][::-1]
    via = header(request, b"via")
    follow = []
    for method, cseq in ((b"ACK", number[0]), (b"BYE", b"%d" % (int(number[0]) + 1))):
        fresh = re.sub(rb"branch=[^;]*", b"branch=z9hG4bK" + secrets.token_hex(6).encode(), via)
        follow.append(_request(method, remote, request, to, cseq, [fresh], route))
    return follow


def _request(
    method: bytes, uri: bytes, origin: bytes, to: bytes, cseq: bytes, via: list[bytes], route: list[bytes]
) -> bytes:
    lines = [
        method + b" " + uri + b" SIP/2.0",
        *(b"Via: " + value for value in via),
        *(b"Route: " + value for value in route),
        b"Max-Forwards: 70",
        b"From: " + header(origin, b"from"),
        b"To: " + to,
        b"Call-ID: " + header(origin, b"call-id"),
        b"CSeq: " + cseq + b" " + method,
        b"Content-Length: 0",
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def with_credentials(request: bytes, challenge: bytes, password: str) -> bytes:
    """The request again, with the answer to a digest challenge (RFC 2617 3.2.2, MD5)."""
    proxy = challenge[8:11] == b"407"
    text = header(challenge, b"proxy-authenticate" if proxy else b"www-authenticate")
    fields = {key.lower(): value for key, value in re.findall(rb'(\w+)="?([^",]*)"?', text)}
    realm, nonce, qop = fields.get(b"realm", b""), fields.get(b"nonce", b""), fields.get(b"qop", b"")
    method, uri, _ = request.split(b" ", 2)
    user = re.search(rb"sips?:([^@>;]*)@", header(request, b"from"))
    name = user[1] if user else b""

    def digest(*parts: bytes) -> bytes:
        return hashlib.md5(b":".join(parts), usedforsecurity=False).hexdigest().encode()

    ha1 = digest(name, realm, password.encode())
    ha2 = digest(method, uri)
    value = b'Digest username="%s", realm="%s", nonce="%s", uri="%s", algorithm=MD5' % (name, realm, nonce, uri)
    if b"auth" in qop.split(b","):
        value += b', qop=auth, nc=00000001, cnonce="1", response="%s"' % digest(
            ha1, nonce, b"00000001", b"1", b"auth", ha2
        )
    else:
        value += b', response="%s"' % digest(ha1, nonce, ha2)
    again = re.sub(rb"branch=[^;\r]*", b"branch=z9hG4bK" + secrets.token_hex(6).encode(), request, count=1)
    number = header(request, b"cseq").split()[0]
    again = re.sub(rb"(?im)^(CSeq:\s*)\d+", rb"\g<1>%d" % (int(number) + 1), again, count=1)
    name_ = b"Proxy-Authorization" if proxy else b"Authorization"
    head, blank, body = again.partition(b"\r\n\r\n")
    return head + b"\r\n" + name_ + b": " + value + blank + body
