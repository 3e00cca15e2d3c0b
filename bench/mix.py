"""Realistic traffic: thousands of subscribers with clients of many makes, and what they send in the course of a day.

Reproducible: the same seed and round give the same bytes. Nothing here was chosen by what a rule or the core looks for; the
makes differ in what makes differ in: order and spelling of header fields, forms of identifiers, parameters, lists.
"""

from __future__ import annotations

import base64
import hashlib
import random
import string
import uuid
from collections.abc import Callable
from typing import Final, NamedTuple

#: Subscribers, each with an address of its own; a tenth sits in offices of ten behind one address.
SUBSCRIBERS: Final = 3000

#: What a registrar with a proxy sees, by weight: phones refresh registrations and keep NAT open, few of them call.
METHODS: Final = {
    "REGISTER": 30, "OPTIONS": 22, "INVITE": 12, "ACK": 8, "BYE": 6, "SUBSCRIBE": 6, "NOTIFY": 6, "CANCEL": 2,
    "PUBLISH": 2, "MESSAGE": 2, "PRACK": 1, "UPDATE": 1, "INFO": 1, "REFER": 1,
}  # fmt: skip

#: Names as people and companies have them, by kind.
NAMES: Final = {
    "latin": ("Alice Smith", "Bob Jones", "Reception", "Sales Team", "John Miller", "Front Desk", "Maria Rossi", "Kim Lee"),
    "number": ("",),
    "accents": ("Jürgen Müller", "Zoë Dvořák", "François Lefèvre", "Søren Ørsted", "Íñigo Núñez", "Łukasz Żak"),
    "cyrillic": ("Иван Петров", "Олена Шевченко", "Приёмная"),
    "greek": ("Γιώργος Παπαδόπουλος", "Ελένη"),
    "chinese": ("王小明", "前台", "李娜"),
    "japanese": ("佐藤 健", "受付"),
    "arabic": ("محمد علي", "الاستقبال"),
    "hebrew": ("דוד כהן",),
    "hindi": ("राम शर्मा",),
    "marks": ("O'Brien, Sean", "Smith & Sons", "Müller (Office)", "Ext. 42", "Dr. A. Weiss-Klein", "R&D #3", "Cafe \\\"Luna\\\""),
    "companies": ("ACME Corp.", "Northern Lights Ltd", "Baker, Hall & Co.", "24/7 Taxi"),
}  # fmt: skip
_NAME_WEIGHTS: Final = (40, 15, 12, 4, 2, 4, 2, 4, 2, 2, 7, 6)

_AUDIO: Final = (
    "m=audio {port} RTP/AVP 8 0 101\na=rtpmap:8 PCMA/8000\na=rtpmap:0 PCMU/8000\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\na=sendrecv\n",
    "m=audio {port} RTP/AVP 9 0 8 18 101\na=rtpmap:9 G722/8000\na=rtpmap:18 G729/8000\na=fmtp:18 annexb=no\na=ptime:20\na=rtpmap:101 telephone-event/8000\n",
    "m=audio {port} RTP/SAVP 0 8 96\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}\na=rtpmap:96 opus/48000/2\na=fmtp:96 useinbandfec=1\n",
    "m=audio {port} UDP/TLS/RTP/SAVPF 111 0 8\na=rtpmap:111 opus/48000/2\na=ice-ufrag:{ufrag}\na=ice-pwd:{pwd}\na=fingerprint:sha-256 {print}\n"
    "a=setup:actpass\na=candidate:1 1 UDP 2130706431 192.0.2.10 {port} typ host\na=rtcp-mux\nm=video {port} UDP/TLS/RTP/SAVPF 96\na=rtpmap:96 VP8/90000\n",
)  # fmt: skip


class Make(NamedTuple):
    """What one make of client does alike in all its messages."""

    name: str
    #: The value of User-Agent; `%s` is its serial or version.
    agent: str
    #: The order of its header fields, spelled as it spells them.
    order: tuple[str, ...]
    branch: Callable[[random.Random], str]
    tag: Callable[[random.Random], str]
    call_id: Callable[[random.Random, str], str]
    #: Parameters of Contact's URI, and behind it.
    uri: str = ""
    contact: str = ""
    allow: str = "INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, MESSAGE, SUBSCRIBE, INFO"
    supported: str = "replaces, timer"
    audio: int = 0
    quoted: bool = True
    plus: bool = False
    domain: str = "voip.example.com"
    more: tuple[str, ...] = ()


def _hex(n: int) -> Callable[[random.Random], str]:
    return lambda r: f"{r.getrandbits(4 * n):0{n}x}"


def _digits(n: int) -> Callable[[random.Random], str]:
    return lambda r: str(r.randrange(10 ** (n - 1), 10**n))


def _b64(n: int) -> Callable[[random.Random], str]:
    return lambda r: base64.urlsafe_b64encode(r.randbytes(n)).decode().rstrip("=")


def _letters(n: int) -> Callable[[random.Random], str]:
    return lambda r: "".join(r.choices(string.ascii_letters + string.digits, k=n))


def _uuid(r: random.Random) -> str:
    return str(uuid.UUID(int=r.getrandbits(128), version=4))


def _bare(form: Callable[[random.Random], str]) -> Callable[[random.Random, str], str]:
    return lambda r, host: form(r)


def _hosted(form: Callable[[random.Random], str]) -> Callable[[random.Random, str], str]:
    return lambda r, host: f"{form(r)}@{host}"


_A: Final = (
    "Via",
    "Max-Forwards",
    "From",
    "To",
    "Call-ID",
    "CSeq",
    "Contact",
    "*",
    "User-Agent",
    "Allow",
    "Supported",
    "Content-Type",
    "Content-Length",
)
_B: Final = (
    "Via",
    "From",
    "To",
    "Call-ID",
    "CSeq",
    "Contact",
    "Max-Forwards",
    "User-Agent",
    "*",
    "Supported",
    "Allow",
    "Content-Type",
    "Content-Length",
)
_C: Final = (
    "Via",
    "Max-Forwards",
    "Contact",
    "To",
    "From",
    "Call-ID",
    "CSeq",
    "*",
    "Allow",
    "Content-Type",
    "Supported",
    "User-Agent",
    "Content-Length",
)
_D: Final = (
    "Via",
    "To",
    "From",
    "Call-ID",
    "CSeq",
    "Max-Forwards",
    "*",
    "Contact",
    "Allow",
    "User-Agent",
    "Supported",
    "Content-Length",
    "Content-Type",
)
_E: Final = ("v", "Max-Forwards", "f", "t", "i", "CSeq", "m", "*", "k", "Allow", "User-Agent", "c", "l")
_F: Final = (
    "Via",
    "Record-Route",
    "Max-Forwards",
    "From",
    "To",
    "Call-ID",
    "CSeq",
    "Contact",
    "Supported",
    "Allow",
    "*",
    "User-Agent",
    "Content-Type",
    "Content-Length",
)

MAKES: Final = (
    Make("desk-a", "Dornfeld D345/10.1.%s", _A, lambda r: _letters(14)(r), _b64(8), _bare(_hex(24)), uri=";line=k2x9", contact=';reg-id=1;q=1.0;+sip.instance="<urn:uuid:{uuid}>";audio;mobility="fixed"', supported="timer, 100rel, replaces, from-change"),
    Make("desk-b", "Yarrow SIP-T46S 66.85.%s", _B, _digits(10), _digits(10), lambda r, h: f"0_{r.randrange(10**9)}@{h}", allow="INVITE, INFO, PRACK, ACK, BYE, CANCEL, OPTIONS, NOTIFY, REGISTER, SUBSCRIBE, REFER, PUBLISH, UPDATE, MESSAGE", supported="replaces", audio=1, more=("Allow-Events: talk,hold,conference,refer,check-sync",)),
    Make("desk-c", "Polaris/VVX-411/6.3.%s", _D, lambda r: _hex(8)(r) + _hex(8)(r).upper(), lambda r: f"{_hex(8)(r).upper()}-{_hex(8)(r).upper()}", _hosted(lambda r: f"{_hex(8)(r)}-{_hex(8)(r)}-{_hex(8)(r)}"), allow="INVITE,ACK,BYE,CANCEL,OPTIONS,INFO,MESSAGE,SUBSCRIBE,NOTIFY,PRACK,UPDATE,REFER", supported="replaces,100rel", more=("Accept-Language: en", "Allow-Events: conference,talk,hold")),
    Make("desk-d", "Kestrel-CP8841-SIP/12.%s", _B, lambda r: _hex(8)(r), lambda r: _hex(24)(r) + "-" + _hex(8)(r), lambda r, h: f"{_hex(8)(r)}-{_hex(8)(r)}-{_hex(8)(r)}-{_hex(8)(r)}@{h}", contact=';+u.sip!model.ccm="36213";+sip.instance="<urn:uuid:{uuid}>"', supported="replaces,join,sdp-anat,norefersub,resource-priority,extended-refer,X-callinfo", quoted=False, more=("Session-ID: {hex32};remote=00000000000000000000000000000000",)),
    Make("desk-e", "Grandvale GXP2160 1.0.%s", _A, lambda r: _digits(10)(r), _digits(9), lambda r, h: f"{r.randrange(10**9)}-5060-1@{h.replace('.', '_')}", uri="", supported="replaces, path, timer, eventlist", more=("X-Grandvale-PBX: true", "P-Early-Media: Supported")),
    Make("dect-a", "Gigamond N510 IP PRO/42.%s", _D, _hex(32), _digits(10), _hosted(_digits(10)), allow="INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, SUBSCRIBE, NOTIFY, REFER, UPDATE", supported="replaces", quoted=False),
    Make("router-a", "FRIZZ!OS 7.%s", _B, lambda r: _hex(16)(r).upper(), _hex(16), _hosted(lambda r: _hex(16)(r).upper()), uri=";uniq={hex32}", supported="100rel,replaces,timer", plus=True, more=("Expires: 300",)),
    Make("soft-a", "Brio 6.5.%s (Build 104) Windows", _C, lambda r: f"-524287-1---{_hex(16)(r)}", _hex(8), _bare(lambda r: base64.b64encode(_hex(30)(r).encode()).decode().rstrip("=")), uri=";rinstance={hex16}", supported="replaces, outbound, path, gruu", audio=1),
    Make("soft-b", "Linnet Desktop/5.2.%s (Fedora) LinnetSDK/5.3", _A, _b64(9), _letters(9), _bare(_letters(10)), uri=";transport=udp", contact=';+sip.instance="<urn:uuid:{uuid}>";+org.linnet.specs="conference/2.0,ephemeral,groupchat"', supported="replaces, outbound, gruu, path, record-aware", audio=2, quoted=False),
    Make("soft-c", "Zephyr rv2.10.%s", _C, lambda r: f"-524287-1---{_hex(16)(r)}", _hex(8), _bare(lambda r: _b64(16)(r) + ".."), uri=";transport=UDP", supported="replaces, norefersub, extended-refer, timer, outbound, path, X-ciscolike"),
    Make("soft-d", "MicroPhon/3.21.%s", _A, lambda r: "Pj" + _hex(32)(r), _hex(32), _bare(_hex(32)), uri=";ob", supported="replaces, 100rel, timer, norefersub"),
    Make("mobile-a", "Groove 5.6.%s (iOS 17)", _C, lambda r: "-524287-1---" + _hex(16)(r), _hex(8), _bare(_b64(20)), uri=";rinstance={hex16};transport=tls", contact=';reg-id=1;+sip.instance="<urn:uuid:{uuid}>"', supported="path, outbound, gruu", audio=2, more=("X-Push: on",)),
    Make("ims-a", "IMS-UE/Android 14 Build/%s", _F, lambda r: _hex(20)(r) + "smg", _hex(8), _hosted(lambda r: _hex(24)(r)), contact=';+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel";+sip.instance="<urn:gsma:imei:35684610-{digits6}-0>";video', supported="path,gruu,sec-agree,100rel,timer,precondition,199", plus=True, audio=1, domain="ims.mnc001.mcc262.3gppnetwork.example", more=("P-Access-Network-Info: 3GPP-E-UTRAN-FDD;utran-cell-id-3gpp={digits6}01A2B3C", "P-Preferred-Identity: <sip:+49{digits6}@ims.mnc001.mcc262.3gppnetwork.example>", "Security-Verify: ipsec-3gpp;alg=hmac-md5-96;prot=esp;mod=trans;spi-c={digits6};port-s=6060")),
    Make("web-a", "WebPhone 3.11.%s", _D, _digits(7), _letters(10), _bare(_letters(20)), uri=";transport=ws;ob", contact=';reg-id=1;+sip.instance="<urn:uuid:{uuid}>"', supported="path,gruu,outbound", audio=3, more=("Session-Expires: 90;refresher=uac",)),
    Make("sbc-a", "Anchor SBC VE/v7.40A.%s", _F, lambda r: "ac" + _digits(10)(r), lambda r: "1c" + _digits(9)(r), _hosted(lambda r: _digits(22)(r)), supported="em,100rel,timer,replaces,path,sdp-anat", plus=True, audio=1, quoted=False),
    Make("sbc-b", "Ribbonwood SBC 9.%s", _F, lambda r: f"0eB{_hex(8)(r)}{_hex(8)(r)}", lambda r: "gK" + _hex(8)(r), _hosted(lambda r: f"{r.randrange(10**9)}_{r.randrange(10**8)}"), supported="timer,100rel,precondition,replaces", plus=True, more=("P-Asserted-Identity: \"{name}\" <sip:+1212{digits6}@voip.example.com;user=phone>", "Privacy: none", "Diversion: <sip:+1646{digits6}@voip.example.com>;reason=unconditional;counter=1")),
    Make("pbx-a", "Asterope PBX 20.5.%s", _B, lambda r: "Pj" + _uuid(r), _uuid, _bare(_uuid), supported="100rel, timer, replaces, norefersub, histinfo", more=("Session-Expires: 1800", "Min-SE: 90")),
    Make("pbx-b", "3Q Phone System 18.%s", _C, lambda r: "-524287-1---" + _hex(16)(r), _hex(8), _bare(lambda r: base64.b64encode(r.randbytes(18)).decode().rstrip("=") + "."), uri=";rinstance={hex16}", supported="replaces, timer", more=("Remote-Party-ID: \"{name}\" <sip:1{digits6}@voip.example.com>;party=calling",)),
    Make("pbx-c", "FreeSwallow-mod_sofa/1.10.%s", _F, lambda r: _letters(13)(r), _letters(13), _bare(_uuid), uri=";transport=udp;gw=carrier", allow="INVITE, ACK, BYE, CANCEL, OPTIONS, MESSAGE, INFO, UPDATE, REGISTER, REFER, NOTIFY, PUBLISH, SUBSCRIBE", supported="timer, path, replaces", more=("Allow-Events: talk, hold, conference, presence, as-feature-event, dialog, line-seize, call-info, sla", "X-FS-Support: update_display,send_info")),
    Make("ata-a", "Lynxis/SPA112-1.4.%s(004)", _B, lambda r: "-" + _hex(8)(r), lambda r: _hex(16)(r) + "o0", _hosted(lambda r: f"{_hex(8)(r)}-{_hex(8)(r)}"), supported="x-sipura-like", allow="ACK, BYE, CANCEL, INFO, INVITE, NOTIFY, OPTIONS, REFER, UPDATE"),
    Make("ata-b", "TA-1242-%s", _E, _hex(10), _hex(10), _hosted(_hex(16)), supported="replaces", quoted=False),
    Make("door-a", "Door-Station/2.33.%s", _A, _digits(9), _digits(9), _bare(_digits(10)), supported="", allow="INVITE, ACK, CANCEL, BYE, OPTIONS", quoted=False),
    Make("teams-a", "Meeting.SIPProxy.%s", _F, lambda r: _hex(8)(r), _hex(32), _bare(_hex(32)), uri=";transport=udp;maddr=192.0.2.77", plus=True, audio=2, supported="histinfo,timer", more=("History-Info: <sip:+4930{digits6}@voip.example.com>;index=1", "Reason: SIP;cause=302;text=\"Moved Temporarily\"", "X-MS-SBC: Edge/v1.2/3.4")),
    Make("legacy-a", "SIPstack 2.%s", ("Via", "From", "To", "Call-Id", "Cseq", "Contact", "Max-Forwards", "*", "User-Agent", "Content-Type", "Content-Length"), _digits(8), _digits(8), _hosted(_digits(8)), supported="", quoted=False),
)  # fmt: skip

_COMPACT: Final = {
    "v": "Via",
    "f": "From",
    "t": "To",
    "i": "Call-ID",
    "m": "Contact",
    "k": "Supported",
    "c": "Content-Type",
    "l": "Content-Length",
    "Call-Id": "Call-ID",
    "Cseq": "CSeq",
}


class Sent(NamedTuple):
    """One message, and what it is counted under."""

    address: str
    raw: bytes
    make: str
    method: str
    name: str


class Subscriber:
    """One phone with its user."""

    def __init__(self, number: int, seed: int) -> None:
        r = random.Random(f"{seed}-{number}")
        self.make = MAKES[number % len(MAKES)]
        place = number if number % 10 else number // 100 * 100
        self.address = f"127.{20 + place // 60000}.{place // 250 % 240}.{place % 250 + 1}"
        self.inside = f"192.168.{r.randrange(255)}.{r.randrange(2, 250)}"
        self.kind = r.choices(list(NAMES), _NAME_WEIGHTS)[0]
        self.name = r.choice(NAMES[self.kind])
        digits = f"{r.randrange(10**9):09d}"
        self.user = (
            f"+49{digits}"
            if self.make.plus
            else r.choice((digits, f"{number + 1000}", f"user{number}", f"a.{self.make.name[:3]}{number}"))
        )
        self.serial = str(r.randrange(10, 99))
        self.uuid = _uuid(r)


class Traffic:
    """All that the subscribers send, round by round."""

    def __init__(self, seed: int = 1, subscribers: int = SUBSCRIBERS) -> None:
        self._seed = seed
        self.subscribers = [Subscriber(number, seed) for number in range(subscribers)]

    def requests(self, round_: int, count: int) -> list[Sent]:
        """That many requests, spread over all subscribers."""
        r = random.Random(f"{self._seed}/{round_}")
        methods = r.choices(list(METHODS), list(METHODS.values()), k=count)
        order = list(range(len(self.subscribers)))
        r.shuffle(order)
        return [
            self.request(r, self.subscribers[order[number % len(order)]], method)
            for number, method in enumerate(methods)
        ]

    def request(self, r: random.Random, who: Subscriber, method: str) -> Sent:
        """One request of a subscriber's."""
        make = who.make
        other = self.subscribers[r.randrange(len(self.subscribers))]
        inside = method in ("ACK", "BYE", "PRACK", "UPDATE", "INFO", "NOTIFY", "REFER")
        me = f"<sip:{who.user}@{make.domain}>"
        if who.name:
            me = f'"{who.name}" {me}' if make.quoted or not who.name.replace(" ", "").isalnum() else f"{who.name} {me}"
        peer = f"<sip:{who.user if method == 'REGISTER' else other.user}@{make.domain}>"
        uri = (
            f"sip:{make.domain}"
            if method == "REGISTER"
            else f"sip:{other.user}@{other.inside}:5060"
            if inside
            else f"sip:{other.user}@{make.domain}"
        )
        number = r.randrange(1, 9999)
        fill = {
            "uuid": who.uuid,
            "hex32": _hex(32)(r),
            "hex16": _hex(16)(r),
            "digits6": _digits(6)(r),
            "name": who.name or who.user,
        }
        contact = f"<sip:{who.user}@{who.inside}:5060{make.uri}>{make.contact if method == 'REGISTER' else ''}"
        if method == "REGISTER" and "expires" not in contact:
            contact += ";expires=3600"
        values = {
            "Via": f"SIP/2.0/UDP {who.inside}:5060;branch=z9hG4bK{make.branch(r)};rport",
            "Max-Forwards": "70",
            "From": f"{me};tag={make.tag(r)}",
            "To": f"{peer};tag={other.make.tag(r)}" if inside else peer,
            "Call-ID": make.call_id(r, who.inside),
            "CSeq": f"{number} {method}",
            "Contact": _filled(contact, fill) if method not in ("ACK", "BYE", "CANCEL", "PRACK") else "",
            "User-Agent": make.agent % who.serial,
            "Allow": make.allow if method in ("REGISTER", "INVITE", "OPTIONS", "SUBSCRIBE") else "",
            "Supported": make.supported if method in ("REGISTER", "INVITE", "OPTIONS", "REFER") else "",
            "Record-Route": "",
        }  # fmt: skip
        more = [_filled(line, fill) for line in make.more] if method in ("INVITE", "REGISTER") else []
        more += self._extra(r, who, method, number, uri)
        body, kind = self._body(r, who, method)
        values["Content-Type"] = kind
        values["Content-Length"] = str(len(body))
        lines = [f"{method} {uri} SIP/2.0"]
        for name in make.order:
            if name == "*":
                lines += more
            elif value := values.get(_COMPACT.get(name, name), ""):
                lines.append(f"{name}: {value}")
        return Sent(who.address, "\r\n".join([*lines, "", ""]).encode() + body, make.name, method, who.kind)

    def _extra(self, r: random.Random, who: Subscriber, method: str, number: int, uri: str) -> list[str]:
        if method == "REGISTER":
            lines = ["Expires: 3600"]
            # Two of three registrations answer a challenge (RFC 3261 22.1), most by MD5, some by SHA-256 (RFC 8760).
            if r.random() < 0.66:
                modern = r.random() < 0.2
                response = hashlib.new("sha256" if modern else "md5", r.randbytes(16)).hexdigest()
                nonce = base64.b64encode(r.randbytes(24)).decode()
                lines.append(
                    f'Authorization: Digest username="{who.user}", realm="{who.make.domain}", nonce="{nonce}", '
                    f'uri="{uri}", response="{response}", algorithm={"SHA-256" if modern else "MD5"}, cnonce="{_hex(8)(r)}", '
                    f"qop=auth, nc={number:08x}"
                )
            return lines
        if method == "SUBSCRIBE":
            return [
                f"Event: {r.choice(('message-summary', 'dialog', 'presence', 'reg'))}",
                "Expires: 1800",
                "Accept: application/simple-message-summary, application/dialog-info+xml, application/pidf+xml",
            ]
        if method == "NOTIFY":
            return ["Event: message-summary", f"Subscription-State: active;expires={r.randrange(60, 3600)}"]
        if method == "PUBLISH":
            return ["Event: presence", "Expires: 3600", f"SIP-If-Match: {_letters(12)(r)}"]
        if method == "PRACK":
            return [f"RAck: {number} {number} INVITE"]
        if method == "REFER":
            return [
                f"Refer-To: <sip:{r.randrange(1000, 9999)}@{who.make.domain}?Replaces={_hex(16)(r)}%3Bto-tag%3D{_hex(8)(r)}%3Bfrom-tag%3D{_hex(8)(r)}>",
                f"Referred-By: <sip:{who.user}@{who.make.domain}>",
            ]
        if method == "BYE" and r.random() < 0.3:
            return ['Reason: Q.850;cause=16;text="Normal call clearing"']
        return []

    def _body(self, r: random.Random, who: Subscriber, method: str) -> tuple[bytes, str]:
        if method in ("INVITE", "UPDATE"):
            made = r.randrange(10**9)
            head = f"v=0\no={r.choice(('-', 'root', who.make.name.replace('-', ''), who.user.strip('+')))} {made} {made + r.randrange(3)} IN IP4 {who.inside}\ns={r.choice(('-', 'call', 'SIP Call', 'session', who.make.name))}\nc=IN IP4 {who.inside}\nt=0 0\n"
            media = _filled(_AUDIO[who.make.audio], {
                "port": str(r.randrange(10000, 60000) & ~1), "key": base64.b64encode(r.randbytes(30)).decode(), "ufrag": _letters(4)(r),
                "pwd": _letters(24)(r), "print": ":".join(f"{byte:02X}" for byte in r.randbytes(32)),
            })  # fmt: skip
            return (head + media).replace("\n", "\r\n").encode(), "application/sdp"
        if method == "NOTIFY":
            return (
                f"Messages-Waiting: {r.choice(('yes', 'no'))}\r\nMessage-Account: sip:{who.user}@{who.make.domain}\r\nVoice-Message: {r.randrange(5)}/0 (0/0)\r\n".encode(),
                "application/simple-message-summary",
            )
        if method == "PUBLISH":
            return (
                f'<?xml version="1.0" encoding="UTF-8"?>\r\n<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:{who.user}@{who.make.domain}"><tuple id="{_letters(6)(r)}"><status><basic>open</basic></status></tuple></presence>\r\n'.encode(),
                "application/pidf+xml",
            )
        if method == "MESSAGE":
            return r.choice(
                ("On my way", "Bin in 5 Minuten da!", "ok 👍", "Call me back at 3 pm, please")
            ).encode(), "text/plain;charset=UTF-8"
        if method == "INFO":
            return f"Signal={r.choice('0123456789*#')}\r\nDuration=160\r\n".encode(), "application/dtmf-relay"
        return b"", ""


def _filled(text: str, values: dict[str, str]) -> str:
    """`{name}` by its value; other braces stay, as SDP and XML may have them."""
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text
