"""One detection rule, as it is used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import hyperscan

from .model import PartKind

#: Patterns see bytes, match in any case, and `.` matches a line end, which only an attack carries here.
FLAGS: Final = hyperscan.HS_FLAG_CASELESS | hyperscan.HS_FLAG_DOTALL | hyperscan.HS_FLAG_SINGLEMATCH


@dataclass(slots=True, frozen=True)
class Rule:
    """One detection. `parts` empty: any part but `NAME` and `METHOD`; `headers` empty: any header."""

    id: str
    family: str
    pattern: str
    score: int
    reason: str
    hits: tuple[str, ...]
    misses: tuple[str, ...]
    parts: frozenset[PartKind]
    headers: frozenset[str]
    #: What stage one looks for in the raw message. Holds wherever `pattern` holds in a part. Empty: one
    #: of `triggers.SHAPES` does.
    prefilter: str
    #: The score in parts whose grammar leaves no room for prose (see `detect.TIGHT`).
    tight: int
    #: From which paranoia level of the policy on the rule counts.
    paranoia: int = 1
    confidence: str = "high"
    #: Matched against the value as it was sent only, not against what it decodes to.
    as_sent: bool = False
