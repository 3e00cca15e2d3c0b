"""Says what lines look like that nobody understood: drain3 finds their templates, and the `--xlog` format that reads them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final

from .rawlog import FormatError, LogReader

#: Lines that are looked at: what comes after so many looks like those before.
_MOST: Final = 50_000

#: Templates kept at a time, and shown.
_CLUSTERS: Final = 200
_SHOWN: Final = 8

#: Bytes of a line that are looked at.
_LONGEST: Final = 400

#: What differs from line to line, and what it is called in a template.
_MASKS: Final = (
    (re.compile(r'"[^"]{0,300}"'), '"<TEXT>"'),
    (re.compile(r"\bsips?:[^\s>;,|\])\"']{1,300}"), "<URI>"),
    (re.compile(r"(?<![\w.])\[?(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]{0,4}:[0-9a-f:]{1,34}:[0-9a-f]{0,4})\]?:\d{1,5}(?![\w.])"), "<IP>:<PORT>"),
    (re.compile(r"(?<![\w.])(?:\d{1,3}(?:\.\d{1,3}){3}|(?=[0-9a-f:]{0,40}[0-9a-f]:[0-9a-f:]{0,40}:)[0-9a-f:]{4,39})(?![\w.])"), "<IP>"),
    (
        re.compile(r"\b(?:INVITE|REGISTER|OPTIONS|ACK|BYE|CANCEL|SUBSCRIBE|NOTIFY|MESSAGE|INFO|PRACK|UPDATE|REFER|PUBLISH)\b"),
        "<METHOD>",
    ),
    (re.compile(r"(?<![\w<])\d{1,20}(?![\w>])"), "<NUM>"),
)  # fmt: skip

_MASKED: Final = re.compile(r'"<TEXT>"|<(?:URI|PORT|IP|METHOD|NUM|TEXT|\*)>')

#: Where a number is the address's port.
_BEHIND_ADDRESS: Final = re.compile(r"<IP>[^\w<]{1,3}\Z")

#: What stands before a value, and which variable of Kamailio's it then is.
_KEYS: Final = (
    (re.compile(r"(?i)(?:fu|from|caller|src_?uri)\W{1,3}\Z"), "$fu"),
    (re.compile(r"(?i)(?:tu|to|callee|dst_?uri)\W{1,3}\Z"), "$tu"),
    (re.compile(r"(?i)(?:ru|r-?uri|request-?uri|uri)\W{1,3}\Z"), "$ru"),
    (re.compile(r"(?i)(?:ua|agent)\W{1,3}\Z"), "$ua"),
    (re.compile(r"(?i)(?:ci|call-?id|cid)\W{1,3}\Z"), "$ci"),
)


@dataclass(frozen=True, slots=True)
class Form:
    """What some lines look like, how many they are, and the format that reads them ("" where none does)."""

    template: str
    lines: int
    xlog: str = ""


class Miner:
    """Templates of the lines that it is shown. Without drain3 it finds none."""

    def __init__(self) -> None:
        self._examples: dict[int, list[str]] = {}
        self._seen = 0

    @cached_property
    def _drain(self) -> Any:
        """Made for the first line: most logs are understood as a whole."""
        try:
            from drain3.drain import Drain
        except ImportError:
            return None
        return Drain(depth=4, sim_th=0.5, max_children=50, max_clusters=_CLUSTERS)

    @property
    def is_there(self) -> bool:
        """Whether drain3 is installed."""
        return self._drain is not None

    def show(self, lines: Iterable[bytes]) -> None:
        """Takes lines that were not understood."""
        for line in lines:
            if self._seen >= _MOST or self._drain is None:
                return
            self._seen += 1
            text = line[:_LONGEST].decode("utf-8", "replace").strip()
            masked = masked_of(text)
            cluster, _ = self._drain.add_log_message(masked)
            examples = self._examples.setdefault(cluster.cluster_id, [])
            if len(examples) < 3:
                examples.append(text)

    def found(self) -> list[Form]:
        """The templates, the most frequent first. A format is named where it reads the lines that it was made of."""
        if not self._seen:
            return []
        clusters = sorted(self._drain.clusters, key=lambda cluster: (-cluster.size, cluster.cluster_id))
        forms = []
        for cluster in clusters[:_SHOWN]:
            template = cluster.get_template()
            xlog = format_of(template)
            examples = self._examples.get(cluster.cluster_id, [])
            forms.append(Form(template, cluster.size, xlog if xlog and _reads(xlog, examples) else ""))
        return forms


def masked_of(text: str) -> str:
    """A line with what differs from line to line under one name."""
    for pattern, name in _MASKS:
        text = pattern.sub(name, text)
    return text


def format_of(template: str) -> str:
    """The xlog format that writes such lines; "" where no address stands in them."""
    used: set[str] = set()
    at, parts = 0, []
    for match in _MASKED.finditer(template):
        parts.append(template[at : match.start()].replace("$", "$$"))
        parts.append(_variable(match[0], template[: match.start()], used))
        at = match.end()
    parts.append(template[at:].replace("$", "$$"))
    return "".join(parts) if "$si" in used else ""


def _variable(mark: str, before: str, used: set[str]) -> str:
    name = {"<IP>": "$si", "<METHOD>": "$rm"}.get(mark, "")
    if mark in ("<PORT>", "<NUM>") and _BEHIND_ADDRESS.search(before[-8:]) and "$si" in used:
        name = "$sp"
    if mark in ("<URI>", "<TEXT>", '"<TEXT>"', "<*>"):
        name = next((variable for key, variable in _KEYS if key.search(before[-24:])), "")
    if not name or name in used:
        name = "$var(x)"
    used.add(name)
    return f'"{name}"' if mark.startswith('"') else name


def _reads(xlog: str, examples: list[str]) -> bool:
    """Whether the core reads these lines with that format."""
    for example in examples:
        try:
            reader = LogReader(UTC, datetime(2026, 1, 1, tzinfo=UTC), Counter(), (xlog,))
        except FormatError:
            return False
        line = f"Jan  1 00:00:00 edge kamailio[1]: INFO: <script>: {example}\n".encode("utf-8", "replace")
        if len(reader.feed(line)) + len(reader.finish()) == 0:
            return False
    return bool(examples)
