"""A revision: one numbered pair of policy and rules, with all that is built from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Struct

from .. import _core
from ..abuse.sources import Networks
from ..config.policy import Policy
from ..decision_log import privacy
from ..decision_log.record import Recorder, recorder_of
from ..detection.ruleset import Exempt, Rule, Ruleset
from .engine import Engine


class RevisionError(ValueError):
    """Bytes that hold no revision that this process can use."""


@dataclass(slots=True, frozen=True)
class Revision:
    """What decides on messages and writes them down. Each message is handled by exactly one revision."""

    number: int
    policy: Policy
    ruleset: Ruleset
    networks: Networks
    engine: Engine
    recorder: Recorder
    #: Of the masks in records; b"" where nothing is masked.
    mask_key: bytes

    @property
    def versions(self) -> dict[str, Any]:
        """Number and contents, as the log shows them."""
        return {
            "revision": self.number,
            "policy": self.policy.version,
            "rules": self.ruleset.version,
            "mode": self.policy.mode,
        }


class _Packed(Struct, frozen=True):
    number: int
    policy: Policy
    version: str
    rules: tuple[Rule, ...]
    exceptions: tuple[Exempt, ...]
    mask_key: bytes


def build(
    number: int, policy: Policy, ruleset: Ruleset, mask_key: bytes | None = None, geo: _core.Geo | None = None
) -> Revision:
    """Builds all that a revision needs. `mask_key` None: as the policy says. `geo` knows where addresses are at home. Raises
    `PolicyError`, `RuleError`."""
    key = privacy.key_of(policy.privacy) if mask_key is None else mask_key
    networks = Networks(policy, geo)
    engine = Engine(policy, ruleset, networks)
    recorder = recorder_of(ruleset.version, policy, policy.mode, privacy.mask_of(policy.privacy, key))
    return Revision(number, policy, ruleset, networks, engine, recorder, key)


def pack(revision: Revision) -> bytes:
    """The revision for other processes, which compile its rules themselves, for some tenths of a second, where they are new."""
    rules = revision.ruleset
    packed = _Packed(revision.number, revision.policy, rules.version, rules.rules, rules.exceptions, revision.mask_key)
    return msgspec.msgpack.encode(packed)


def unpack(packed: bytes, geo: _core.Geo | None = None, known: Ruleset | None = None) -> Revision:
    """A revision that another process packed. Where its rules are those of `known`, that is taken: a worker that compiles rules
    answers nobody meanwhile. Raises `RevisionError`."""
    try:
        content = msgspec.msgpack.decode(packed, type=_Packed)
        same = known is not None and (known.version, known.rules, known.exceptions) == (
            content.version,
            content.rules,
            content.exceptions,
        )
        rules = known if known is not None and same else Ruleset(content.rules, content.exceptions)
        return build(content.number, content.policy, rules, content.mask_key, geo)
    except (msgspec.MsgspecError, ValueError) as error:
        raise RevisionError(str(error)) from error
