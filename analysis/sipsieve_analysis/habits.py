"""Reads a client's habits out of what it writes: how it makes Call-IDs, what it calls itself, what it repeats."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Final

from .census import Hit, Profile

#: Families that are no attack on a backend by themselves.
PLAIN_FAMILIES: Final = frozenset(
    {
        "structure",
        "scanner",
        "limits",
        "content_length_zero",
        "destinations",
        "accounts",
        "control",
        "foreign",
        "model",
        "",
    }
)

#: Names of phones, PBXs and gateways. Attackers use them too, so that sharing one says nothing.
_PRODUCTS: Final = re.compile(
    r"yealink|grandstream|cisco|polycom|poly\b|snom|mitel|aastra|avaya|fanvil|gigaset|panasonic|obihai|fritz|zoiper|linphone|microsip|"
    r"bria|x-lite|counterpath|baresip|pjsua|pjsip|jitsi|asterisk|freeswitch|freepbx|fpbx|3cx|kamailio|opensips|openser|sonus|ribbon|"
    r"audiocodes|oracle|acme|patton|sipura|linksys|htek|akuvox|spectralink|alcatel|unify|siemens|telephone|groundwire|acrobits|"
    r"mizu|csipsimple|sangoma|vodia|broadworks|metaswitch|genband|huawei|zte|tp-link|draytek|dlink|d-link|\bst[0-9]{3}\b|sip ?phone",
    re.I,
)

#: Tools that anybody can have: two who use one are not one.
_TOOLS: Final = re.compile(
    r"friendly-(?:scanner|request)|sipvicious|sipcli|sip-?scan|sundayddr|vaxsip|pplsip|eaglesip|\biwar|sipptk|mr\.?sip|sipsak|sipp\b|"
    r"svmap|svwar|svcrack|sipdump|metasploit|nmap|nessus|openvas|zgrab|zmap|masscan",
    re.I,
)

#: Whoever measures the internet and says so.
_RESEARCH: Final = re.compile(
    r"shodan|censys|shadowserver|rapid7|sonar|onyphe|leakix|binaryedge|driftnet|research|universit|\.edu\b|survey|measurement|"
    r"internet-?census|stretchoid|criminalip|expanse|palo ?alto|zgrab|zmap|masscan|scan-?project|bot@|abuse@|opt-?out|\bscan\.",
    re.I,
)

#: Call-ID hosts that tell nothing: loopback and private addresses, and what software fills in by itself.
_EMPTY_HOSTS: Final = re.compile(
    r"(?:127\.|10\.|192\.168\.|172\.(?:1[6-9]|2[0-9]|3[01])\.|0\.0\.0\.0|localhost|\[?::1|asterisk|unknown|example|sip\.|pbx)",
    re.I,
)

_DIGITS: Final = re.compile(r"[0-9]+")
_HEX: Final = re.compile(r"(?<![0-9a-f])(?=[0-9a-f]*[a-f])(?=[0-9a-f]*[0-9])[0-9a-f]{6,}", re.I)
_SPECIFIC: Final = re.compile(r"[0-9]{5,}|(?=[0-9a-f]*[a-f])[0-9a-f]{10,}", re.I)
_ADDRESS: Final = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?::\d{1,5})?(?![\d.])")


def network(ip: str) -> str:
    """The /24 or /64 of an address, "" where it is none."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        # The guard counts IPv6 by its /64, written as four groups.
        return f"{ip}::/64" if ip.count(":") == 3 else ""
    if address.version == 4:
        # What is an address has four numbers and nothing else.
        return f"{ip.rpartition('.')[0]}.0/24"
    return str(ipaddress.ip_network(f"{ip}/64", strict=False))


# The sources of a log name few User-Agents between them: each is looked at once.
@lru_cache(maxsize=16_384)
def is_research(agent: str) -> bool:
    """Whether a User-Agent says that its owner measures the internet."""
    return bool(_RESEARCH.search(agent))


@lru_cache(maxsize=16_384)
def is_tool(agent: str) -> bool:
    """Whether a User-Agent is that of a public attack or test tool."""
    return bool(_TOOLS.search(agent))


@lru_cache(maxsize=16_384)
def is_product(agent: str) -> bool:
    """Whether a User-Agent is that of a phone, PBX or gateway."""
    return bool(_PRODUCTS.search(agent))


def is_specific(text: str) -> bool:
    """Whether a payload holds what its author made up: a number, an address. Others are copied from books."""
    return bool(_ADDRESS.search(text) or _SPECIFIC.search(text))


def is_telling(agent: str) -> bool:
    """Whether two sources that share this User-Agent are likely to be one: neither a product nor a public tool."""
    return len(agent) >= 3 and not is_product(agent) and not is_tool(agent) and not is_research(agent)


def call_form(profile: Profile) -> str:
    """How a client makes its Call-IDs, "" where there is none: each run's alphabet and half length, and whether a host follows.

    Of the four Call-IDs that a profile keeps, as one random run may happen to have no letter in it.
    """
    seen = {text[:128] for text in (profile.call_low, profile.call_high) if text}
    seen |= {text[::-1][:128] for text in (profile.llac_low, profile.llac_high) if text}
    forms = {_APART.sub(" ", _ADDRESS.sub("\x01", text.partition("@")[0])): "@" in text for text in sorted(seen)}
    if not forms:
        return ""
    runs = [text.split(" ") for text in forms]
    if len({len(run) for run in runs}) > 1:
        return "mixed"
    marks = []
    for alike in zip(*runs, strict=True):
        length = max(len(run) for run in alike)
        kind = next((name for name, known in _ALPHABETS if all(known.fullmatch(run) for run in alike)), "x")
        marks.append(kind if kind == "A" else f"{kind}{(length + 1) // 2}")
    return "-".join(marks) + ("@" if any(forms.values()) else "")


#: What stands between the runs of a Call-ID, and the alphabets of a run, the narrowest first.
_APART: Final = re.compile(r"[^A-Za-z0-9\x01]")
_ALPHABETS: Final = (
    ("A", re.compile("\x01")),
    ("d", re.compile("[0-9]*")),
    ("h", re.compile("[0-9a-f]*")),
    ("H", re.compile("[0-9A-F]*")),
    ("w", re.compile("[A-Za-z0-9]*")),
)


def call_suffix(profile: Profile) -> str:
    """What all Call-IDs of a client end with, from the last `@` or separator on; "" where that tells nothing."""
    if profile.calls < 2:
        host = profile.call_low.rpartition("@")[2] if "@" in profile.call_low else ""
    else:
        common = _common(profile.llac_low, profile.llac_high)[::-1]
        host = common.rpartition("@")[2] if "@" in common else ""
    if len(host) < 4 or host == profile.ip or _EMPTY_HOSTS.match(host):
        return ""
    return host


def call_prefix(profile: Profile) -> str:
    """What all Call-IDs of a client begin with, where that is a word and no number; "" otherwise."""
    if profile.calls < 3:
        return ""
    common = re.match(r".*?[^0-9A-Fa-f@.][^@]*", _common(profile.call_low, profile.call_high)[:40])
    prefix = common[0] if common else ""
    # The digits of a clock or counter at its end change with time.
    prefix = prefix.rstrip("0123456789abcdefABCDEF") or ""
    return prefix if len(re.sub(r"[^A-Za-z]", "", prefix)) >= 3 else ""


def _common(low: str, high: str) -> str:
    """The longest common beginning; of the least and the greatest text it is that of all between."""
    count = 0
    for left, right in zip(low, high, strict=False):
        if left != right:
            break
        count += 1
    return low[:count]


def is_injection(hit: Hit) -> bool:
    """Whether a hit is an attack on what stands behind the SIP server."""
    family = hit.family or family_of(hit.rule)
    return family not in PLAIN_FAMILIES and hit.score >= 5


def family_of(rule: str) -> str:
    """The family of a rule by its id, for records that name only ids."""
    if rule.startswith(("limit-", "pike")):
        return "limits"
    head = rule.partition("-")[0]
    if head in ("destination", "account", "domain"):
        return "destinations" if head == "destination" else "accounts"
    if rule == "content-length-zero":
        return "content_length_zero"
    known = {
        "sql",
        "shell",
        "path",
        "xss",
        "template",
        "jndi",
        "ldap",
        "nosql",
        "xml",
        "code",
        "ssi",
        "format",
        "sip",
        "control",
    }
    if head in known:
        return head
    return "scanner" if head == "scanner" else "structure"


def payload(hit: Hit) -> str:
    """What stays the same when an attacker changes addresses and numbers in a payload."""
    return _DIGITS.sub("0", _HEX.sub("h", _ADDRESS.sub("A", hit.excerpt.lower()))).strip(" \"<>'")
