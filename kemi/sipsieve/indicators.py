"""Finds what a payload points at: command hosts, URLs, domains, e-mail addresses, files."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from .model import Finding

#: Indicators of one message: a payload names one or two hosts; the bound keeps its record short.
MAX_INDICATORS: Final = 8

#: Characters of a message's findings that are looked through. Payloads have 20 to 500.
MAX_TEXT: Final = 2048

#: Families whose findings hold the message's own words, and not a payload.
_NO_PAYLOAD: Final = frozenset({"structure", "limits", "content_length_zero"})

# Each repetition is bounded, and a name begins only where none goes on: time is linear in the text.
_NAME: Final = r"(?<![\w.-])(?:[a-z0-9][a-z0-9-]{0,62}\.){1,5}[a-z]{2,24}(?![\w-])"
_HOST_PORT: Final = re.compile(r"(?<![\d.])((?:\d{1,3}\.){3}\d{1,3})(?:[:/ ,'\"]{1,3}(\d{1,5}))?(?![\d.])")
_IPV6: Final = re.compile(r"\[([0-9a-f:.]{2,45})\](?::(\d{1,5})(?!\d))?", re.I)
_URL: Final = re.compile(r"\b((?:https?|ftp|tftp|ldaps?|rmi|dns|iiop)://[^\s'\"<>\\)}|;`]{3,200})", re.I)
_DOMAIN_PORT: Final = re.compile(rf"({_NAME})[:/ ](\d{{2,5}})\b", re.I)
_FETCHED: Final = re.compile(
    rf"\b(?:curl|wget|fetch|ping|nslookup|dig|host|nc|ncat|ssh|telnet)\s{{1,4}}(?:-\S{{1,20}}\s{{1,4}}){{0,4}}({_NAME})",
    re.I,
)
# The address of a SIP URI is a caller, not an e-mail address.
_MAIL: Final = re.compile(
    r"(?:(?<=mailto:)|(?<![\w.%+:-]))[a-z0-9._%+-]{1,64}@(?:[a-z0-9-]{1,63}\.){1,5}[a-z]{2,24}\b", re.I
)
_FILE: Final = re.compile(
    r"(?<!\w)(/(?:etc|tmp|var|proc|usr|bin|home|root|opt|dev/shm|boot)/[\w./-]{2,120}|\b[a-z]:\\[\w\\.-]{2,120})", re.I
)


@dataclass(slots=True, frozen=True, order=True)
class Indicator:
    """Something to look for elsewhere. `value` as it was written, `kind` one of ip, host-port, url, domain, email, file, user-agent."""

    kind: str
    value: str

    @property
    def defanged(self) -> str:
        """The value in a form that nobody clicks on by mistake."""
        if self.kind in ("file", "user-agent"):
            return self.value
        text = self.value
        if self.kind in ("ip", "host-port") and text.count(":") > 1:
            return text.replace(":", "[:]")
        return text.replace("http", "hxxp").replace(".", "[.]").replace("@", "[@]")


def in_payload(text: str) -> list[Indicator]:
    """The indicators in an excerpt that a rule has found hostile, each once, the most telling first."""
    found: dict[Indicator, None] = {}
    urls = [match[1] for match in _URL.finditer(text)]
    for url in urls:
        found[Indicator("url", url)] = None
    domains = []
    addresses = []
    for match in [*_HOST_PORT.finditer(text), *_IPV6.finditer(text)]:
        if not _is_address(match[1]):
            continue
        addresses.append(match[1])
        if match[2] and 0 < int(match[2]) < 65536:
            host = f"[{match[1]}]" if ":" in match[1] else match[1]
            found[Indicator("host-port", f"{host}:{match[2]}")] = None
    for match in _DOMAIN_PORT.finditer(text):
        domains.append(match[1])
        if 0 < int(match[2]) < 65536:
            found[Indicator("host-port", f"{match[1].lower()}:{match[2]}")] = None
    for address in addresses:
        found[Indicator("ip", address)] = None
    for url in urls:
        host = url.partition("://")[2].split("/")[0].rpartition("@")[2].split(":")[0]
        if host and not host.startswith("[") and not _is_address(host):
            domains.append(host)
    domains += [match[1] for match in _FETCHED.finditer(text)]
    for domain in domains:
        found[Indicator("domain", domain.lower())] = None
    for match in _MAIL.finditer(text):
        found[Indicator("email", match[0])] = None
    for match in _FILE.finditer(text):
        found[Indicator("file", match[1])] = None
    return list(found)


def payloads(findings: Iterable[Finding]) -> list[bytes]:
    """The values in which rules found an attack, each once; digest secrets and a message's own words are not among them."""
    scored = (f.excerpt for f in findings if f.score and f.excerpt and f.family not in _NO_PAYLOAD)
    return list(dict.fromkeys(scored))


def of_texts(texts: Iterable[str]) -> list[Indicator]:
    """At most `MAX_INDICATORS` indicators of a message's payloads; an address stands once, with its port where it has one."""
    found: dict[Indicator, None] = {}
    left = MAX_TEXT
    for text in texts:
        found.update(dict.fromkeys(in_payload(text[:left])))
        left -= len(text)
        if left <= 0:
            break
    # A port follows the last colon; what stands before it is told by the pair already.
    paired = {item.value.rpartition(":")[0].strip("[]") for item in found if item.kind == "host-port"}
    return [item for item in found if not (item.kind in ("ip", "domain") and item.value in paired)][:MAX_INDICATORS]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
