"""Says which known crashes of the software behind reach it, by judging the very messages that trigger them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from sipsieve.config.policy import Policy
from sipsieve.decision.engine import Engine
from sipsieve.decision.explain import NoCounters
from sipsieve.detection import patches, ruleset
from sipsieve.detection.patches import Patch, Software
from sipsieve.model import Source, Verdict

#: How to ask programs on this machine for their version, and where it stands in what they say.
_ASKED: Final = {
    "asterisk": (("asterisk", "-V"), r"Asterisk (certified[-/]\S+|\d\S+)"),
    "freeswitch": (("freeswitch", "-version"), r"version:? (\d+\.\d+[\d.]*)"),
    "kamailio": (("kamailio", "-v"), r"version: kamailio (\d\S+)"),
    "opensips": (("opensips", "-V"), r"version: opensips (\d\S+)"),
}
_SECONDS: Final = 5.0

#: Somebody whom no policy lists (RFC 5737).
_STRANGER: Final = "203.0.113.77"


class Exposure(NamedTuple):
    """How one program stands to one patch: `exposed`, `covered` by `rules`, or `fixed`; `fixed_in` names versions."""

    software: str
    patch: str
    numbers: tuple[str, ...]
    state: str
    rules: tuple[str, ...]
    reason: str
    fixed_in: str
    fixed_by: str


def installed() -> list[str]:
    """The programs on this machine that patches are known for, as `kamailio 5.6.3`."""
    found: list[str] = []
    for name, (command, pattern) in _ASKED.items():
        if shutil.which(command[0]) is None:
            continue
        try:
            said = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if version := re.search(pattern, said.stdout + said.stderr):
            found.append(f"{name} {version[1]}")
    return found


def exposures(policy: Policy, software: Iterable[str]) -> list[Exposure]:
    """How each program stands to each patch that concerns it, or has concerned it, under this policy.

    A patch covers where a stranger's triggering message is refused, whichever rule does that. Raises `RuleError`, `PolicyError`.
    """
    detection = policy.detection
    engine = Engine(
        policy, ruleset.load(own=detection.rules, exceptions=detection.exceptions, products=detection.products)
    )
    done = set(policy.backend.fixed)
    return [one for text in software for one in _of(engine, patches.software_of(text), done)]


def _of(engine: Engine, software: Software, done: set[str]) -> Iterator[Exposure]:
    for patch in patches.load():
        relation = patch.relation(software)
        if relation == "other":
            continue
        fixed = relation == "fixed" or bool(done & {patch.id, *patch.numbers})
        rules = () if fixed else _refusing(engine, patch)
        state = "fixed" if fixed else "covered" if rules else "exposed"
        yield Exposure(
            str(software), patch.id, patch.numbers, state, rules, patch.reason, patch.fixed_in(software),
            patch.fixed_by.isoformat(),
        )  # fmt: skip


def _refusing(engine: Engine, patch: Patch) -> tuple[str, ...]:
    source: Source = engine.networks.source(_STRANGER, 5060, "udp")
    decision = engine.decide(patch.trigger, source, 0.0, NoCounters())
    if not decision.enforced or decision.verdict not in (Verdict.REJECT, Verdict.DROP):
        return ()
    weighty = [finding.rule for finding in engine.counted(decision.findings)]
    return tuple(dict.fromkeys(weighty or [finding.rule for finding in decision.findings]))


def lines(found: Iterable[Exposure]) -> list[str]:
    """For people: what is exposed, what covers what, and how much is fixed."""
    written: list[str] = []
    fixed: dict[str, list[Exposure]] = {}
    for one in found:
        name = f"{one.software}: {one.numbers[0]}"
        if one.state == "fixed":
            fixed.setdefault(one.software, []).append(one)
        elif one.state == "covered":
            written.append(f"{name}: covered by {', '.join(one.rules)}; fixed in {one.fixed_in}, since {one.fixed_by}")
        else:
            written.append(
                f"{name}: exposed: {one.reason}; fixed in {one.fixed_in}, since {one.fixed_by} ({one.patch})"
            )
    for software, all_of_it in fixed.items():
        written.append(f"{software}: fixed: {', '.join(one.numbers[0] for one in all_of_it)}")
    return written
