"""RFC 3261's character classes and productions, each under the grammar that it implements."""

from __future__ import annotations

import re
from typing import Final

# token = 1*(alphanum / "-" / "." / "!" / "%" / "*" / "_" / "+" / "`" / "'" / "~" )   (25.1)
TOKEN: Final = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.!%*_+`'~"

# Request-Line = Method SP Request-URI SP SIP-Version CRLF   (7.1)
# SIP-Version  = "SIP" "/" 1*DIGIT "." 1*DIGIT
# Tolerant: more than one space (RFC 4475 3.1.2.8 asks for a 400 or for tolerance), any version. Its two ends are
# matched by themselves: one pattern for all of it would try each way to share out the spaces.
METHOD: Final = re.compile(rb"([^\s:]{1,64})[ \t]")
VERSION: Final = re.compile(rb"SIP/[0-9]{1,20}\.[0-9]{1,20}", re.I)

# Status-Line = SIP-Version SP Status-Code SP Reason-Phrase CRLF   (7.2)
STATUS_LINE: Final = re.compile(rb"(SIP/[0-9]{1,20}\.[0-9]{1,20})[ \t]+([0-9]{1,10})(?:[ \t]([^\r\n]*))?\Z", re.I)

# header-name = token; HCOLON = *( SP / HTAB ) ":" SWS   (25.1)
# Compact forms: RFC 3261 7.3.3 and 20, RFC 3265 (o, u), 3515 (r), 3841 (a, j, d), 3892 (b),
# 4028 (x), 4474 (y, n).
COMPACT: Final = {
    b"a": "accept-contact",
    b"b": "referred-by",
    b"c": "content-type",
    b"d": "request-disposition",
    b"e": "content-encoding",
    b"f": "from",
    b"i": "call-id",
    b"j": "reject-contact",
    b"k": "supported",
    b"l": "content-length",
    b"m": "contact",
    b"n": "identity-info",
    b"o": "event",
    b"r": "refer-to",
    b"s": "subject",
    b"t": "to",
    b"u": "allow-events",
    b"v": "via",
    b"x": "session-expires",
    b"y": "identity",
}

# name-addr / addr-spec headers: value = ( name-addr / addr-spec ) *( SEMI param )   (25.1)
ADDRESS_HEADERS: Final = frozenset(
    {
        "from",
        "to",
        "contact",
        "route",
        "record-route",
        "reply-to",
        "refer-to",
        "referred-by",
        "p-asserted-identity",
        "p-preferred-identity",
        "remote-party-id",
        "diversion",
        "history-info",
        "p-called-party-id",
        "p-associated-uri",
        "path",
        "service-route",
        "alert-info",
        "call-info",
        "error-info",
        "accept-contact-uri",
        "permission-missing",
        "trigger-consent",
        "p-served-user",
        "p-profile-key",
        "p-user-database",
    }
)

# Headers whose value is a token, word or text, and parameters after it (25.1).
PARAMETER_HEADERS: Final = frozenset(
    {
        "accept",
        "accept-contact",
        "accept-encoding",
        "accept-language",
        "content-disposition",
        "event",
        "join",
        "p-access-network-info",
        "p-charging-function-addresses",
        "p-charging-vector",
        "reason",
        "reject-contact",
        "replaces",
        "retry-after",
        "security-client",
        "security-server",
        "security-verify",
        "session-expires",
        "subscription-state",
        "target-dialog",
        "user-to-user",
        "warning",
    }
)

# Of these a request or reply may have one only (RFC 3261 7.3.1 with table 2).
SINGLE_HEADERS: Final = frozenset({"from", "to", "call-id", "cseq", "content-length", "max-forwards", "content-type"})

# Headers whose value other elements act on: nothing in them can be replaced but a display name.
ROUTED_HEADERS: Final = frozenset(
    {
        "call-id",
        "cseq",
        "via",
        "content-type",
        "content-length",
        "content-encoding",
        "max-forwards",
        "expires",
        "min-expires",
        "require",
        "proxy-require",
        "supported",
        "unsupported",
        "allow",
        "event",
        "allow-events",
        "subscription-state",
        "rack",
        "rseq",
        "session-expires",
        "min-se",
        "replaces",
        "join",
        "sip-etag",
        "sip-if-match",
        "from",
        "to",
        "contact",
        "route",
        "record-route",
        "refer-to",
        "mime-version",
        "request_uri",
    }
)

# Digest = "Digest" LWS digest-param *(COMMA digest-param)   (25.1)
CREDENTIAL_HEADERS: Final = frozenset(
    {"authorization", "proxy-authorization", "www-authenticate", "proxy-authenticate", "authentication-info"}
)

# Content-Length = ( "Content-Length" / "l" ) HCOLON 1*DIGIT   (25.1)
CONTENT_LENGTH: Final = re.compile(rb"[0-9]{1,20}\Z")

# CSeq = "CSeq" HCOLON 1*DIGIT LWS Method   (25.1); the number fits 31 bits (8.1.1.5)
CSEQ: Final = re.compile(rb"([0-9]{1,20})[ \t\r\n]+([^\s]{1,64})\Z")

# name-addr = [ display-name ] LAQUOT addr-spec RAQUOT;  absoluteURI = scheme ":" ( hier-part / opaque-part )
# scheme    = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )   (25.1)
# Tolerant: an unquoted display name may hold anything but "<", as clients send it.
ADDRESS: Final = re.compile(
    rb"(?:(?:\"[^\"\\]*+(?:\\.[^\"\\]*+)*\"[^<]*+|[^<\"][^<]*+)?<\s*+[A-Za-z][A-Za-z0-9+.-]*+\s*+:[^>]++>"
    rb"|[A-Za-z][A-Za-z0-9+.-]*+\s*+:\s*+[^\s<>][^<>]*+\Z)",
    re.S,
)

# tag-param = "tag" EQUAL token   (25.1)
TAG: Final = re.compile(rb";[ \t\r\n]*+tag[ \t\r\n]*+=[ \t\r\n]*+([^;,\s>\"]*)", re.I)

# via-branch = "branch" EQUAL token   (25.1)
BRANCH: Final = re.compile(rb";[ \t\r\n]*+branch[ \t\r\n]*+=[ \t\r\n]*+([^;,\s]*)", re.I)

# boundary := 0*69<bchars> bcharsnospace   (RFC 2046 5.1.1), the part between its outer dashes. Most clients begin
# with dashes. Of bchars those that no SQL or shell needs: a boundary may hold "'" and "(", but then it is read as
# any text is.
BOUNDARY: Final = re.compile(
    rb"multipart/[a-z0-9.+-]{1,64}[^\x27()]{0,400}?;[ \t\r\n]*+boundary[ \t\r\n]*+=[ \t\r\n]*+"
    rb"(?:\"-{0,70}+(?P<quoted>(?:[a-z0-9+_,./:=?](?:[a-z0-9+_,./:=?-]{0,68}[a-z0-9+_,./:=?])?)?)-{0,70}+\""
    rb"|-{0,70}+(?P<token>(?:[a-z0-9+_.](?:[a-z0-9+_.-]{0,68}[a-z0-9+_.])?)?)-{0,70}+)"
    rb"(?=[ \t\r\n]*+(?:;|\Z))",
    re.I,
)


def is_token(value: bytes) -> bool:
    """Whether `value` is a non-empty RFC 3261 token."""
    return bool(value) and not value.translate(None, TOKEN)
