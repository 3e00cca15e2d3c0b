"""Programs that send SIP, each with its own order of header fields and its own way of making identifiers.

What a program writes follows from its code, not from what it is used for: the same library sits in phones and in bots.
"""

from __future__ import annotations

import random
import string
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace

SERVER = "192.0.2.10"

#: A way of making an identifier.
Token = Callable[[random.Random], str]


def decimal(low: int, high: int) -> Token:
    """A number between two powers of ten."""
    return lambda rng: str(rng.randrange(10**low, 10**high))


def hexadecimal(bits: int, upper: bool = False) -> Token:
    """A number in hexadecimal, without leading zeros."""
    return lambda rng: f"{rng.getrandbits(bits):X}" if upper else f"{rng.getrandbits(bits):x}"


def letters(count: int) -> Token:
    """Letters and digits."""
    return lambda rng: "".join(rng.choices(string.ascii_letters + string.digits, k=count))


def guid(rng: random.Random) -> str:
    """A UUID."""
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


@dataclass(slots=True)
class Program:
    """One program. `order` names the header fields as it writes them; `{…}` in `extra` values is left as it is."""

    agent: str
    order: tuple[str, ...]
    branch: Token
    tag: Token
    call: Token
    #: Whether a Call-ID has a host behind it.
    call_host: bool = True
    rport: str = ";rport"
    cookie: str = "z9hG4bK"
    display: str = ""
    max_forwards: int = 70
    cseq: int = 1
    space: str = " "
    extra: dict[str, str] = field(default_factory=dict)
    from_host: str = SERVER

    def named(self, agent: str) -> Program:
        """The same program under another name."""
        return replace(self, agent=agent)


_SVP = (
    "Via",
    "Max-Forwards",
    "To",
    "From",
    "User-Agent",
    "Call-ID",
    "Contact",
    "CSeq",
    "Accept",
    "Content-Length",
    "Authorization",
)

#: sipvicious 0.3 (svmap, svwar, svcrack), as it runs.
SIPVICIOUS = Program("friendly-scanner", _SVP, lambda r: "-" + decimal(8, 10)(r), decimal(9, 39), decimal(36, 39), call_host=False,
                     display='"sipvicious"', extra={"Accept": "application/sdp"}, from_host="1.1.1.1")  # fmt: skip

#: SIPp's built-in uac scenario.
SIPP = Program("", ("Via", "From", "To", "Call-ID", "CSeq", "Contact", "Authorization", "Max-Forwards", "Subject", "Content-Type", "Content-Length"),
               lambda r: f"-{r.randrange(2000, 9999)}-{r.randrange(1, 999)}-0", lambda r: f"{r.randrange(2000, 9999)}SIPpTag00{r.randrange(1, 999)}",
               lambda r: f"{r.randrange(1, 999)}-{r.randrange(2000, 9999)}", rport="", display="sipp", extra={"Subject": "Performance Test"})  # fmt: skip

#: sipcli, as honeypots see it.
SIPCLI = Program("sipcli/v1.8", ("Via", "From", "To", "Call-ID", "CSeq", "Contact", "User-Agent", "Max-Forwards", "Authorization", "Allow", "Content-Type", "Content-Length"),
                 hexadecimal(64), hexadecimal(64), hexadecimal(128), call_host=False, extra={"Allow": "INVITE, ACK, CANCEL, OPTIONS, BYE"})  # fmt: skip

#: nmap's and others' one probe, the same bytes each time.
PROBE = Program("", ("Via", "Max-Forwards", "To", "From", "Call-ID", "CSeq", "Contact", "Accept", "Content-Length"), lambda r: "", lambda r: "root",
                lambda r: "50000", call_host=False, cookie="foo", cseq=42, extra={"Accept": "application/sdp"}, from_host="nm")  # fmt: skip

#: PJSIP: in softphones, in Asterisk, and in bots.
PJSIP = Program("", ("Via", "Max-Forwards", "From", "To", "Contact", "Call-ID", "CSeq", "Route", "Allow", "Supported", "User-Agent", "Authorization", "Content-Type", "Content-Length"),
                lambda r: "Pj" + guid(r), guid, guid, call_host=False,
                extra={"Allow": "PRACK, INVITE, ACK, BYE, CANCEL, UPDATE, INFO, SUBSCRIBE, NOTIFY, REFER, MESSAGE, OPTIONS", "Supported": "replaces, 100rel, timer, norefersub"})  # fmt: skip

_YEALINK = Program("Yealink SIP-T46S 66.85.0.5", ("Via", "From", "To", "Call-ID", "CSeq", "Contact", "Authorization", "Content-Type", "Allow", "Max-Forwards", "User-Agent", "Allow-Events", "Content-Length"),
                   decimal(8, 10), decimal(8, 10), lambda r: f"0_{r.randrange(10**9, 10**10)}",
                   extra={"Allow": "INVITE, INFO, PRACK, ACK, BYE, CANCEL, OPTIONS, NOTIFY", "Allow-Events": "talk,hold"})  # fmt: skip
_GRANDSTREAM = Program("Grandstream GXP2170 1.0.11.64", ("Via", "From", "To", "Contact", "Authorization", "Call-ID", "CSeq", "Max-Forwards", "User-Agent", "Supported", "Allow", "Content-Type", "Content-Length"),
                       decimal(8, 10), decimal(8, 10), lambda r: f"{r.randrange(10**8, 10**10)}-5060-1", extra={"Supported": "path", "Allow": "INVITE, ACK, OPTIONS, CANCEL, BYE"})  # fmt: skip
_CISCO = Program("Cisco-CP8841-3PCC/11.3.1", ("Via", "From", "To", "Call-ID", "CSeq", "Max-Forwards", "Contact", "Authorization", "User-Agent", "Allow", "Supported", "Content-Type", "Content-Length"),
                 lambda r: "-" + hexadecimal(32)(r), lambda r: hexadecimal(64)(r) + "o0", lambda r: f"{hexadecimal(32)(r)}-{hexadecimal(32)(r)}", rport="")  # fmt: skip
_SNOM = Program("snomD735/10.1.64.14", ("Via", "From", "To", "Call-ID", "CSeq", "Max-Forwards", "User-Agent", "Contact", "Authorization", "Supported", "Allow", "Content-Type", "Content-Length"),
                lambda r: "-" + letters(12)(r).lower(), letters(10), lambda r: f"{hexadecimal(48)(r)}-{letters(12)(r).lower()}", call_host=False)  # fmt: skip
_LINPHONE = Program("Linphone/4.4.8 (belle-sip/5.1.0)", ("Via", "From", "To", "CSeq", "Call-ID", "Max-Forwards", "Supported", "Accept", "Contact", "Authorization", "User-Agent", "Content-Type", "Content-Length"),
                    lambda r: "." + letters(9)(r), letters(9), letters(10), call_host=False, extra={"Supported": "replaces, outbound, gruu", "Accept": "application/sdp"})  # fmt: skip
_ASTERISK = Program("Asterisk PBX 18.10.0", ("Via", "Max-Forwards", "From", "To", "Contact", "Call-ID", "CSeq", "User-Agent", "Authorization", "Supported", "Allow", "Content-Type", "Content-Length"),
                    hexadecimal(32), lambda r: "as" + hexadecimal(32)(r), hexadecimal(128), extra={"Supported": "replaces, timer", "Allow": "INVITE, ACK, CANCEL, OPTIONS, BYE, REFER"})  # fmt: skip
_FREESWITCH = Program("FreeSWITCH-mod_sofia/1.10.9", ("Via", "Max-Forwards", "From", "To", "Call-ID", "CSeq", "Contact", "User-Agent", "Allow", "Supported", "Authorization", "Content-Type", "Content-Length"),
                      letters(13), letters(13), guid, call_host=False, extra={"Allow": "INVITE, ACK, BYE", "Supported": "timer, path, replaces"})  # fmt: skip
SIPSAK = Program("sipsak 0.9.8", ("Via", "From", "To", "Call-ID", "CSeq", "Contact", "Content-Length", "Max-Forwards", "User-Agent", "Accept"),
                 lambda r: "." + hexadecimal(32)(r), hexadecimal(32), decimal(8, 10), extra={"Accept": "text/plain"})  # fmt: skip

MAKES = (
    _YEALINK,
    _GRANDSTREAM,
    _CISCO,
    _SNOM,
    _LINPHONE,
    PJSIP.named("MicroSIP/3.21.3"),
    PJSIP.named("Zoiper rv2.10.18"),
)
SWITCHES = (_ASTERISK, _FREESWITCH, PJSIP.named("Asterisk PBX 20.5.0"))

_NAMES = ("", "", "", "eyeBeam release 3006o", "VaxSIPUserAgent/3.1", "pplsip", "Ozeki", "Cisco-SIPGateway/IOS-12.x", "Asterisk PBX", "sipcli/v1.8",
          "SIPPER for PhonerLite", "owkcpf/1.2", "Z", "PortSIP")  # fmt: skip


def script(rng: random.Random) -> Program:
    """What somebody wrote by himself in an evening: any order, any form, mostly somebody else's name."""
    middle = ["Max-Forwards", "From", "To", "Call-ID", "CSeq", "Contact", "User-Agent"]
    rng.shuffle(middle)
    if rng.random() < 0.3:
        middle.remove("Max-Forwards")
    rest = rng.sample(
        ["Allow", "Supported", "Expires", "Accept", "Allow-Events", "P-Preferred-Identity"], rng.randint(0, 2)
    )
    order = ("Via", *middle, *rest, "Authorization", *(("Content-Type",)), "Content-Length")
    if rng.random() < 0.15:
        order = tuple(
            {"Via": "v", "From": "f", "To": "t", "Call-ID": "i", "Contact": "m", "Content-Length": "l"}.get(name, name)
            for name in order
        )
    tokens: list[Token] = [
        decimal(8, 10),
        decimal(5, 6),
        hexadecimal(32),
        hexadecimal(64),
        hexadecimal(128),
        hexadecimal(32, True),
        letters(8),
        letters(16),
        guid,
    ]
    return Program(
        rng.choice(_NAMES), order, rng.choice(tokens), rng.choice(tokens), rng.choice(tokens), call_host=rng.random() < 0.6,
        rport=rng.choice((";rport", "")), cookie="z9hG4bK" + rng.choice(("", "-", ".")), display=rng.choice(("", "", '"unknown"')),
        max_forwards=rng.choice((70, 70, 69, 10)), cseq=rng.choice((1, 1, 2, 102)), space=rng.choice((" ", " ", " ", "")),
        extra={"Allow": "INVITE, ACK, CANCEL, BYE", "Supported": "replaces", "Expires": "3600", "Accept": "*/*", "Allow-Events": "presence",
               "P-Preferred-Identity": "<sip:0@0>"},
    )  # fmt: skip


def tool(rng: random.Random) -> Program:
    """What an attacker uses: a public tool, a phone's library, or his own script."""
    return rng.choice((SIPVICIOUS, SIPCLI, PJSIP.named(rng.choice(_NAMES)), *(script(rng) for _ in range(5))))


def written(
    program: Program, rng: random.Random, method: str, ip: str, port: int, user: str, *, caller: str = "", call_id: str = "", tag: str = "",
    cseq: int = 0, credentials: bool = False, payload: str = "", body: bytes = b"", transport: str = "UDP",
) -> tuple[bytes, str]:  # fmt: skip
    """A request as this program writes it, and its Call-ID."""
    call_id = call_id or program.call(rng) + (f"@{ip}" if program.call_host else "")
    caller = caller or user or "anonymous"
    uri = f"sip:{SERVER}" if method == "REGISTER" or not user else f"sip:{user}@{SERVER}"
    display = f'"{payload}" ' if payload else program.display
    cookie = program.cookie + program.branch(rng)
    values = {
        "via": f"SIP/2.0/{transport} {ip}:{port};branch={cookie}{program.rport}",
        "max-forwards": str(program.max_forwards),
        "from": f"{display}<sip:{caller}@{program.from_host}>;tag={tag or program.tag(rng)}",
        "to": f"<sip:{user or 'x'}@{SERVER}>",
        "call-id": call_id,
        "cseq": f"{cseq or program.cseq} {method}",
        "contact": f"<sip:{caller}@{ip}:{port}>" if method in ("REGISTER", "INVITE", "OPTIONS") else "",
        "user-agent": program.agent,
        "authorization": f'Digest username="{caller}", realm="{SERVER}", nonce="{rng.getrandbits(64):x}", uri="{uri}", response="{rng.getrandbits(128):032x}"'
        if credentials
        else "",
        "content-type": "application/sdp" if body else "",
        "content-length": str(len(body)),
        **{name.lower(): value for name, value in program.extra.items()},
    }
    compact = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length"}
    lines = [f"{method} {uri} SIP/2.0"]
    lines += [
        f"{name}:{program.space}{value}"
        for name in program.order
        if (value := values.get(compact.get(name, name.lower()), ""))
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body, call_id
