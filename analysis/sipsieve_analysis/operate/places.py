"""Where the policy, the rules and the decision log of this machine are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import sipsieve
from sipsieve.config import policy as policies

#: The installed policy.
INSTALLED: Final = Path("/etc/sipsieve/sipsieve.toml")

#: The policy beside the package, as a checkout has it.
BESIDE: Final = Path(sipsieve.__file__).resolve().parent.parent / "sipsieve.toml"


def policy_path(option: str | None = None) -> Path:
    """The policy file: as asked for, else SIPSIEVE_POLICY, else the installed one, else a checkout's."""
    named = option or os.environ.get("SIPSIEVE_POLICY")
    if named:
        return Path(named)
    return INSTALLED if INSTALLED.exists() or not BESIDE.exists() else BESIDE


def log_path(option: str | None = None, policy: str | None = None) -> Path:
    """The decision log: as asked for, else SIPSIEVE_LOG, else the policy's. A policy that is named is read in any case, so
    that a mistake in it is told. Raises `PolicyError`."""
    named = option or os.environ.get("SIPSIEVE_LOG")
    if named and not policy:
        return Path(named)
    written = policies.load(policy_path(policy)).log.path
    return Path(named or written)
