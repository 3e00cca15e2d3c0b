"""Records of the case and of worlds, and the fields that collectors publish: for the tests of what reaches collectors."""

from __future__ import annotations

import bz2
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from harness import ROOT
from sipsieve.decision_log.record import Recorder
from sipsieve_analysis.operate import forms
from worlds.intruders import make

SHIPPED = ROOT / "integrations"
PUBLISHED = json.loads((ROOT / "tests/fixtures/published-fields.json").read_text())
TEMPLATE = json.loads((SHIPPED / "elastic/index-template.json").read_text())["template"]["mappings"]
#: Sets of fields that neither ECS nor Packetbeat has.
OWN = {"policy", "counters", "ban", "findings", "indicators", "sipsieve"}
CASE = bz2.decompress((ROOT / "tests/fixtures/case/decisions.jsonl.bz2").read_bytes()).splitlines()


def notices() -> list[bytes]:
    """Records of what happens to the guard itself."""
    recorder = Recorder("0123456789ab", "ba9876543210", "enforce")
    ban = {
        "network": "203.0.113.9/32", "source": "203.0.113.9", "rule": "limit-invite", "seconds": 60, "offences": 1,
        "udp_only": False, "scope": "all", "reason": "\x1b[31m 240 INVITEs",
    }  # fmt: skip
    revision = {"revision": 3, "policy": "ba9876543210", "rules": "0123456789ab", "mode": "enforce"}
    told: list[tuple[str, dict[str, Any]]] = [
        ("start", {"policy_mode": "enforce", "rules": 4000, "steady": 12.5}),
        ("ban", ban),
        ("ban", ban | {"network": "2001:db8:0:1::/64", "source": "2001:db8:0:1"}),
        ("unban", {"source": "203.0.113.9", "reason": "trusted"}),
        ("reload", {"user": "alice", "old": revision, "new": revision | {"revision": 4}}),
        ("set", {"user": "alice", "outcome": "failure", "reason": "no such key", "old": revision}),
        ("off", {"reason": "maintenance"}),
        ("overflow", {"requests": 12}),
    ]
    return [recorder.notice(action, 1_795_834_245.678901, detail) for action, detail in told]


@cache
def records() -> list[dict[str, Any]]:
    """More than ten thousand records, as the real engine writes them, of every kind."""
    lines = [*CASE, *notices()]
    for mode in ("observe", "enforce"):
        for seed in (3, 5, 7):
            lines += make(seed, 1, True, False).records(mode)
            if len(lines) > 12_000:
                break
    # The week is in the form of earlier releases.
    return [forms.upgrade(json.loads(line)) for line in lines]


def flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each scalar with its dotted path; members of lists under the list's path."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield from flat(member, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for member in value:
            yield from flat(member, path)
    else:
        yield path, value


def one(**changes: Any) -> dict[str, Any]:
    record = next(
        forms.upgrade(json.loads(line)) for line in CASE if b'"findings"' in line and b'"type":"request"' in line
    )
    for name, value in changes.items():
        record[name] = {**record.get(name, {}), **value}
    return record
