"""Single values of a policy, named by dotted keys, as an operator sets them on a running server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from .policy import Policy, PolicyError, from_values


def value_of(policy: Policy, key: str) -> Any:
    """The value of a dotted key, None where there is no such key."""
    node: Any = msgspec.to_builtins(policy)
    for name in key.split("."):
        if not isinstance(node, dict) or name not in node:
            return None
        node = node[name]
    return node


def value_from(text: str) -> Any:
    """A value as it is typed: a TOML value, or else bare text."""
    try:
        return msgspec.toml.decode(f"value = {text}")["value"]
    except (msgspec.DecodeError, ValueError, KeyError):
        return text


def changed(policy: Policy, values: Mapping[str, Any]) -> Policy:
    """The policy with these dotted keys set. Raises `PolicyError` as if it stood so in a file."""
    if not values:
        return policy
    content: dict[str, Any] = msgspec.to_builtins(policy)
    for key, value in values.items():
        *tables, last = key.split(".")
        node: Any = content
        for name in tables:
            node = node.get(name) if isinstance(node, dict) else None
        if not isinstance(node, dict):
            raise PolicyError(f"{key}: no such key; allowed: a key of the policy, as in limits.invite.per_minute")
        node[last] = value
    return from_values(content)
