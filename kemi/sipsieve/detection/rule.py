"""One detection rule, as it is used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..model import PartKind


class RuleError(ValueError):
    """A rule, exception or set of weights that can't be used: names file and id, and what is wrong."""


@dataclass(slots=True, frozen=True)
class Rule:
    """One detection. `parts` empty: any part but `NAME` and `METHOD`; `headers` empty: any header.

    Patterns see bytes, match in any case, and `.` matches a line end, which only an attack carries here. What to look
    for in a whole message before a pattern is tried is derived from it by the core.
    """

    id: str
    family: str
    pattern: str
    score: int
    reason: str
    hits: tuple[str, ...]
    misses: tuple[str, ...]
    parts: frozenset[PartKind]
    headers: frozenset[str]
    #: The score in parts whose grammar leaves no room for prose: tokens, hosts, userinfo.
    tight: int
    #: From which paranoia level of the policy on the rule counts.
    paranoia: int = 1
    confidence: str = "high"
    #: Matched against the value as it was sent only, not against what it decodes to.
    as_sent: bool = False
    #: Of a value that comes apart by a form of programs (JSON, a list of parameters, a URL's query) it counts in a single one only.
    apart: bool = False
    #: The score in header fields of no standard and in text bodies, where it is another one.
    made: int | None = None
    #: The weakness and the attack pattern as MITRE numbers them, and the vulnerabilities that it was seen with.
    cwe: tuple[str, ...] = ()
    capec: tuple[str, ...] = ()
    cve: tuple[str, ...] = ()
    #: What it keeps the attack from.
    backends: tuple[str, ...] = ()

    @property
    def spec(self) -> tuple[Any, ...]:
        """What the core is told of it."""
        return (
            self.id,
            self.family,
            self.pattern,
            self.score,
            self.tight,
            self.reason,
            sorted(self.parts),
            sorted(self.headers),
            self.paranoia,
            self.confidence,
            self.as_sent,
            self.apart,
            self.made,
        )
