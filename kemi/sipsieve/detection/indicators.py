"""Finds what a payload points at: command hosts, URLs, domains, e-mail addresses, files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from .. import _core
from ..model import Finding

#: Indicators of one message: a payload names one or two hosts; the bound keeps its record short.
MAX_INDICATORS: Final = 8

#: Families whose findings hold the message's own words, and not a payload.
_NO_PAYLOAD: Final = frozenset(
    {"structure", "limits", "content_length_zero", "destinations", "accounts", "model", "feed", "network"}
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
    return [Indicator(kind, value) for kind, value in _core.indicators(text)]


def payloads(findings: Iterable[Finding]) -> list[bytes]:
    """The values in which rules found an attack, each once; digest secrets and a message's own words are not among them."""
    scored = (f.excerpt for f in findings if f.score and f.excerpt and f.family not in _NO_PAYLOAD)
    return list(dict.fromkeys(scored))


def of_texts(texts: Iterable[str]) -> list[Indicator]:
    """At most `MAX_INDICATORS` indicators of a message's payloads; an address stands once, with its port where it has one."""
    return [Indicator(kind, value) for kind, value in _core.of_texts(list(texts))]
